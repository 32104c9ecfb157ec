"""What the daemon's log looks like to machines and to people."""

import json
import os
import pty
import re
import subprocess
import sys

PROGRAM = """
import logging, sys, structlog
from stoker_daemon import log
log.configure(sys.argv[1])
mine = structlog.get_logger().bind(job="j1")
mine.debug("Thought about it")
mine.info("Ran it", run="r1", body=b"x")
logging.getLogger("asyncio").warning("Task %s was lost", 7)
try:
    raise ValueError("bad")
except ValueError:
    mine.exception("It failed")
"""


def _lines(level: str) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_json_lines() -> None:
    """Away from a terminal each event is one JSON line on stderr, with its time, what is bound, and any traceback."""
    ran, lost, failed = _lines("info")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ran.pop("at"))
    assert ran == {"level": "info", "event": "Ran it", "job": "j1", "run": "r1", "body": "b'x'"}
    assert (lost["level"], lost["event"]) == ("warning", "Task 7 was lost")
    assert failed["event"] == "It failed"
    assert failed["exception"].endswith("ValueError: bad")


def test_level() -> None:
    """Nothing below the level is said."""
    assert [line["level"] for line in _lines("debug")] == ["debug", "info", "warning", "error"]
    assert [line["level"] for line in _lines("error")] == ["error"]


def test_terminal() -> None:
    """At a terminal the same events come in colours and not as JSON."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "info"], stderr=theirs) as process:
        os.close(theirs)
        text = b""
        while chunk := _read(ours):
            text += chunk
        assert process.wait(timeout=60) == 0
    os.close(ours)
    assert b"\x1b[" in text
    assert b"Ran it" in text
    assert b"was lost" in text
    assert b'{"' not in text


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how Linux says that the other end of a terminal is closed
        return b""
