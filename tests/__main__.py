"""Runs the tests in one process more than there are processors, since many only wait: `python -m tests [OPTIONS]`."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import IO

NO_TESTS = 5
"""pytest's exit code where a selection leaves a part without any."""


def main(options: list[str]) -> int:
    """The exit code of the first part that failed; the output of all parts, one after the other."""
    parts = 1 + len(os.sched_getaffinity(0))
    with ExitStack() as stack:
        logs: list[IO[bytes] | None] = [None]
        logs += [stack.enter_context(tempfile.TemporaryFile()) for _ in range(1, parts)]
        running = [_start(number, parts, options, log) for number, log in enumerate(logs, start=1)]
        codes = [process.wait() for process in running]
        for log in logs:
            if log is not None:
                log.seek(0)
                sys.stdout.write(log.read().decode(errors="replace"))
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    return failed[0] if failed else min(codes)


def _start(number: int, parts: int, options: list[str], log: IO[bytes] | None) -> "subprocess.Popen[bytes]":
    """One part, into a log unless it is the one that people watch; Ctrl+C reaches all of them."""
    own = ["--part", f"{number}/{parts}", "-o", f"cache_dir=.pytest_cache/{number}"]
    return subprocess.Popen([sys.executable, "-m", "pytest", *own, *options], stdout=log, stderr=log)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
