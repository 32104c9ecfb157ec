"""All that a command started ends with it: by itself, when it is stopped, and when its guard is killed."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.conformance.bench import Recorder, members, run, started, until, within_bound
from tests.daemon.engines.command_bench import engine_of, outcome, pids, script
from tests.worker.processes import is_alive

from stoker_daemon.engines.command import CommandEngine
from stoker_daemon.jobs.records import EngineFailure
from stoker_daemon.recipes.command import Command
from stoker_protocol.errors import FailureKind

FAMILY = """
echo leader=$$
sleep 600 & child=$!; echo child=$child
setsid sh -c 'echo stranger=$$; exec sleep 600' &
(setsid sh -c 'trap "" TERM; echo orphan=$$; sleep 600 & echo grandchild=$!; wait' & )
while [ $(wc -l < family) -lt 5 ]; do sleep 0.01; done
"""
"""Processes in the command's group, in sessions of their own, with dead parents, and deaf to SIGTERM."""


def family(folder: Path, more: str) -> Command:
    """A command that starts a family, writes down who they are, and goes on with more."""
    return script(f"exec > family {FAMILY} {more}", cwd=str(folder))


async def at_work(engine: CommandEngine, folder: Path) -> tuple["asyncio.Task[bool]", Recorder, Mapping[str, int]]:
    """A run of a family, once all of it is there and the command has touched `ready`."""
    told = Recorder()
    task = asyncio.create_task(engine.run("run", members({}, template=b"do"), told))
    await until((folder / "ready").exists)
    return task, told, pids((folder / "family").read_bytes())


def test_what_a_command_leaves_behind(tmp_path: Path) -> None:
    """What a command left running when it ended is killed, wherever it went, and its item has succeeded."""
    assert outcome(tmp_path, family(tmp_path, "exit 0")).done == [0]
    left = pids((tmp_path / "family").read_bytes())
    assert len(left) == 5
    assert [name for name, pid in left.items() if is_alive(pid)] == []


@pytest.mark.parametrize("way", ["interrupt", "terminate", "kill", "stop", "cancel"])
def test_run_that_is_ended(tmp_path: Path, way: str) -> None:
    """However a run is ended, nothing of its family is alive afterwards, and its item has no outcome."""

    async def scenario() -> None:
        deaf = "trap '' TERM;" if way in ("kill", "stop", "cancel") else ""
        async with started(engine_of(tmp_path, family(tmp_path, f"{deaf} touch ready; wait; wait"))) as engine:
            task, told, there = await at_work(engine, tmp_path)
            assert all(map(is_alive, there.values()))
            match way:
                case "interrupt":
                    await engine.interrupt("run")
                case "terminate" | "kill":
                    await engine.terminate(force=way == "kill")
                case "stop":
                    await within_bound(engine.stop())
                case _:
                    task.cancel()
            ended = await within_bound(asyncio.gather(task, return_exceptions=True))
            expected = {"stop": EngineFailure, "cancel": asyncio.CancelledError}.get(way, bool)
            assert [type(each) for each in ended] == [expected]
            assert ended[0] is False or expected is not bool
            assert [name for name, pid in there.items() if is_alive(pid)] == []
            assert (told.done, told.verdicts, told.failures, told.outputs) == ([], [], [], [])
        assert list((tmp_path / "workers").iterdir()) == []

    asyncio.run(scenario())


def test_deaf_command_outlasts_what_is_polite(tmp_path: Path) -> None:
    """A command that does not hear SIGTERM goes on until it is killed."""

    async def scenario() -> None:
        async with started(
            engine_of(tmp_path, family(tmp_path, "trap '' TERM; touch ready; wait $child; touch deaf; wait"))
        ) as engine:
            task, _, there = await at_work(engine, tmp_path)
            await engine.interrupt("run")
            await until((tmp_path / "deaf").exists)
            assert is_alive(there["leader"])
            await engine.terminate(force=True)
            assert await within_bound(task) is False
            assert not is_alive(there["leader"])

    asyncio.run(scenario())


def test_command_may_tidy_up(tmp_path: Path) -> None:
    """A command that is asked to end may still do what it has to, and its item has no outcome."""

    async def scenario() -> None:
        more = "trap 'echo bye > bye; exit 0' TERM; touch ready; wait"
        async with started(engine_of(tmp_path, family(tmp_path, more))) as engine:
            task, told, _ = await at_work(engine, tmp_path)
            await engine.interrupt("run")
            assert await within_bound(task) is False
            assert (tmp_path / "bye").read_text() == "bye\n"
            assert told.done == []

    asyncio.run(scenario())


def test_guard_that_is_killed(tmp_path: Path) -> None:
    """Without its guard a command and its family are killed, the item has crashed, and the next one runs."""

    async def scenario() -> None:
        text = 'test -n "$1" && exit 0; exec > family' + FAMILY + "touch ready; wait"
        async with started(engine_of(tmp_path, script(text, cwd=str(tmp_path)))) as engine:
            task, told, there = await at_work(engine, tmp_path)
            (pid_file,) = (tmp_path / "workers").iterdir()
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
            assert await within_bound(task) is True
            assert [failure[:2] for failure in told.failures] == [(0, FailureKind.CRASH)]
            await until(lambda: not any(map(is_alive, there.values())))
            assert (await run(engine, {"x": "next"})).done == [0]

    asyncio.run(scenario())


def test_side_by_side(tmp_path: Path) -> None:
    """Items of a run are at work at the same time, each in a folder of its own, and one that fails harms no other."""

    async def scenario() -> None:
        text = 'touch "$0/../$1"; while [ ! -e "$0/../1" ] || [ ! -e "$0/../2" ]; do sleep 0.01; done; exit $1'
        async with started(engine_of(tmp_path, script(text), max_parallel=3)) as engine:
            assert engine.facts().max_batch == 3
            told = await run(engine, {"x": "0"}, {"x": "1"}, {"x": "2"})
            assert told.done == [0]
            assert sorted(position for position, _, _ in told.failures) == [1, 2]
            assert told.progress[-1] == ("running", 3, 3)

    asyncio.run(scenario())
