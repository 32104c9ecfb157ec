"""The examples do what they say."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from msgspec.structs import replace
from tests.fakes.daemon import PATIENCE_S, FakeDaemon
from tests.system.locked import a_locked_daemon
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id
from stoker_protocol.keys import to_text

EXAMPLES = Path(__file__).parents[2] / "examples"
SLOW = """
[engines.slow]
model = "stoker_worker.models.sprites:Sprites"
options = { load_s = 0.0, step_s = 0.02 }
"""


def test_submit_and_forget(stokerd: PrivateDaemon) -> None:
    """We expect that the job that it names is there with its prompts."""
    job_id = _run(stokerd, "submit_and_forget.py", "a knight", "a fox", "a cat").strip()
    with Client(stokerd.control) as client:
        job = client.wait(job_id, PATIENCE_S)
    assert (job.items.succeeded, job.name, job.priority) == (3, "an example", "low")


def test_submit_to_nobody() -> None:
    """We expect that without a daemon it says what to do."""
    command = [sys.executable, EXAMPLES / "submit_and_forget.py"]
    environment = {**os.environ, "STOKER_ENDPOINT": "nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("can't connect to 'nowhere'")


def test_a_line_of_cron(stokerd: PrivateDaemon, tmp_path: Path) -> None:
    """We expect the line that the example shows to do, in the shell and with the little that cron gives it."""
    example = tmp_path / "submit_and_forget.py"
    example.write_text((EXAMPLES / example.name).read_text())
    line = re.search(r"^ +30 2 \* \* \* (.*)$", example.read_text(), re.MULTILINE)
    assert line is not None
    command = line[1].replace("STOKER_KEY=$HOME/me.key", "").replace("/opt/stoker/bin/python", sys.executable)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "STOKER_ENDPOINT": stokerd.control}
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, timeout=PATIENCE_S, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    with Client(stokerd.control) as client:
        assert client.wait(next(iter(client.jobs())).job_id, PATIENCE_S).items.succeeded == 1


def test_watch_from_a_notebook(stokerd: PrivateDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect the cell to work as it is in a notebook's kernel, and to show each picture."""
    monkeypatch.setenv("STOKER_ENDPOINT", stokerd.control)
    monkeypatch.chdir(tmp_path)
    said: list[dict[str, Any]] = []
    with a_notebook(tmp_path) as notebook:
        cell = (EXAMPLES / "watch_from_a_notebook.py").read_text()
        notebook.execute_interactive(cell, timeout=PATIENCE_S, output_hook=said.append)
    content = [message["content"] for message in said]
    assert [one["ename"] for one in content if "ename" in one] == []
    assert "succeeded" in "".join(one.get("text", "") for one in content).splitlines()
    assert len([one for one in content if "image/png" in one.get("data", {})]) == 2


def test_watch_async(stokerd: PrivateDaemon, tmp_path: Path) -> None:
    """We expect that it tells how the job goes, and brings its files."""
    *told, first, second = _run(stokerd, "watch_async.py", str(tmp_path / "pictures")).splitlines()
    assert told[-1] == "succeeded"
    assert [Path(first).name, Path(second).name] == ["00000_0.png", "00001_0.png"]
    assert {path.stat().st_size > 0 for path in (tmp_path / "pictures").iterdir()} == {True}


def test_subscriber_without_our_library(stokerd: PrivateDaemon) -> None:
    """We expect that it prints every event from where it begins, by its number, until the job is over."""
    job_id = new_job_id()
    with (
        _start(stokerd.control, "subscriber_without_our_library.py", [job_id]) as subscriber,
        Client(stokerd.control) as client,
    ):
        assert subscriber.stdout is not None
        begin = int(subscriber.stdout.readline().split()[1])
        client.submit(["a bat", "an owl"], job_id=job_id)
        told = [line.split() for line in subscriber.communicate(timeout=PATIENCE_S)[0].splitlines()]
    assert [int(seq) for seq, _ in told] == list(range(begin + 1, begin + 1 + len(told)))
    assert {"job_submitted", "run_started", "run_finished"} <= {kind for _, kind in told}
    assert subscriber.returncode == 0


def test_progress_without_our_library(stokerd: PrivateDaemon) -> None:
    """We expect that it prints how far a job is, rising, with a phase, and speaks of no gap where there is none."""
    with follower(stokerd.control) as progress, Client(stokerd.control) as client:
        until(progress, "after")
        job_id = client.submit(["a bat"] * 20, engine="slow", batch_size=1).job_id
        told = [until(progress, job_id)[-1].split() for _ in range(5)]
        client.cancel(job_id)
    assert [name for name, *_ in told] == [job_id] * 5
    percents = [int(percent) for _, percent, *_ in told]
    assert percents == sorted(percents)
    assert percents[-1] > 0
    assert all(phase for _, _, _, *phase in told)


