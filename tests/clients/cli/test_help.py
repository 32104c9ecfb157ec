"""The first minute: greeting, help with examples, completion; and that commands load only what they need."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import PATIENCE_S, environment, run_process
from tests.fakes.daemon import FakeDaemon

from stoker_client.cli import VERBS

NAMES = [name for names in VERBS.values() for name in names]
HEAVY = {"asyncio", "rich", "zmq.asyncio", "subprocess", "http", "stoker_client.async_client"}


def test_the_greeting_has_three_commands(stoker: Stoker) -> None:
    """We expect `stoker` alone to greet, to show three commands to begin with, and to succeed."""
    ran = stoker()
    assert ran.code == 0
    assert [line.split()[1] for line in ran.out.splitlines() if line.startswith("  stoker")] == [
        *("demo", "generate", "status"),
    ]


def test_help_lists_commands_and_exit_codes(stoker: Stoker) -> None:
    """We expect `stoker --help` to list each command with a whole sentence, and each exit code."""
    out = stoker("--help").out
    for name in NAMES:
        (line,) = (line for line in out.splitlines() if line.startswith(f"  {name} "))
        assert re.search(r"[^.]\.$", line), f"the first sentence of {name} is cut or goes on in the next line"
    for code in ("0", "1", "2", "3", "4", "5", "6", "130"):
        assert f"\n    {code} " in out


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_examples(stoker: Stoker, name: str) -> None:
    """We expect the help of each command to end with commands that can be typed, each of them that command."""
    ran = stoker(name, "--help")
    assert ran.code == 0
    _, _, examples = ran.out.partition("Examples:\n")
    assert examples.strip()
    assert all(f"stoker {name}" in line for line in examples.strip().splitlines())
    assert stoker(name, "-h").out == ran.out


@pytest.mark.parametrize("name", [name for name in NAMES if name != "outputs"])  # which has verbs of its own
def test_only_who_asks_a_daemon_takes_its_endpoint(stoker: Stoker, name: str) -> None:
    """We expect no option that would do nothing: the endpoint of a daemon only where one is asked, JSON everywhere."""
    out = stoker(name, "--help").out
    alone = name in ("demo", "selftest", "godot", "conformance", "completion")
    assert [option in out for option in ("--endpoint URL", "--key FILE", "--timeout SECONDS")] == [not alone] * 3
    assert "--json" in out


def test_the_version_is_told(stoker: Stoker) -> None:
    """We expect `--version` to say which one it is."""
    assert stoker("--version").out.startswith("stoker 0")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "demo"])
def test_a_command_loads_only_itself(name: str) -> None:
    """We expect a command's module to load no other command, and nothing heavy before it is needed."""
    others = {f"stoker_client.cli.{other}" for other in NAMES if other != name}
    code = f"import sys, stoker_client.cli.{name}, stoker_client.sync_client; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    loaded = set(out.stdout.split())
    assert not loaded & others
    assert not loaded & HEAVY


def test_help_needs_no_sockets() -> None:
    """We expect help to be printed without loading ZeroMQ."""
    code = "import sys; from stoker_client.cli import run; run(['generate', '--help']); print('zmq' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert out.stdout.splitlines()[-1] == "False"


def complete(endpoint: str, *words: str) -> str:
    """What bash would offer for a command line, as click is asked for it."""
    line = {"_STOKER_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    return run_process(endpoint=endpoint, **line).out


def test_commands_are_completed() -> None:
    """We expect the shell to complete the names of commands and options."""
    assert complete("", "stoker", "gen").split() == ["plain,generate"]
    assert "plain,--priority" in complete("", "stoker", "generate", "--pri")


def test_jobs_and_models_are_completed(daemon: FakeDaemon) -> None:
    """We expect the shell to complete ids of jobs, models and engines as the daemon knows them."""
    daemon.add_job("mine", name="night-shift")
    daemon.add_job("yours", name="two words")
    assert complete(daemon.control, "stoker", "watch", "m").split() == ["plain,mine"]
    assert complete(daemon.control, "stoker", "watch", "n").split() == ["plain,night-shift"]
    assert complete(daemon.control, "stoker", "watch", "t").split() == []
    assert complete(daemon.control, "stoker", "generate", "--model", "pl").split() == ["plain,plain"]
    assert complete(daemon.control, "stoker", "generate", "--engine", "spr").split() == ["plain,sprites"]


def test_completion_is_silent_without_a_daemon() -> None:
    """We expect no completions and no words when nobody answers."""
    ran = run_process(
        endpoint="tcp://127.0.0.1:1", _STOKER_COMPLETE="bash_complete", COMP_WORDS="stoker watch ", COMP_CWORD="2"
    )
    assert (ran.out.strip(), ran.err) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(stoker: Stoker, shell: str) -> None:
    """We expect a script for the shell that asks this command."""
    out = stoker("completion", shell).out
    assert f"_STOKER_COMPLETE={shell}_complete" in out


ASK = {
    "bash": "COMP_WORDS=(stoker watch ni); COMP_CWORD=2; _stoker_completion stoker; echo ${COMPREPLY[@]}",
    "zsh": "_describe() { print -l ${(P)3} }; words=(stoker watch ni); CURRENT=3; _stoker_completion",
    "fish": "complete --do-complete 'stoker watch ni'",
}
"""How each shell is made to complete a command line without a person at its keys."""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_take_the_script(daemon: FakeDaemon, stoker: Stoker, tmp_path: Path, shell: str) -> None:
    """We expect the shell to accept its script, and to complete the name of a job with it."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    daemon.add_job("mine", name="night-shift")
    program = tmp_path / "stoker"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from stoker_client.cli import main; main()' \"$@\"\n")
    program.chmod(0o755)
    before = "autoload -U compinit; compinit -u -d $HOME/dump\n" if shell == "zsh" else ""
    script = f"{before}{stoker('completion', shell).out}\n{ASK[shell]}\n"
    env = environment(daemon.control, {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)})
    done = subprocess.run([shell, "-c", script], env=env, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "night-shift" in done.stdout
    assert done.stderr == ""
