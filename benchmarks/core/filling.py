"""How fast a file of a million lines becomes a job, beside the bare limit that is given as many rows."""

import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.core.contenders import Limit, Stoker
from benchmarks.core.figures import Figure, Setting
from benchmarks.core.load import lockstep_s
from benchmarks.core.marks import PAYLOAD

ROWS = 10_000
"""In one request to the limit, as `stoker submit` sends them."""
LIMIT_S = 600.0


def filling(setting: Setting) -> list[Figure]:
    """Submit a file with the command, once: its ratio is not one of several rounds."""
    lines = 20_000 if setting.quick else 1_000_000
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        limit = lines / _limit_s(Path(folder), lines)
        ours = lines / _command_s(Path(folder), lines)
    made_of = (
        f"{ours:.0f} to {limit:.0f} lines/s, n = 1; all that it takes, reading the file and the command's start too"
    )
    return [Figure(f"submit a file of {lines} lines, to the limit", ours / limit, "", ">=", None, made_of)]


def _limit_s(folder: Path, lines: int) -> float:
    limit = Limit()
    limit.start(folder)
    try:
        return lockstep_s(limit.endpoint, [limit.submit_request(ROWS)] * (lines // ROWS))
    finally:
        limit.stop()


def _command_s(folder: Path, lines: int) -> float:
    file = folder / "items.jsonl"
    file.write_bytes((msgspec.json.encode({"p": PAYLOAD}) + b"\n") * lines)
    daemon = Stoker()
    daemon.start(folder)
    try:
        command = [str(Path(sysconfig.get_path("scripts")) / "stoker"), "submit", str(file)]
        began_s = time.perf_counter()
        subprocess.run(
            [*command, "--endpoint", daemon.endpoint], check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S
        )
        took_s = time.perf_counter() - began_s
        assert daemon.left() == lines, "not all lines became items"
        return took_s
    finally:
        daemon.stop()
