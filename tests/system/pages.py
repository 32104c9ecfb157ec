"""Runs what a page of the documentation says can be typed."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.worker.processes import BOUND_S

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, kind: str) -> list[str]:
    """The code blocks of a kind on a page, in their order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def type_in(block: str, folder: Path, endpoint: str, *, bound_s: float = BOUND_S) -> list[str]:
    """What each line of a block of commands says; each must succeed."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "stoker").write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from stoker_client.cli import main; main()' \"$@\"\n"
    )
    (programs / "stoker").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "STOKER_ENDPOINT": endpoint}
    return [_typed(line, folder, environment, bound_s) for line in block.splitlines()]


def _typed(line: str, folder: Path, environment: dict[str, str], bound_s: float) -> str:
    done = subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=bound_s, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout
