"""A daemon that asks for keys, and those who have one."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import zmq
from msgspec.structs import replace
from tests.fault.audit import audit
from tests.system.daemons import config
from tests.worker.processes import BOUND_S

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import open_control, open_events
from stoker_daemon.admin import keys
from stoker_protocol.keys import ClientKey
from stoker_protocol.requests import Role

REQUIRE = "require_keys = true"
"""In the configuration: also loopback is for those with a key."""


class Locked:
    """One daemon, started and stopped by `a_locked_daemon`; ann and bob may submit, viewer look, chief do anything."""

    def __init__(self, folder: Path, text: str) -> None:
        self.data_dir = folder / "data"
        self.ann, self.bob = self.key("ann"), self.key("bob")
        self.viewer, self.chief = self.key("viewer", Role.VIEW), self.key("chief", Role.ADMIN)
        file = folder / "stokerd.toml"
        file.write_text(text)
        self.daemon = PrivateDaemon(self.data_dir, args=["--config", str(file)])

    def key(self, name: str, role: Role = Role.SUBMIT) -> ClientKey:
        """Add a client; a daemon at work knows it within a second."""
        return keys.add(self.data_dir, name, role, "")

    def client(self, key: ClientKey | None) -> Client:
        """A client with this key."""
        return Client(self.daemon.control, key=key and replace(key, endpoint=self.daemon.control), timeout_s=BOUND_S)

    def control(self, context: zmq.Context[zmq.Socket[bytes]], key: ClientKey | None) -> zmq.Socket[bytes]:
        """A bare DEALER with this key, or a plain one."""
        return open_control(context, self.daemon.control, key)

    def events(self, context: zmq.Context[zmq.Socket[bytes]], key: ClientKey | None) -> zmq.Socket[bytes]:
        """A bare SUB with this key, or a plain one, that wants everything."""
        return open_events(context, self.daemon.events, ("",), key)


@contextmanager
def a_locked_daemon(folder: Path, head: str = REQUIRE, tail: str = "") -> Generator[Locked]:
    """A daemon that asks for keys on loopback too; at its end what it leaves on disk must agree with itself."""
    locked = Locked(folder, config(head=head) + tail)
    locked.daemon.start()
    try:
        yield locked
    finally:
        locked.daemon.stop()
    audit(locked.data_dir)
