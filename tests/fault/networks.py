"""Two hosts on one machine: network namespaces joined by a cable that can be cut, and that can lose packets."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

import pytest

DAEMON, CLIENT = "10.77.0.1", "10.77.0.2"
"""The addresses of the two hosts."""


class Cable:
    """Joins a daemon's host with a client's."""

    def __init__(self, name: str) -> None:
        self._daemon_host, self._client_host = f"{name}d", f"{name}c"

    def on_daemon_host(self, *command: str) -> list[str]:
        """The command line that runs a command there."""
        return ["ip", "netns", "exec", self._daemon_host, *command]

    def on_client_host(self, *command: str) -> list[str]:
        """The command line that runs a command there."""
        return ["ip", "netns", "exec", self._client_host, *command]

    def lay(self) -> None:
        """Make the two hosts and the cable."""
        for host in (self._daemon_host, self._client_host):
            _run("ip", "netns", "add", host)
        ends = ("eth0", "netns", self._daemon_host, "type", "veth", "peer", "name", "eth0", "netns", self._client_host)
        _run("ip", "link", "add", *ends)
        for run_on, address in ((self.on_daemon_host, DAEMON), (self.on_client_host, CLIENT)):
            _run(*run_on("ip", "address", "add", f"{address}/24", "dev", "eth0"))
            _run(*run_on("ip", "link", "set", "eth0", "up"))

    def remove(self) -> None:
        """Leave nothing of it."""
        for host in (self._daemon_host, self._client_host):
            subprocess.run(["ip", "netns", "delete", host], check=False, timeout=60)

    @contextmanager
    def losing(self, percent: int) -> Generator[None]:
        """Of each direction's packets so many get lost meanwhile, at random; 100: the cable is cut."""
        some = f"numgen random mod 100 < {percent} " if percent < 100 else ""
        rules = "".join(
            f"chain {way} {{ type filter hook {way} priority 0; {some}drop; }}\n" for way in ("input", "output")
        )
        _run(*self.on_client_host("nft", f"table inet loss {{\n{rules}}}"))
        try:
            yield
        finally:
            _run(*self.on_client_host("nft", "delete table inet loss"))


@contextmanager
def a_cable() -> Generator[Cable]:
    """A cable between two new hosts; where that is not possible the test is left out, in CI it fails."""
    cable = Cable(f"stoker{secrets.token_hex(3)}")
    lacking = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    try:
        if not lacking:
            cable.lay()
            with cable.losing(1):
                pass
    except subprocess.CalledProcessError as error:
        lacking = [f"the right to make network namespaces: {error.stderr.strip()}"]
    try:
        if lacking:
            reason = f"no network to spoil: it takes {', '.join(lacking)} (on Debian: apt install iproute2 nftables)"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        yield cable
    finally:
        if shutil.which("ip") is not None:
            cable.remove()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
