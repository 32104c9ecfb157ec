"""Writes the log to systemd's journal in its own form, so that `journalctl STOKER_JOB=...` finds what it is about."""

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Those of syslog; source: RFC 5424, table 2."""
MOST = 48 << 10
"""Bytes of one field: a datagram has to hold all of them."""


class Journal:
    """A stream for lines of JSON, each of which becomes an entry with a field for each of its keys.

    Source of the form: systemd.io/JOURNAL_NATIVE_PROTOCOL: `KEY=value` lines in one datagram; a value with a line break
    goes after its key and its length.
    """

    def __init__(self, address: str = SOCKET) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def write(self, text: str) -> None:
        """Send the lines of a text. Raises OSError."""
        for line in filter(None, map(str.rstrip, text.splitlines())):
            self._socket.sendto(b"".join(_fields(line)), self._address)

    def close(self) -> None:
        """Let the socket go."""
        self._socket.close()

    def flush(self) -> None:
        """Nothing is kept back."""


def is_connected(environment: Mapping[str, str], fd: int) -> bool:
    """Whether a file descriptor goes to the journal; source: `$JOURNAL_STREAM` in systemd.exec(5)."""
    with suppress(ValueError, OSError):
        device, inode = map(int, environment.get("JOURNAL_STREAM", "").split(":"))
        status = os.fstat(fd)
        return (status.st_dev, status.st_ino) == (device, inode)
    return False


def _fields(line: str) -> Iterator[bytes]:
    try:
        said: Any = json.loads(line)
    except ValueError:
        said = line
    facts = cast("dict[str, Any]", said) if isinstance(said, dict) else {"event": line}
    event = str(facts.pop("event", ""))
    level = str(facts.pop("level", "info"))
    facts.pop("at", None)  # the journal has its own
    shown = " ".join(f"{key}={value}" for key, value in facts.items() if key != "exception")
    trace = f"\n{facts['exception']}" if "exception" in facts else ""
    yield _field("MESSAGE", f"{event} {shown}".rstrip() + trace)
    yield _field("PRIORITY", str(PRIORITIES.get(level, 6)))
    yield _field("SYSLOG_IDENTIFIER", "stokerd")
    for key, value in facts.items():
        name = "".join(c if c.isascii() and c.isalnum() else "_" for c in key.upper())
        for each in _each(value):
            yield _field(f"STOKER_{name}", each if isinstance(each, str) else json.dumps(each))


def _each(value: Any) -> list[Any]:
    """The words of a list of words, since an entry may have a field several times and is found by each; else all."""
    listed = cast("list[Any]", value if isinstance(value, list) else [value])
    return listed if listed and all(isinstance(each, str) for each in listed) else [value]


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="replace")[:MOST]
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(data)), data)
