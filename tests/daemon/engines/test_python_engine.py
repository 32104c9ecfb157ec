"""The engine `python` with a model class that behaves: beginning, checking, running, ending."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.conformance.bench import Recorder, checked, members, run, started, submit, until, within_bound
from tests.daemon.engines.faults_engine import faults_engine, pid_file, worker_pid
from tests.models.faults import BIG
from tests.worker.processes import is_alive

from stoker_daemon.jobs.records import EngineFailure
from stoker_protocol.errors import FailureKind, Refused


@pytest.mark.parametrize(
    ("settings", "detail"),
    [
        ({"python": "/nonexistent/python"}, "/nonexistent/python: No such file or directory; correct `python`"),
        ({"model": "tests.models.nowhere:Nothing"}, "ModuleNotFoundError: No module named 'tests.models.nowhere'"),
        ({"model": "tests.models.faults:CannotDescribe"}, "RuntimeError: no idea what this offers"),
        (
            {"model": "tests.models.faults:NeverDescribes", "start_timeout_s": 0.5},
            "the worker did not begin within 0.5 s and was ended",
        ),
        ({"python": "/bin/true"}, "the worker exited with code 0"),
        ({"python": "/bin/echo"}, "the worker exited with code 0"),
    ],
)
def test_engine_that_can_not_begin(tmp_path: Path, settings: dict[str, str], detail: str) -> None:
    """Such an engine is down and says why, and jobs for it are accepted unchecked."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, **settings)) as engine:
            facts = engine.facts()
            assert (facts.state, facts.models, facts.max_batch) == ("down", [], 1)
            assert detail in facts.detail
            assert engine.place(submit({}, model="any")).model == "any"
            assert engine.place(submit({})).model == ""
            await checked(engine, submit({"any": "thing"}))
            with pytest.raises(EngineFailure) as failure:
                await within_bound(engine.load("any"))
            assert (failure.value.kind, failure.value.unavailable) == (FailureKind.SERVER_ERROR, True)
            assert detail in failure.value.message
        assert not pid_file(tmp_path).exists() or not is_alive(worker_pid(tmp_path))

    asyncio.run(scenario())


def test_load_tries_again_after_a_failed_begin(tmp_path: Path) -> None:
    """An engine which could not begin recovers with a later load, once the reason is gone."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path, model="late:Faults")) as engine:
            assert engine.facts().state == "down"
            (tmp_path / "late.py").write_text("from tests.models.faults import Faults\n")
            assert (await run(engine, {"prompt": "at last"})).positions == [0]
            assert (engine.facts().state, engine.facts().detail) == ("ready", "")

    asyncio.run(scenario())


def test_job_from_before_anything_was_known(tmp_path: Path) -> None:
    """An item which nobody could check fails at its run for the parameter, and the others do not."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            recorder = await run(engine, {"prompt": "a", "width": 5}, {"prompt": "b"}, {"prompt": "c", "steps": 0})
            assert recorder.positions == [1]
            assert [(position, kind) for position, kind, _ in recorder.failures] == [(0, "invalid"), (2, "invalid")]
            assert "params.steps: 0 is out of range" in recorder.failures[1][2]
            assert (await run(engine, {"steps": 0})).positions == []
            with pytest.raises(EngineFailure, match="there is no model 'five'") as failure:
                await within_bound(engine.load("five"))
            assert failure.value.kind is FailureKind.INVALID

    asyncio.run(scenario())


def test_check_finds_what_is_missing(tmp_path: Path) -> None:
    """A required parameter may come from the job or the item, and is missed when from neither."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            await checked(engine, submit(None, {"steps": 1}, params={"prompt": "shared"}))
            await checked(engine, submit({"prompt": "own"}, params={"steps": 1}))
            for request in (submit({"prompt": "own"}, None), submit({"prompt": "own"}, {"steps": 1})):
                with pytest.raises(Refused, match="prompt is missing") as refusal:
                    await checked(engine, request)
                assert refusal.value.field == "items[1].params.prompt"

    asyncio.run(scenario())


def test_check_of_many_items_lets_others_have_their_turn(tmp_path: Path) -> None:
    """Checking ten thousand items hands the loop back again and again."""

    async def scenario() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with started(faults_engine(tmp_path)) as engine:
            task = asyncio.create_task(other())
            await checked(engine, submit(*[{"prompt": "own"}] * 10_000))
            task.cancel()
        assert turns >= 30

    asyncio.run(scenario())


def test_run_completes_parameters_and_records_versions(tmp_path: Path) -> None:
    """The model sees the defaults of what an item leaves open, and records name versions."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            (output,) = (await run(engine, {"prompt": "cat"})).outputs
            assert output.record["seed"] == 0
            assert set(output.record["versions"]) == {"stoker", "python"}
            assert (output.data, output.media_type, output.suffix) == (b"cat", "text/plain", ".txt")

    asyncio.run(scenario())


def test_outputs_none_two_and_large(tmp_path: Path) -> None:
    """An item may have several outputs or a large one, and one without any is failed."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            recorder = await run(engine, *({"prompt": do, "do": do} for do in ("nothing", "twice", "big", "done")))
            assert [(o.position, o.more) for o in recorder.outputs] == [(1, True), (1, False), (2, False)]
            assert len(recorder.outputs[2].data) == BIG
            assert recorder.done == [3]
            assert recorder.failures == [(0, "internal", "the model returned nothing")]

    asyncio.run(scenario())


def test_previews_reach_the_observer_that_wants_them(tmp_path: Path) -> None:
    """A preview comes with its item and step when somebody looks, and not when nobody does."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            await within_bound(engine.load(""))
            for wants in (False, True):
                recorder = Recorder(wants_previews=wants)
                await within_bound(engine.run("run", members({"prompt": "a"}), recorder))
                assert recorder.previews == [(0, 1, 2, b"preview")] * wants
                assert recorder.progress[-1] == ("running", 2, 2)

    asyncio.run(scenario())


def test_worker_that_dies_while_idle(tmp_path: Path) -> None:
    """Such a death is known at once and without being asked, and the next load begins anew."""

    async def scenario() -> None:
        async with started(faults_engine(tmp_path)) as engine:
            await run(engine, {"prompt": "before"})
            pid = worker_pid(tmp_path)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: "because memory ran out" in engine.facts().detail)
            assert engine.facts().state == "down"
            with pytest.raises(EngineFailure) as failure:
                await within_bound(engine.run("run", members({"prompt": "a"}), Recorder()))
            assert (failure.value.kind, failure.value.died) == (FailureKind.LOST, True)
            assert (await run(engine, {"prompt": "after"})).positions == [0]
            assert worker_pid(tmp_path) != pid

    asyncio.run(scenario())


def test_stop_leaves_nothing(tmp_path: Path) -> None:
    """A stopped engine has no process and no pid file any more, however its worker is."""

    async def scenario() -> None:
        for harm in (None, signal.SIGSTOP, signal.SIGKILL):
            async with started(faults_engine(tmp_path, grace_s=0.2)):
                pid = worker_pid(tmp_path)
                if harm:
                    os.kill(pid, harm)
            assert not is_alive(pid)
            assert not pid_file(tmp_path).exists()

    asyncio.run(scenario())


def test_working_directory_does_not_hide_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file which happens to lie where the daemon runs is not imported by its workers."""
    (tmp_path / "queue.py").write_text("raise RuntimeError('imported by accident')\n")
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        async with started(faults_engine(tmp_path / "elsewhere")) as engine:
            assert engine.facts().state == "ready"

    (tmp_path / "elsewhere").mkdir()
    asyncio.run(scenario())