def test_progress_notices_what_is_missed() -> None:
    """We expect that it says how many events did not arrive, at the next one or at the next tick."""
    with FakeDaemon() as daemon, follower(daemon.control) as progress:
        until(progress, "after")
        daemon.drop_events(2)
        daemon.add_job("first")
        daemon.start_run("first")
        daemon.add_job("second")
        assert until(progress, "missed")[-1] == "missed 2"
        daemon.drop_events()
        daemon.start_run("second")
        assert until(progress, "missed")[-1] == "missed 1"


def test_progress_with_a_key(tmp_path: Path) -> None:
    """We expect that with a key file it is let in where keys are asked for."""
    with a_locked_daemon(tmp_path / "stokerd", tail=SLOW) as locked, locked.client(locked.ann) as client:
        file = tmp_path / "viewer.key"
        file.write_text(to_text(replace(locked.viewer, endpoint=locked.daemon.control)))
        with follower("nowhere", str(file)) as progress:
            until(progress, "after")
            job_id = client.submit(["a bat"] * 20, engine="slow").job_id
            assert until(progress, job_id)
            client.cancel(job_id)
            client.wait(job_id, PATIENCE_S)


def test_the_examples_are_short() -> None:
    """We expect that each example fits a page, and that each is tried here."""
    examples = sorted(EXAMPLES.glob("*.py"))
    assert [path.stem for path in examples if len(path.read_text().splitlines()) > 60] == []
    assert len((EXAMPLES / "progress_without_our_library.py").read_text().splitlines()) <= 30
    here = Path(__file__).read_text()
    assert [path.stem for path in examples if f"def test_{path.stem}(" not in here] == []


def test_submit_without_our_library(tmp_path: Path, config_args: list[str]) -> None:
    """We expect that it submits, follows over a kill of the daemon, and brings the files, each byte as it was made."""
    with PrivateDaemon(tmp_path / "stokerd", args=config_args) as daemon, Client(daemon.control) as client:
        client.pause()
        with _start(
            daemon.control, "submit_without_our_library.py", [str(tmp_path / "made"), "a bat", "an owl"]
        ) as script:
            wait_for(lambda: list(client.jobs()))
            daemon.restart()
            client.resume()
            told = script.communicate(timeout=PATIENCE_S)[0].splitlines()
        job_id, state = told[-1].split()
        assert (script.returncode, state, client.job(job_id).items.succeeded) == (0, "succeeded", 2)
        made = {Path(artifact.path).name: artifact.sha256 for artifact in client.artifacts(job_id)}
    fetched = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "made").iterdir()}
    assert fetched == made


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*_without_our_library.py")), ids=lambda path: path.stem)
def test_some_need_no_library_of_ours(path: Path) -> None:
    """We expect that the plain ones import nothing of ours."""
    imported = re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.MULTILINE)
    assert set(imported) <= {"hashlib", "os", "sys", "tomllib", "pathlib", "msgpack", "zmq"}


@contextmanager
def a_notebook(folder: Path) -> Generator[BlockingKernelClient]:
    """A kernel as a notebook has it, over sockets in a folder, and what talks to it."""
    kernel = KernelManager(transport="ipc", ip=str(folder / "kernel"))
    kernel.start_kernel()
    try:
        notebook = kernel.blocking_client()
        notebook.start_channels()
        notebook.wait_for_ready(timeout=PATIENCE_S)
        yield notebook
        notebook.stop_channels()
    finally:
        kernel.shutdown_kernel(now=True)


@contextmanager
def follower(endpoint: str, *args: str) -> Generator[IO[str]]:
    """What the subscriber to progress prints."""
    with _start(endpoint, "progress_without_our_library.py", args) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.terminate()


def until(lines: IO[str], part: str) -> list[str]:
    """The lines up to the first that has something in it."""
    told: list[str] = []
    while part not in "".join(told[-1:]):
        told.append(lines.readline().rstrip())
        assert told[-1], told
    return told


def _run(daemon: PrivateDaemon, example: str, *args: str) -> str:
    with _start(daemon.control, example, args) as process:
        told, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return told


def _start(endpoint: str, example: str, args: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / example), *args]
    environment = {**os.environ, "STOKER_ENDPOINT": endpoint}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
