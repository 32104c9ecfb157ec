"""Tools and agents under a real daemon: what the page about them says, and what a kill leaves behind."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.daemon.engines.test_agent_engine import script, write
from tests.fakes.openai.harness import OpenAIProcess
from tests.system.daemons import REPOSITORY, Rig, a_rig, config
from tests.worker.processes import BOUND_S, is_alive, wait_for

from stoker_daemon.config import AgentConfig, MCPConfig, load
from stoker_protocol.jobs import JobState

PAGE = (REPOSITORY / "docs/agents.md").read_text(encoding="utf-8")
SERVER = [sys.executable, str(REPOSITORY / "tests/models/tools.py")]


def engines(folder: Path, url: str) -> str:
    """The engines of the page, with the server, the tools and the folder of the tests."""
    (text,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for theirs, ours in (
        ('"http://127.0.0.1:8080/v1"', json.dumps(url)),
        ('["uvx", "mcp-server-filesystem", "/srv/project"]', json.dumps([*SERVER, str(folder)])),
        ('"/srv/project"', json.dumps(str(folder))),
        ('["read", "write"]', '["read", "write", "stay"]'),
    ):
        assert text.count(theirs) == 1, f"{theirs} is not on the page"
        text = text.replace(theirs, ours)
    return text.replace('kind = "validate" ', f'kind = "validate"\nargv = [{sys.executable!r}, "-m", "pytest", "-q"] ')


def lines(file: Path, *items: dict[str, Any]) -> None:
    """A file for `stoker submit`."""
    file.write_text("".join(json.dumps(item) + "\n" for item in items))


def test_the_page_is_right(tmp_path: Path) -> None:
    """We expect its configuration to be taken, and each of its commands to do what it says."""
    lines(tmp_path / "calls.jsonl", {"path": "a.txt", "text": "hello"})
    wrong, right = (f"def test_it():\n    assert {truth}\n" for truth in (False, True))
    rounds = script([write(wrong, "test_a.py")], [write(right, "test_a.py")])
    lines(tmp_path / "tasks.jsonl", {"prompt": rounds, "max_loops": 5})
    with OpenAIProcess() as server, a_rig(tmp_path, config(engines=engines(tmp_path, server.url))) as rig:
        commands = re.findall(r"^stoker .*$", PAGE, re.MULTILINE)
        assert len(commands) == 4
        for command in commands:
            _run(rig, command)
        assert (tmp_path / "a.txt").read_text() == "hello"
        (kept,) = (tmp_path / "transcripts").glob("*.json")
        transcript = json.loads(kept.read_text())
        assert transcript["is_done"]
        assert any("1 failed" in str(message["content"]) for message in transcript["messages"])


def test_kill_in_the_middle_of_a_call(tmp_path: Path) -> None:
    """We expect a kill -9 of the daemon to leave no server behind, and the call to be made again."""
    with OpenAIProcess() as server, a_rig(tmp_path, config(engines=engines(tmp_path, server.url))) as rig:
        job_id = rig.client.submit([{"params": {}}], engine="files", recipe="stay").job_id
        first = _pid(tmp_path / "staying")
        rig.kill()
        rig.restart()
        wait_for(lambda: not is_alive(first))
        second = _pid(tmp_path / "staying")
        rig.client.cancel(job_id)
        assert rig.wait(job_id).state is JobState.CANCELLED
    assert first != second
    wait_for(lambda: not is_alive(second))


def test_keys_of_the_page_exist(tmp_path: Path) -> None:
    """We expect the page to show engines of both kinds, as the configuration has them."""
    (tmp_path / "stokerd.toml").write_text(engines(tmp_path, "http://127.0.0.1:1/v1"))
    loaded = load(tmp_path / "stokerd.toml").engines
    assert isinstance(loaded["files"], MCPConfig)
    assert loaded["coder"] == AgentConfig(chat="local", tools=("files",), validate_by="tests.validate", max_loops=10)


def _pid(file: Path) -> int:
    """The process that a call which stays has written down; the file is taken away."""
    wait_for(lambda: file.exists() and file.read_text())
    pid = int(file.read_text())
    file.unlink()
    return pid


def _run(rig: Rig, command: str) -> None:
    """Run a command of the page as it stands there."""
    argv = [sys.executable, "-c", "from stoker_client.cli import main; main()", *shlex.split(command)[1:]]
    environment = {**os.environ, "STOKER_ENDPOINT": rig.daemon.control}
    done = subprocess.run(
        argv, cwd=rig.folder, env=environment, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
