"""What docs/security.md says can be typed, in the order of the page, on a host and on another person's machine."""

import re
import shlex
from pathlib import Path

from tests.clients.cli.running import run_process
from tests.system.daemons import REPOSITORY
from tests.system.test_keys_commands import Anywhere, stokerd

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """We expect each command to do what the page says, the daemon to start only once there are keys."""
    (block,) = re.findall(r"```\n(stokerd keys init(?:.|\n)*?)```", PAGE)
    said = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [words[1] for words in said] == ["keys", "keys", "--control", "connect", "keys", "keys"]
    init, add, start, connect, listing, revoke = said
    data_dir, file = tmp_path / "data", tmp_path / "ann.key"
    begin = [word.replace(":5577", ":0").replace(":5578", ":0") for word in start[1:]]
    assert stokerd(data_dir, *begin).code == 5
    assert stokerd(data_dir, *init[1:]).code == 0
    with Anywhere(data_dir) as daemon:
        here = daemon.control.replace("0.0.0.0", "127.0.0.1")
        added = [here if word.startswith("tcp://") else word for word in add[1:]]
        assert stokerd(data_dir, *added, "--file", str(file)).code == 0
        home = {"XDG_CONFIG_HOME": str(tmp_path), "STOKER_KEY": "", "STOKER_ENDPOINT": ""}
        args = [str(file) if word == "ann.key" else word for word in connect[1:]]
        assert "You are ann" in run_process(*args, **home).out
        assert run_process("ping", **home).code == 0
        assert stokerd(data_dir, *listing[1:]).out.split()[:2] == ["ann", "submit"]
        assert stokerd(data_dir, *revoke[1:]).code == 0
    assert stokerd(data_dir, *listing[1:]).out.startswith("Nobody has a key")
