"""How the end of a worker is told, from real processes and from what the kernel counts."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from stoker_daemon.engines.python import death
from stoker_daemon.engines.python.death import Death, kills_for_memory
from stoker_protocol.errors import FailureKind


def ended(script: str, *, told_to_end: bool = False, kills_before: int = 0, limit_mb: int = 0) -> Death:
    """How a shell script ended."""
    process = subprocess.Popen(["sh", "-c", script])
    found = Death.of(process.pid, told_to_end=told_to_end, kills_before=kills_before, limit_bytes=limit_mb << 20)
    process.returncode = found.code
    return found


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("exit 3", "the worker exited with code 3"),
        ("kill -SEGV $$", "the worker was killed by SIGSEGV"),
        ("kill -KILL $$", "the worker was killed by SIGKILL, perhaps because memory ran out"),
    ],
)
def test_end_by_itself(script: str, text: str) -> None:
    """An end that nobody asked for is a crash, and told by its code or signal."""
    found = ended(script)
    assert (str(found), found.kind) == (text, FailureKind.CRASH)


def test_end_by_the_daemon() -> None:
    """A kill that the daemon asked for is told as such, and is no want of memory."""
    found = ended("kill -KILL $$", told_to_end=True, kills_before=-1, limit_mb=1)
    assert (str(found), found.kind) == ("the worker was ended by the daemon (SIGKILL)", FailureKind.CRASH)


def test_kill_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGKILL while the kernel counted one more kill for want of memory is `oom`."""
    counted = tmp_path / "vmstat"
    monkeypatch.setattr(death, "VMSTAT", counted)
    counted.write_text("nr_free_pages 99\noom_kill 7\n")
    before = kills_for_memory()
    assert before == 7
    assert ended("kill -KILL $$", kills_before=before).kind is FailureKind.CRASH
    counted.write_text("nr_free_pages 99\noom_kill 8\n")
    found = ended("kill -KILL $$", kills_before=before)
    assert (str(found), found.kind) == (
        "the worker was killed by the kernel because memory ran out",
        FailureKind.OOM,
    )
    assert ended("kill -SEGV $$", kills_before=before).kind is FailureKind.CRASH


@pytest.mark.parametrize("content", [None, "", "oom_kill\n", "oom_kill many\n", "nr_free_pages 99\n"])
def test_kernel_that_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
    """Where the kernel does not tell, nobody is taken to have been killed by it."""
    monkeypatch.setattr(death, "VMSTAT", tmp_path / "vmstat")
    if content is not None:
        (tmp_path / "vmstat").write_text(content)
    assert kills_for_memory() == 0


def test_end_at_the_limit() -> None:
    """A worker that broke down when it held nearly all that it might is taken to have wanted more."""
    full = Death(-signal.SIGABRT, told_to_end=False, by_kernel=False, peak_bytes=95 << 20, limit_bytes=100 << 20)
    assert (str(full), full.kind) == (
        "the worker was killed by SIGABRT when it held 95 of its 100 MB (memory_limit_mb)",
        FailureKind.OOM,
    )
    empty = Death(-signal.SIGABRT, told_to_end=False, by_kernel=False, peak_bytes=80 << 20, limit_bytes=100 << 20)
    assert empty.kind is FailureKind.CRASH


def test_the_process_is_reaped() -> None:
    """Nothing is left of a process whose end was told."""
    process = subprocess.Popen(["true"])
    process.returncode = Death.of(process.pid, told_to_end=False, kills_before=0, limit_bytes=0).code
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, 0)
