"""kill -9 at every step of a save: no torn file ever has a name, and the next save puts everything right."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.daemon.outputs import dying
from tests.daemon.outputs.samples import (
    FOLDER,
    a_member,
    a_tree,
    check_whole,
    files_below,
    record_of,
    sha256_of,
)

ROOT = Path(__file__).parents[3]
PATH = f"{FOLDER}/images/00000_0.png"


def _start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.daemon.outputs.dying", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _kill(child: subprocess.Popen[str]) -> str:
    """Kill it; the rest of what it said."""
    child.kill()
    return child.communicate(timeout=60)[0]


def _first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline()


def _forget(data_dir: Path, known: frozenset[str], *indexes: int) -> int:
    async def run() -> int:
        async with a_tree(data_dir) as tree:
            return await tree.forget_unknown([a_member(index) for index in indexes], known)

    return asyncio.run(run())


def _finished(data_dir: Path, shade: int) -> bytes:
    data_dir.mkdir(exist_ok=True)
    asyncio.run(dying.save_one(data_dir, shade))
    return (data_dir / PATH).read_bytes()


@pytest.mark.parametrize("again", [False, True])
def test_killed_before_every_step(tmp_path: Path, *, again: bool) -> None:
    """We expect after a kill at any step a whole file, new or as before, or none; and a repeated save like a first."""
    before, after = (_finished(tmp_path / "reference", shade) for shade in (1, 2))
    reference = files_below(tmp_path / "reference")
    steps: list[str] = []
    while not steps or steps[-1] != "done":
        data_dir = tmp_path / str(len(steps))
        data_dir.mkdir()
        if again:
            _finished(data_dir, 1)
        child = _start("one", data_dir, 2, len(steps))
        step = _first_line(child)
        _kill(child)
        steps.append(step.removeprefix("stopped ").strip())
        images = check_whole(data_dir)
        assert images == [PATH] or not (images or again), step
        if images:
            assert (data_dir / PATH).read_bytes() in ({before, after} if again else {after}), step
        _forget(data_dir, frozenset(), 0)
        assert files_below(data_dir) == [], step
        assert _finished(data_dir, 2) == after, step
        assert files_below(data_dir) == reference
    for step in "rename .00000_0.json.part 00000_0.json", "rename .00000_0.png.part 00000_0.png", "done":
        assert step in steps
    assert steps[-2].startswith("fsync ")


@pytest.mark.parametrize("told", [1, 20, 90])
def test_killed_in_the_middle_of_many(tmp_path: Path, told: int) -> None:
    """We expect that whatever was told to be saved is whole after a kill, and can be told from all else."""
    child = _start("many", tmp_path)
    safe = [_first_line(child).strip() for _ in range(told)]
    safe += _kill(child).split()
    assert set(safe) <= set(check_whole(tmp_path))
    for path in safe:
        assert record_of(tmp_path, path)["sha256"] == sha256_of((tmp_path / path).read_bytes())
    _forget(tmp_path, frozenset(safe), *range(200))
    assert len(files_below(tmp_path)) == 2 * len(safe)
    assert check_whole(tmp_path) == sorted(safe)
