"""The plugin's msgpack, beside the reference implementation."""

import json
import random
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
from tests.clients.godot.editor import needs_godot, new_project, run_script
from tests.golden.generate import HERE as GOLDEN
from tests.golden.generate import packed

pytestmark = needs_godot

FILES = sorted(GOLDEN.glob("*/*.msgpack"))
DAMAGED = 1500
VALUES: list[Any] = [
    *(sign * (2**bits + more) for bits in (5, 7, 8, 15, 16, 31, 32, 62) for more in (-1, 0, 1) for sign in (1, -1)),
    *(2**63 - 1, -(2**63), 0.1, -1e300, True, None),
    *("ü" * size for size in (0, 15, 16, 127, 128, 40_000)),
    *(bytes(size) for size in (0, 255, 256, 70_000)),
    *(list(range(size)) for size in (15, 16, 70_000)),
    *({str(key): key for key in range(size)} for size in (15, 16)),
]


def test_golden_messages(tmp_path: Path) -> None:
    """We expect every golden message to be read as its JSON says, and to be written again byte by byte as it was."""
    for path, said in zip(FILES, _read(tmp_path, FILES, show="values"), strict=True):
        assert said["error"] == "", path
        assert said["value"] == json.loads(path.with_suffix(".json").read_text(encoding="utf-8")), path
        assert said["again"] == path.read_bytes().hex(), path


def test_every_width(tmp_path: Path) -> None:
    """We expect numbers, texts, bytes, lists and maps of every width to be written as the reference writes them."""
    files = _write(tmp_path, [packed(value) for value in VALUES])
    for path, said in zip(files, _read(tmp_path, files), strict=True):
        assert said["again"] == path.read_bytes().hex(), path


@pytest.mark.parametrize("head", ["dd", "df", "c6", "db"])
def test_a_promise_of_billions(tmp_path: Path, head: str) -> None:
    """We expect a head that promises four billion parts to be refused at once."""
    (said,) = _read(tmp_path, _write(tmp_path, [bytes.fromhex(f"{head}ffffffff00")]))
    assert said["error"] == "the bytes end within a value"


def test_endless_nesting(tmp_path: Path) -> None:
    """We expect lists within lists to be refused before they fill the stack."""
    (said,) = _read(tmp_path, _write(tmp_path, [b"\x91" * 100_000 + b"\xc0"]))
    assert said["error"] == "nested too deeply"


def test_damaged_messages(tmp_path: Path) -> None:
    """We expect what the reference can't read to be refused with a reason, and what it can to be read alike."""
    dice = random.Random(7)
    bodies = [_damaged(dice, dice.choice(FILES).read_bytes()) for _ in range(DAMAGED)]
    verdicts = {body: verdict for body in bodies if (verdict := _verdict(body)) is not None}
    for (body, verdict), said in zip(verdicts.items(), _read(tmp_path, _write(tmp_path, [*verdicts])), strict=True):
        assert said["again"] == verdict, body.hex()
        assert bool(said["error"]) == (verdict == ""), body.hex()
    refused = [*verdicts.values()].count("")
    assert 200 < refused < len(verdicts) - 200


def _damaged(dice: random.Random, body: bytes) -> bytes:
    """With a byte changed, or without its end."""
    at = dice.randrange(len(body))
    return body[:at] if dice.random() < 0.3 else body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :]


def _verdict(body: bytes) -> str | None:
    """What the reference makes of it when it writes it again; None where Godot has no such type, empty: it refuses."""
    try:
        value = cast("Any", msgpack.unpackb(body, strict_map_key=False))
    except (UnicodeDecodeError, TypeError):
        return None
    except ValueError:
        return ""
    return None if _has_foreign(value) else packed(value).hex()


def _has_foreign(value: Any) -> bool:
    """Whether Godot 3 lacks a type for a part of it: extensions, text with a zero in it, the largest integers."""
    match value:
        case dict():
            parts = cast("dict[Any, Any]", value)
            return any(_has_foreign(part) for part in (*parts, *parts.values()))
        case list():
            return any(_has_foreign(part) for part in cast("list[Any]", value))
        case str():
            return "\0" in value
        case int():
            return value >= 2**63
        case _:
            return not isinstance(value, float | bytes | None)


def _write(folder: Path, bodies: list[bytes]) -> list[Path]:
    paths = [folder / f"{number}.msgpack" for number in range(len(bodies))]
    for path, body in zip(paths, bodies, strict=True):
        path.write_bytes(body)
    return paths


def _read(folder: Path, paths: list[Path], show: str = "") -> list[dict[str, Any]]:
    """What the plugin's codec says of each file."""
    project = new_project(folder / "game")
    (folder / "list.txt").write_text("".join(f"{path}\n" for path in paths))
    return run_script(project, "read_messages.gd", MESSAGES=str(folder / "list.txt"), SHOW=show)
