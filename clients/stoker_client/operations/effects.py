"""What an operation asks its shell to do; the answer is sent back into the generator."""

from collections.abc import Generator
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Exchange(Struct, frozen=True):
    """Send a request and wait for the reply to it: its bytes, or None when the time is over."""

    message: bytes
    request_id: str
    timeout_s: float


class Reconnect(Struct, frozen=True):
    """Drop the control socket and connect anew: an old one may hold on to a connection that is dead."""


class Trouble(Enum):
    """What may be in the way to a daemon that does not answer."""

    SILENT = "silent"
    """Nobody is there, or who is there is busy; not the key."""
    STRANGE = "strange"
    """Somebody is there who does not greet as a daemon does: another program, or a daemon that hangs."""
    KEY_MISSING = "key_missing"
    KEY_UNKNOWN = "key_unknown"
    KEY_NOT_WANTED = "key_not_wanted"
    OTHER_DAEMON = "other_daemon"
    """The key is for a daemon with another key of its own."""


class Diagnose(Struct, frozen=True):
    """Find out why the daemon does not answer: a Trouble."""


class OpenEvents(Struct, frozen=True):
    """Drop the events socket, if any, connect to the endpoint and subscribe to the topics in this order."""

    endpoint: str
    topics: tuple[str, ...]


class NextEvent(Struct, frozen=True):
    """Wait for the next event: its topic and body, or None when the time is over."""

    timeout_s: float


class Sleep(Struct, frozen=True):
    """Let time pass."""

    seconds: float


class Now(Struct, frozen=True):
    """Read a clock that never jumps: seconds."""


class Emit(Struct, frozen=True):
    """Hand a value to the caller of a streaming verb."""

    value: Any


class BeginFile(Struct, frozen=True):
    """Begin a file of this name in the folder that the caller named; False: it is there already, with this hash."""

    name: str
    sha256: str


class AppendFile(Struct, frozen=True):
    """Add bytes to the file that was begun."""

    data: bytes


class FinishFile(Struct, frozen=True):
    """Check the hash of the file that was begun and put it in place: its path, or None if the hash is another."""


class MeasureFile(Struct, frozen=True):
    """Read the file that the caller named to its end: its SHA-256 and how many bytes it has."""


class ReadFile(Struct, frozen=True):
    """Read at most so many bytes of the file that the caller named, from an offset on."""

    offset: int
    length: int


FileEffect = BeginFile | AppendFile | FinishFile | MeasureFile | ReadFile
Effect = Exchange | Reconnect | Diagnose | OpenEvents | NextEvent | Sleep | Now | Emit | FileEffect
Operation = Generator[Effect, Any, T]
"""Yields effects, is sent their answers, and returns a T."""
