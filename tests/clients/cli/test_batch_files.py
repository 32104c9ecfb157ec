"""What became of a job, in the form of OpenAI's batches."""

import json
from pathlib import Path
from typing import Any

from stoker_client.cli.batch_files import write_batch_files
from stoker_protocol.jobs import Artifact, Failure, Item, ItemState


def item(index: int, state: ItemState, *media_types: str, error: Failure | None = None, name: str = "") -> Item:
    """An item with artifacts of these types."""
    artifacts = [
        Artifact(n, index, n, f"outputs/day/job/files/{index:05}_{n}.x", kind, "", 1)
        for n, kind in enumerate(media_types)
    ]
    return Item(index, state, 1, custom_id=name or None, error=error, artifacts=artifacts)


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_results_and_errors(tmp_path: Path) -> None:
    """Each ended item is in one of the files, in order, with its answer or its error; others are in neither."""
    answer: dict[str, Any] = {"id": "chatcmpl-1", "choices": []}
    for name, content in (("00000_0.x", json.dumps(answer)), ("00001_0.x", "grüße"), ("00002_0.x", "[1, 2]")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    items = [
        item(0, ItemState.SUCCEEDED, "application/json", name="first"),
        item(1, ItemState.SUCCEEDED, "text/plain"),
        item(2, ItemState.SUCCEEDED, "application/json"),
        item(3, ItemState.SUCCEEDED, "image/png", "image/png"),
        item(4, ItemState.FAILED, error=Failure("refused", "no")),
        item(5, ItemState.CANCELLED, name="sixth"),
        item(6, ItemState.RUNNING),
        item(7, ItemState.PENDING, error=Failure("timeout", "late")),
    ]
    paths = write_batch_files(tmp_path, "job", items)
    assert [path.name for path in paths] == ["results.jsonl", "errors.jsonl"]
    results, errors = map(lines_of, paths)
    assert [line["custom_id"] for line in results] == ["first", "1", "2", "3"]
    assert [line["response"]["body"] for line in results] == [
        answer,
        {"text": "grüße"},
        {"json": [1, 2]},
        {"files": ["00003_0.x", "00003_1.x"]},
    ]
    assert results[0] == {
        "id": "job/0",
        "custom_id": "first",
        "response": {"status_code": 200, "request_id": "chatcmpl-1", "body": answer},
        "error": None,
    }
    assert [(line["custom_id"], line["error"], line["response"]) for line in errors] == [
        ("4", {"code": "refused", "message": "no"}, None),
        ("sixth", {"code": "cancelled", "message": ""}, None),
    ]
    assert sorted(path.name for path in tmp_path.glob("*.part")) == []
