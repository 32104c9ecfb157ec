"""Runs parts one after the other, each in a process of its own with a limit, and ends whatever one has left."""

import ctypes
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.core.figures import Findings, Setting
from benchmarks.machine import facts, fsync_us, without_paths
from benchmarks.parts import PARTS
from benchmarks.results import ROOT, PartResult, Result, commit

LIMIT_S = 1500.0
"""For one part; its own waits have limits that are shorter."""
QUICK = 20
"""By how much less a quick run takes, about."""
LOOK_S = 0.2
END_S = 10.0
PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2)."""

Tell = Callable[[str, PartResult], None]
"""Told of each part when it has ended."""


def run(names: Sequence[str], setting: Setting, tell: Tell) -> Result:
    """Run the parts, with a progress bar where there is a terminal; what is left of them goes, even after Ctrl+C."""
    result = Result(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}", commit(), setting.rounds, facts(setting.folder), {})
    _adopt_orphans()
    with tempfile.TemporaryDirectory(dir=setting.folder, prefix=".benchmark-", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o711)  # for servers that run as somebody else
        own = replace(setting, folder=Path(scratch))
        with _progress(names, setting) as advance:
            for name in names:
                result.parts[name] = _run_part(name, own, advance)
                tell(name, result.parts[name])
    return result


def _run_part(name: str, setting: Setting, advance: Callable[[str, float], None]) -> PartResult:
    output, log = setting.folder / "findings.json", setting.folder / "log"
    output.unlink(missing_ok=True)
    before_us, began_s = fsync_us(setting.folder), time.monotonic()
    command = [
        sys.executable,
        "-m",
        "benchmarks.parts",
        name,
        msgspec.json.encode(setting, enc_hook=str).decode(),
        str(output),
    ]
    try:
        with log.open("wb") as words:
            process = subprocess.Popen(command, cwd=ROOT, stdout=words, stderr=words, start_new_session=True)
            while process.poll() is None and (took_s := time.monotonic() - began_s) < LIMIT_S:
                advance(name, took_s)
                time.sleep(LOOK_S)
    finally:
        _end_all()
    took_s = time.monotonic() - began_s
    anchors = [before_us, fsync_us(setting.folder)]
    if not output.exists():
        sys.stderr.write(said := log.read_text(errors="replace"))
        return PartResult(took_s, anchors, failed=_last_words(said) if took_s < LIMIT_S else f"took {LIMIT_S:g} s")
    return PartResult(took_s, anchors, msgspec.json.decode(output.read_bytes(), type=Findings))


def _last_words(said: str) -> str:
    """Of a part that did not end well."""
    words = said.strip().splitlines() or ["it said nothing"]
    return without_paths(words[-1])


@contextmanager
def _progress(names: Sequence[str], setting: Setting) -> Generator[Callable[[str, float], None]]:
    """A bar as long as the parts should take; gives what moves it to so many seconds of a part."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    seconds = {name: PARTS[name].seconds / (QUICK if setting.quick else 1) for name in names}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(seconds.values()))

        def advance(name: str, took_s: float) -> None:
            done_s = sum(seconds[other] for other in names[: names.index(name)])
            progress.update(task, description=PARTS[name].title, completed=done_s + min(took_s, seconds[name]))

        yield advance
        progress.update(task, completed=sum(seconds.values()))


def _adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_all() -> None:
    """Kill all that came of us and is still there."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, END_S)
