"""A worker that outlived its daemon is found by its pid file and ended, and nothing else is."""

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.worker.processes import BOUND_S, is_alive, state_of, wait_for

from stoker_daemon.engines.leftover import OWNER, end_leftover, remember


@pytest.fixture
def leader() -> Generator["subprocess.Popen[str]"]:
    """A process group: a leader and its child, whose pid is the first line of its output."""
    command = ["sh", "-c", "sleep 60 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process
        if process.poll() is None:
            os.killpg(process.pid, 9)


def test_leftover_group_is_ended(tmp_path: Path, leader: "subprocess.Popen[str]") -> None:
    """The whole group of a leftover worker is gone, and its file with it."""
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    remember(tmp_path / "pid", leader.pid)
    assert end_leftover(tmp_path / "pid") == leader.pid
    assert leader.wait(BOUND_S) == -9
    wait_for(lambda: not is_alive(child))
    assert not (tmp_path / "pid").exists()
    assert end_leftover(tmp_path / "pid") is None


def test_leader_that_was_not_reaped_is_no_leftover(tmp_path: Path, leader: "subprocess.Popen[str]") -> None:
    """A worker that has ended counts as dead although nobody reaped it, and all that it started is ended too."""
    environment = {**os.environ, OWNER: str(tmp_path / "pid")}
    command = ["sh", "-c", "sleep 60 & echo $!; setsid sh -c 'echo $$; exec sleep 60' & wait"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment
    ) as process:
        assert process.stdout is not None
        children = [int(process.stdout.readline()) for _ in range(2)]
        remember(tmp_path / "pid", process.pid)
        os.kill(process.pid, 9)
        wait_for(lambda: state_of(process.pid) == "Z")
        assert end_leftover(tmp_path / "pid") is None
        wait_for(lambda: not any(map(is_alive, children)))
        assert leader.poll() is None


def test_session_of_another_program_is_left_alone(tmp_path: Path, leader: "subprocess.Popen[str]") -> None:
    """Processes that go by the number of a dead worker, but were not started by it, are not ended."""
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    remember(tmp_path / "pid", leader.pid)
    os.kill(leader.pid, 9)
    wait_for(lambda: state_of(leader.pid) == "Z")
    assert end_leftover(tmp_path / "pid") is None
    assert is_alive(child)
    os.kill(child, 9)


def test_another_process_with_the_pid_is_left_alone(tmp_path: Path, leader: "subprocess.Popen[str]") -> None:
    """A process which began at another time, or in another boot, is not taken for the worker."""
    remember(tmp_path / "pid", leader.pid)
    pid, ticks, boot = (tmp_path / "pid").read_text().split()
    for text in (f"{pid} {int(ticks) - 1} {boot}\n", f"{pid} {ticks} another-boot\n", f"{pid}\n"):
        (tmp_path / "pid").write_text(text)
        assert end_leftover(tmp_path / "pid") is None
        assert leader.poll() is None


@pytest.mark.parametrize("text", ["", "torn", "99999999 1 x\n", "-1 1 x\n", "0 1 x\n", "1" * 400])
def test_useless_file(tmp_path: Path, text: str) -> None:
    """A torn file, or one that names no process, harms nobody."""
    (tmp_path / "pid").write_text(text)
    assert end_leftover(tmp_path / "pid") is None
