"""The engine `python` with a model class that misbehaves in every way we know of."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.bench import Recorder, members, run, started, until, within_bound
from tests.daemon.engines.faults_engine import faults_engine, worker_pid
from tests.worker.processes import cpu_seconds, is_alive, state_of

from stoker_daemon.engines.python import PythonEngine
from stoker_daemon.jobs.records import EngineFailure
from stoker_protocol.errors import FailureKind


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ("segfault", "the worker was killed by SIGSEGV"),
        ("kill", "the worker was killed by SIGKILL, perhaps because memory ran out"),
        ("exit", "the worker exited with code 3"),
        ("garbage", "the worker said what is no message (a frame of 4294967295 bytes) and was ended"),
        ("nonsense", "the worker said what is no message"),
        ("wrong_type", "Expected `bytes`, got `str` - at `$.data`"),
        ("close", "the worker"),
    ],
)
def test_worker_that_dies_in_a_run(tmp_path: Path, do: str, message: str) -> None:
    """The run fails as a crash which says how, keeps earlier outputs, and the next load begins anew."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            await within_bound(engine.load(""))
            pid = worker_pid(tmp_path)
            recorder = Recorder()
            with pytest.raises(EngineFailure) as failure:
                await within_bound(engine.run("run", members({"prompt": "a"}, {"prompt": "b", "do": do}), recorder))
            assert (failure.value.kind, failure.value.died) == (FailureKind.CRASH, True)
            assert message in failure.value.message
            assert recorder.positions == [0]
            assert engine.facts().state == "down"
            assert not is_alive(pid)
            assert (await run(engine, {"prompt": "next"})).positions == [0]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("do", "kind", "message"),
    [
        ("raise", FailureKind.INTERNAL, "ValueError: can't draw b"),
        ("oom", FailureKind.OOM, "OutOfMemoryError: tried to allocate 80 GiB"),
        ("memory_error", FailureKind.OOM, "MemoryError:"),
    ],
)
def test_exception_fails_the_run_and_not_the_worker(tmp_path: Path, do: str, kind: FailureKind, message: str) -> None:
    """A model's exception fails the run with its kind, and the same worker goes on."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            await within_bound(engine.load(""))
            with pytest.raises(EngineFailure) as failure:
                await within_bound(engine.run("run", members({"prompt": "b", "do": do}), Recorder()))
            assert (failure.value.kind, failure.value.message, failure.value.died) == (kind, message, False)
            pid = worker_pid(tmp_path)
            assert (await run(engine, {"prompt": "next"})).positions == [0]
            assert worker_pid(tmp_path) == pid

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model", "kind", "died", "message"),
    [
        ("broken", FailureKind.INTERNAL, False, "RuntimeError: the weights are broken"),
        ("huge", FailureKind.OOM, False, "MemoryError: the weights are too large"),
        ("fatal", FailureKind.CRASH, True, "the worker exited with code 4"),
        ("stuck", FailureKind.TIMEOUT, True, "stuck was not loaded within 0.5 s"),
    ],
)
def test_model_that_does_not_load(tmp_path: Path, model: str, kind: FailureKind, *, died: bool, message: str) -> None:
    """A failed load says why, and another model still loads."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, load_timeout_s=0.5)) as engine:
            with pytest.raises(EngineFailure) as failure:
                await within_bound(engine.load(model))
            assert (failure.value.kind, failure.value.died, failure.value.message) == (kind, died, message)
            assert (await run(engine, {"prompt": "next"}, model="two")).positions == [0]

    asyncio.run(scenario())


