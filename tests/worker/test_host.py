"""The worker process from the outside: what it says to what it is told, and how it ends."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models.faults import BIG
from tests.worker.host_process import REPOSITORY, outputs, ready, spawned
from tests.worker.processes import BOUND_S, cpu_seconds, is_alive, state_of, wait_for

from stoker_protocol.errors import FailureKind
from stoker_protocol.worker import (
    Interrupt,
    ItemFailed,
    Load,
    Loaded,
    LoadFailed,
    Produced,
    Ready,
    Report,
    RunEnded,
)

INSTALLED = ("diffusers", "sentence_transformers", "sprites")
HOSTED = '[{"model": "tests.models.faults:Faults"}]'


def test_first_word_is_what_the_class_offers() -> None:
    """A worker begins with its pid, the models and parameters of its class, and versions."""
    with spawned() as host:
        said = host.hear()
        assert isinstance(said, Ready)
        assert said.pid == host.process.pid
        assert [model.name for model in said.family.models][:2] == ["one", "two"]
        assert said.family.max_batch == 8
        assert said.versions["python"] == sys.version.split()[0]
        assert said.versions["stoker"]


def test_the_last_answer_comes_with_the_end() -> None:
    """We expect each answer at once, but that to the last item in one go with the end of the run."""
    with ready() as host:
        host.start({}, {})
        positions = [host.hear_until(Produced)[0].position for _ in range(2)]
        assert positions == [0, 1]
        assert host.unheard == [RunEnded(run_id="run", how="done")]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("tests.models.nowhere:Faults", "ModuleNotFoundError: No module named 'tests.models.nowhere'"),
        ("tests.models.faults:Nothing", "AttributeError: module 'tests.models.faults' has no attribute 'Nothing'"),
        ("sprite", "LookupError: no model class 'sprite' is installed; did you mean sprites?"),
        (
            "nonsense",
            "LookupError: no model class 'nonsense' is installed; installed: diffusers, sentence_transformers, sprites",
        ),
        ("tests.models.faults:CannotDescribe", "RuntimeError: no idea what this offers"),
        (
            "tests.models.faults:DescribesWrongly",
            "TypeError: its describe() returns what describes no models: Invalid enum value 'text'"
            " - at `$.parameters[0].type`",
        ),
    ],
)
def test_unusable_class(model: str, message: str) -> None:
    """A worker without a usable class says why, shows the traceback, and exits with an error."""
    with spawned(model) as host:
        assert host.hear() == LoadFailed(model="", kind=FailureKind.INTERNAL, message=f"{model}: {message}")
        _, stderr = host.process.communicate(timeout=BOUND_S)
        assert "Traceback" in stderr
        assert host.process.returncode == 1


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        ("broken", FailureKind.INTERNAL, "RuntimeError: the weights are broken"),
        ("huge", FailureKind.OOM, "MemoryError: the weights are too large"),
    ],
)
def test_model_that_does_not_load(model: str, kind: FailureKind, message: str) -> None:
    """A failed load names its kind and reason in one line, and another model still loads."""
    with ready() as host:
        assert host.load(model) == LoadFailed(model=model, kind=kind, message=message)
        assert isinstance(host.load("two"), Loaded)


def test_run_gives_outputs_as_they_come() -> None:
    """Each item's outputs come with their positions and records, and the end of the run last."""
    with ready() as host:
        ended, said = host.run({"prompt": "cat", "seed": 7}, {"prompt": "dog", "do": "twice"}, {"do": "nothing"})
        assert ended == RunEnded(run_id="run", how="done")
        assert outputs(said) == [(0, b"cat"), (1, b"dog"), (1, b"dog")]
        first = next(word for word in said if isinstance(word, Produced))
        assert first.record == {"model": "one", "prompt": "cat", "seed": 7}
        assert (first.media_type, first.suffix) == ("text/plain", ".txt")


def test_run_is_divided_into_what_the_model_takes_at_once() -> None:
    """A batch larger than the model takes is run in parts, whose steps count as those of one run."""
    with ready({"max_batch": 2}) as host:
        ended, said = host.run(*({"prompt": str(n), "steps": 1} for n in range(5)))
        assert ended.how == "done"
        assert outputs(said) == [(n, str(n).encode()) for n in range(5)]
        steps = [(word.step, word.steps) for word in said if isinstance(word, Report)]
        assert steps == [(1, 3), (1, 3), (2, 3), (2, 3), (3, 3)]


def test_run_reports_its_last_step() -> None:
    """The last step of each item is reported, and a preview comes only when asked for."""
    with ready() as host:
        for previews in (False, True):
            _, said = host.run({"steps": 3}, {"steps": 3}, previews=previews)
            reports = [word for word in said if isinstance(word, Report)]
            assert [word.position for word in reports if word.step == word.steps == 3] == [0, 1]
            assert [word.preview for word in reports if word.preview] == [b"preview"] * previews


def test_big_output() -> None:
    """An output of several megabytes arrives whole."""
    with ready() as host:
        _, said = host.run({"do": "big"})
        assert [len(data) for _, data in outputs(said)] == [BIG]


def test_failed_item_leaves_the_others_alone() -> None:
    """An item which the model fails is told so, and the others have their outputs."""
    with ready() as host:
        ended, said = host.run(
            {"prompt": "a"}, {"do": "fail", "kind": "refused", "message": "no\nway"}, {"prompt": "c"}
        )
        assert ended.how == "done"
        assert outputs(said) == [(0, b"a"), (2, b"c")]
        failures = [word for word in said if isinstance(word, ItemFailed)]
        assert failures == [ItemFailed(run_id="run", position=1, kind=FailureKind.REFUSED, message="no way")]


