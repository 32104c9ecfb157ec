"""The examples do what they say."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fakes.daemon import PATIENCE_S
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id

EXAMPLES = Path(__file__).parents[2] / "examples"


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
        _start(stokerd, "subscriber_without_our_library.py", [job_id]) as subscriber,
        Client(stokerd.control) as client,
    ):
        assert subscriber.stdout is not None
        begin = int(subscriber.stdout.readline().split()[1])
        client.submit(["a bat", "an owl"], job_id=job_id)
        told = [line.split() for line in subscriber.communicate(timeout=PATIENCE_S)[0].splitlines()]
    assert [int(seq) for seq, _ in told] == list(range(begin + 1, begin + 1 + len(told)))
    assert {"job_submitted", "run_started", "run_finished"} <= {kind for _, kind in told}
    assert subscriber.returncode == 0


def test_the_examples_are_short() -> None:
    """We expect that each example fits a page, and that each is tried here."""
    examples = sorted(EXAMPLES.glob("*.py"))
    assert [path.stem for path in examples if len(path.read_text().splitlines()) > 60] == []
    here = Path(__file__).read_text()
    assert [path.stem for path in examples if f"def test_{path.stem}(" not in here] == []


def test_submit_without_our_library(tmp_path: Path, config_args: list[str]) -> None:
    """We expect that it submits, follows over a kill of the daemon, and brings the files, each byte as it was made."""
    with PrivateDaemon(tmp_path / "stokerd", args=config_args) as daemon, Client(daemon.control) as client:
        client.pause()
        with _start(daemon, "submit_without_our_library.py", [str(tmp_path / "made"), "a bat", "an owl"]) as script:
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
    assert set(imported) <= {"hashlib", "os", "sys", "pathlib", "msgpack", "zmq"}


def _run(daemon: PrivateDaemon, example: str, *args: str) -> str:
    with _start(daemon, example, args) as process:
        told, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return told


def _start(daemon: PrivateDaemon, example: str, args: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / example), *args]
    environment = {**os.environ, "STOKER_ENDPOINT": daemon.control}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
