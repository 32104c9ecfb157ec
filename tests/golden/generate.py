"""Writes the golden messages: each JSON file here once more as msgpack, by the reference implementation."""

import base64
import json
from pathlib import Path
from typing import Any, cast

import msgpack

HERE = Path(__file__).parent
BASE64_FIELDS = {"data", "image", "preview"}
"""What is bytes on the wire is base64 text in the JSON."""


def generate() -> None:
    """Write a `.msgpack` file beside each `.json` file.

    A golden file is for ever: what one version understood, each later one does. So a message that gains a field gets
    one file more (`submit.2.json`) and keeps those that it has.
    """
    for path in HERE.glob("*/*.json"):
        path.with_suffix(".msgpack").write_bytes(packed(as_sent(path)))


def as_sent(path: Path) -> dict[str, Any]:
    """The message of a JSON file as plain Python values, with bytes where the wire has them."""
    return json.loads(path.read_text(encoding="utf-8"), object_hook=_decode_bytes)


def packed(message: Any) -> bytes:
    """Plain Python values as the reference implementation writes them."""
    return cast("bytes", msgpack.packb(message))


def _decode_bytes(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: base64.b64decode(value) if key in BASE64_FIELDS else value for key, value in fields.items()}


if __name__ == "__main__":
    generate()
