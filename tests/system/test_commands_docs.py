"""What docs/commands.md says can be typed, in the order of the page, with the configuration that it shows."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.worker.processes import BOUND_S

from stoker_client.private_daemon import PrivateDaemon
from stoker_daemon.config import CommandConfig, load
from stoker_daemon.recipes.command import Command, CommandParameter

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    """The one code block of a kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return found


def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect each command of the page to succeed with the page's configuration, and what it makes to be there."""
    project, programs = tmp_path / "project", tmp_path / "bin"
    for folder in (project, programs):
        folder.mkdir()
    (project / "test_a.py").write_text("def test_a(): pass\n")
    (project / "test_b.py").write_text("")
    for name, code in (("stoker", "from stoker_client.cli import main; main()"), ("pytest", _PYTEST)):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n')
        (programs / name).chmod(0o755)
    (tmp_path / "stokerd.toml").write_text(block("toml"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with PrivateDaemon(tmp_path / "data", args=["--config", str(tmp_path / "stokerd.toml")]) as daemon:
        lines = block("sh").splitlines()
        assert len(lines) > 5
        said = [_run(line, tmp_path, {**os.environ, "STOKER_ENDPOINT": daemon.control}) for line in lines]
    assert (tmp_path / "hello" / "00000_0.txt").read_text() == "hello, 3 times\n"
    assert "no tests ran" in said[-1]


@pytest.mark.parametrize("kind", [CommandConfig, Command, CommandParameter])
def test_the_tables_are_complete(kind: type[msgspec.Struct], tmp_path: Path) -> None:
    """We expect each key in the tables with its default."""
    names: dict[type[msgspec.Struct], str] = {
        CommandConfig: r"\[engines.NAME\]",
        Command: r"\[engines.NAME.commands.WORD\]",
        CommandParameter: r"parameters.NAME",
    }
    (table,) = re.findall(rf"^\| key of `{names[kind]}` .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S.*?) \|", table, re.MULTILINE))
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    assert set(rows) == set(fields)
    for name, told in rows.items():
        default: Any = fields[name].default
        if told.startswith("`"):
            value = tomllib.loads(f"value = {told.strip('`')}")["value"]
            assert msgspec.json.encode(default) == msgspec.json.encode(value)
        else:
            assert default in (msgspec.NODEFAULT, None, (), "")
    (tmp_path / "stokerd.toml").write_text(block("toml"))
    assert list(load(tmp_path / "stokerd.toml").engines) == ["tools"]


_PYTEST = "import sys, pytest; sys.exit(pytest.main(['-p', 'no:cacheprovider', *sys.argv[1:]]))"


def _run(line: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout
