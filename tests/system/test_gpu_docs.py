"""What docs/gpu.md says can be typed, shown and configured."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.clients.cli.running import run_process
from tests.fakes.daemon import FakeDaemon
from tests.worker.processes import BOUND_S

from stoker_client.private_daemon import PrivateDaemon
from stoker_daemon.config import PreflightConfig, load

PAGE = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect each command of the page to succeed with the settings of the page."""
    toml = blocks("toml")[-1]
    settings = tmp_path / "stokerd.toml"
    settings.write_text(toml.partition("[engines.")[0])
    assert load(settings).gpu.idle_unload_s == 600
    stoker = tmp_path / "stoker"
    stoker.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(_STOKER)} "$@"\n')
    stoker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with PrivateDaemon(tmp_path / "data", args=["--config", str(settings)]) as daemon:
        environment = {**os.environ, "STOKER_ENDPOINT": daemon.control}
        for line in [line for block in blocks("sh") for line in block.splitlines()]:
            done = subprocess.run(
                line, shell=True, env=environment, capture_output=True, text=True, timeout=BOUND_S, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_the_configuration_is_taken(tmp_path: Path) -> None:
    """We expect the page's configuration to be accepted, with all engines that share the card on one lane."""
    settings = tmp_path / "stokerd.toml"
    settings.write_text("".join(blocks("toml")))
    assert {engine.lane for engine in load(settings).engines.values()} == {"gpu"}
    assert list(load(settings).preflight.smoke) == ["ollama"]
    keys = {*re.findall(r"`(m\w+)` \|$", PAGE, re.MULTILINE), "smoke"}
    assert keys == set(PreflightConfig.__struct_fields__)


def test_the_picture_is_what_is_shown() -> None:
    """We expect the page to show what `stoker gpu` prints."""
    with FakeDaemon() as daemon:
        out = run_process("gpu", endpoint=daemon.control, TZ="UTC").out
    assert blocks("text") == [out]


_STOKER = "from stoker_client.cli import main; main()"
