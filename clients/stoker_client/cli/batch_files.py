"""What became of a job as `results.jsonl` and `errors.jsonl`, in the form of OpenAI's batches."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import msgspec

from stoker_protocol.jobs import FINAL_ITEM_STATES, Item, ItemState

RESULTS, ERRORS = "results.jsonl", "errors.jsonl"


def write_batch_files(directory: Path, job_id: str, items: Iterable[Item]) -> list[Path]:
    """Write both files from items whose files have been fetched into the directory.

    An item that has not ended is in neither. Source of the lines: "Batch" in OpenAI's API reference.
    """
    paths = [directory / RESULTS, directory / ERRORS]
    parts = [path.with_suffix(".jsonl.part") for path in paths]
    with parts[0].open("wb") as results, parts[1].open("wb") as errors:
        for item in items:
            _write_item(directory, job_id, item, results, errors)
    for part, path in zip(parts, paths, strict=True):
        part.replace(path)
    return paths


def _write_item(directory: Path, job_id: str, item: Item, results: BinaryIO, errors: BinaryIO) -> None:
    line: dict[str, Any] = {
        "id": f"{job_id}/{item.index}",
        "custom_id": item.custom_id or str(item.index),
        "response": None,
        "error": None,
    }
    if item.state is ItemState.SUCCEEDED:
        body = _body(directory, item)
        line["response"] = {"status_code": 200, "request_id": body.get("id", line["id"]), "body": body}
        results.write(msgspec.json.encode(line) + b"\n")
    elif item.state in FINAL_ITEM_STATES:
        code, message = (item.error.kind, item.error.message) if item.error else (str(item.state), "")
        errors.write(msgspec.json.encode({**line, "error": {"code": code, "message": message}}) + b"\n")


def _body(directory: Path, item: Item) -> dict[str, Any]:
    """The server's answer; of items that were no lines of a batch their `text`, `json`, or the names of `files`."""
    names = [PurePosixPath(artifact.path).name for artifact in item.artifacts]
    if len(names) == 1 and item.artifacts[0].media_type == "application/json":
        said: Any = msgspec.json.decode((directory / names[0]).read_bytes())
        return cast("dict[str, Any]", said) if isinstance(said, dict) else {"json": said}
    if len(names) == 1 and item.artifacts[0].media_type == "text/plain":
        return {"text": (directory / names[0]).read_text(encoding="utf-8")}
    return {"files": names}