@pytest.mark.parametrize("do", ["hang", "hold_gil", "stop"])
@pytest.mark.parametrize("ignore_sigterm", [False, True], ids=["", "ignores SIGTERM"])
def test_hung_worker_can_be_killed(tmp_path: Path, do: str, *, ignore_sigterm: bool) -> None:
    """A worker which hears nothing holds nobody up, and force ends it whatever it ignores."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            task = await _begin(engine, {"prompt": "hung", "do": do, "ignore_sigterm": ignore_sigterm})
            pid = worker_pid(tmp_path)
            await until(lambda: _is_hung(pid, do))
            await within_bound(engine.interrupt("run"))
            assert not task.done()
            await within_bound(engine.terminate(force=False))
            if do == "stop" or ignore_sigterm:
                assert not task.done()
                assert is_alive(pid)
                await within_bound(engine.terminate(force=True))
                assert not is_alive(pid)
            with pytest.raises(EngineFailure, match="ended by the daemon") as failure:
                await within_bound(task)
            assert failure.value.died
            assert (await run(engine, {"prompt": "next"})).positions == [0]

    asyncio.run(scenario())


def test_stopped_worker_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """Sending far more than the socket holds to a worker that reads nothing returns at once."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            await within_bound(engine.load(""))
            os.kill(worker_pid(tmp_path), signal.SIGSTOP)
            batch = [{"prompt": "x" * (1 << 20)}] * 8
            task = asyncio.create_task(engine.run("run", members(*batch), Recorder()))
            for _ in range(1000):
                await within_bound(engine.interrupt("run"))
            await within_bound(engine.terminate(force=True))
            with pytest.raises(EngineFailure):
                await within_bound(task)

    asyncio.run(scenario())


def test_death_of_a_worker_takes_its_children_along(tmp_path: Path) -> None:
    """A process which the model started does not outlive the worker."""

    async def scenario() -> None:
        log = tmp_path / "log"
        async with started(faults_engine(tmp_path)) as engine:
            await within_bound(engine.load(""))
            batch = [{"prompt": "a", "do": "child", "log": str(log)}, {"prompt": "b", "do": "kill"}]
            with pytest.raises(EngineFailure):
                await within_bound(engine.run("run", members(*batch), Recorder()))
            child = int(log.read_text().split("child ")[1].split()[0])
            await until(lambda: not is_alive(child))

    asyncio.run(scenario())


@pytest.mark.parametrize("then", ["load", "stop"])
def test_orphan_that_holds_the_connection_open(tmp_path: Path, then: str) -> None:
    """A worker's death is known even when a process that left its group keeps the socket, and it stays no longer."""

    async def scenario() -> None:
        log = tmp_path / "log"
        async with started(faults_engine(tmp_path)) as engine:
            await within_bound(engine.load(""))
            item = {"prompt": "a", "do": "orphan", "log": str(log)}
            recorder = Recorder()
            with pytest.raises(EngineFailure, match="SIGKILL"):
                await within_bound(engine.run("run", members({"prompt": "made"}, item), recorder))
            orphan = int(log.read_text().split("orphan ")[1].split()[0])
            assert is_alive(orphan)
            assert recorder.positions == [0]
            await within_bound(engine.load("") if then == "load" else engine.stop())
            await until(lambda: not is_alive(orphan))

    asyncio.run(scenario())


def test_engine_can_be_ended_while_it_begins(tmp_path: Path) -> None:
    """Neither a stop nor a cancelled start leaves a worker that never came to speak."""

    async def scenario() -> None:
        engine = faults_engine(tmp_path, model="tests.models.faults:NeverDescribes", grace_s=0.2)
        task = asyncio.create_task(engine.start())
        await until(lambda: engine.facts().state == "starting" and (tmp_path / "faults.pid").exists())
        pid = worker_pid(tmp_path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within_bound(task)
        await within_bound(engine.stop())
        assert not is_alive(pid)

    asyncio.run(scenario())


async def _begin(engine: PythonEngine, item: dict[str, Any]) -> "asyncio.Task[bool]":
    recorder = Recorder()
    await within_bound(engine.load(""))
    task = asyncio.create_task(engine.run("run", members(item), recorder))
    await within_bound(recorder.moved.wait())
    return task


def _is_hung(pid: int, do: str) -> bool:
    match do:
        case "stop":
            return state_of(pid) == "T"
        case "hold_gil":
            return cpu_seconds(pid) > 0.5
        case _:
            return True