@pytest.mark.parametrize(
    ("do", "kind", "message"),
    [
        ("raise", FailureKind.INTERNAL, "ValueError: can't draw a"),
        ("raise_long", FailureKind.INTERNAL, ("ValueError: " + "x" * 1000)[:500]),
        ("oom", FailureKind.OOM, "OutOfMemoryError: tried to allocate 80 GiB"),
        ("memory_error", FailureKind.OOM, "MemoryError:"),
        ("stray", FailureKind.INTERNAL, "ValueError: the batch has no position 99"),
    ],
)
def test_exception_fails_the_run(do: str, kind: FailureKind, message: str) -> None:
    """An exception fails the run with its kind and one short line, and the worker goes on."""
    with ready() as host:
        ended, said = host.run({"prompt": "first"}, {"do": do})
        assert ended == RunEnded(run_id="run", how="failed", kind=kind, message=message)
        assert outputs(said) == [(0, b"first")]
        assert host.run({"prompt": "next"})[0].how == "done"
        host.connection.shutdown(socket.SHUT_RDWR)
        assert "Traceback" in host.process.communicate(timeout=BOUND_S)[1]


def test_interrupt_stops_the_run_at_its_next_step(tmp_path: Path) -> None:
    """An interrupted run ends as such, keeps what it made before, and the next run is untouched."""
    gate = tmp_path / "gate"
    with ready() as host:
        host.start({"prompt": "made"}, {"gate": str(gate)}, {"prompt": "never"}, run_id="first")
        wait_for(Path(f"{gate}.reached").exists)
        host.tell(Interrupt(run_id="first"))
        ended, said = host.hear_until(RunEnded)
        assert ended == RunEnded(run_id="first", how="interrupted")
        assert outputs(said) == [(0, b"made")]
        assert host.run({}, run_id="second")[0] == RunEnded(run_id="second", how="done")


def test_interrupt_of_another_run_is_ignored(tmp_path: Path) -> None:
    """An interrupt which names another run does not stop the one at work."""
    gate = tmp_path / "gate"
    with ready() as host:
        host.start({"gate": str(gate)}, run_id="second")
        wait_for(Path(f"{gate}.reached").exists)
        host.tell(Interrupt(run_id="first"))
        host.tell(Load(model="two"))
        gate.touch()
        assert host.hear_until(RunEnded)[0] == RunEnded(run_id="second", how="done")
        assert isinstance(host.hear(), Loaded)


def test_interrupt_that_overtakes_the_start() -> None:
    """A run interrupted before it began ends at its first step."""
    with ready() as host:
        host.tell(Interrupt(run_id="early"))
        ended, said = host.run({}, run_id="early")
        assert (ended.how, said) == ("interrupted", [])


def test_closed_connection_ends_a_hung_model(tmp_path: Path) -> None:
    """A worker goes with its connection in the middle of a step, and takes its children along."""
    log = tmp_path / "log"
    with ready(leader=True) as host:
        host.start({"do": "child", "log": str(log)}, {"prompt": "hung", "do": "hang", "log": str(log)})
        wait_for(lambda: log.exists() and "1 hung" in log.read_text())
        child = int(log.read_text().split("child ")[1].split()[0])
        assert is_alive(child)
        host.connection.shutdown(socket.SHUT_RDWR)
        host.process.wait(BOUND_S)
        wait_for(lambda: not is_alive(child))


@pytest.mark.parametrize("do", ["hold_gil", "stop", "hang"])
def test_dead_daemon_takes_its_worker_along(do: str) -> None:
    """No worker survives its daemon, not even one in which no Python can run."""
    script = [sys.executable, str(Path(__file__).with_name("short_lived_daemon.py")), do]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(script, env=environment, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        worker = int(daemon.stdout.readline())
        if do == "stop":
            wait_for(lambda: state_of(worker) == "T")
        if do == "hold_gil":
            wait_for(lambda: cpu_seconds(worker) > 0.5)
        assert is_alive(worker)
        daemon.kill()
        wait_for(lambda: not is_alive(worker))


def test_daemon_dead_before_the_worker_began() -> None:
    """A worker whose parent is not the one that made its socket ends without a word."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "stoker_worker", "--classes", HOSTED]
        orphaned = f"{shlex.join([*command, '--fd', str(theirs.fileno())])} & wait $!; exit $?"
        run = subprocess.run(["sh", "-c", orphaned], pass_fds=[theirs.fileno()], timeout=BOUND_S, check=False)
        assert run.returncode == 1
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)


def test_signals(tmp_path: Path) -> None:
    """A worker does not mind SIGINT, which a terminal sends to all, and SIGTERM ends it."""
    gate = tmp_path / "gate"
    with ready() as host:
        host.start({"gate": str(gate)})
        wait_for(Path(f"{gate}.reached").exists)
        os.kill(host.process.pid, signal.SIGINT)
        gate.touch()
        assert host.hear_until(RunEnded)[0].how == "done"
        os.kill(host.process.pid, signal.SIGTERM)
        assert host.process.wait(BOUND_S) == -signal.SIGTERM


def test_exit_code_of_a_model_that_exits() -> None:
    """A model which exits ends its worker with that code and without another word of the run."""
    with ready() as host:
        host.start({"do": "exit"})
        while (said := host.hear()) is not None:
            assert not isinstance(said, RunEnded | Produced)
        assert host.process.wait(BOUND_S) == 3


def test_a_worker_stays_light() -> None:
    """A worker starts without the parts of the standard library and the packages that a daemon needs."""
    heavy = ["asyncio", "sqlite3", "httpx", "psutil", "structlog", "zmq", "stoker_daemon", "stoker_client"]
    program = f"import sys, stoker_worker.__main__; print(sorted(set(sys.modules) & set({heavy})))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=BOUND_S, check=True)
    assert run.stdout.strip() == "[]"
