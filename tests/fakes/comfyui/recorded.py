"""What real servers said, line by line, for tests of who reads it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).with_name("recordings")


def lines(pattern: str, direction: str) -> Iterator[dict[str, Any]]:
    """The lines of these recordings that go one way: `http`, `ws_recv` ..."""
    return (line for _, line in noted(pattern, direction))


def noted(pattern: str, direction: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same, each with what was noted before it."""
    note = ""
    for path in sorted(RECORDINGS.glob(pattern)):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line["dir"] == "note":
                note = line["text"]
            elif line["dir"] == direction:
                yield note, line
