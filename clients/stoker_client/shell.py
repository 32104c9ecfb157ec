"""What the sync and the async client share: ids, endpoints, sockets, and the files that are fetched and sent."""

import io
import os
import re
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import zmq

from stoker_client.errors import BadReply, BadRequest, InvalidState
from stoker_client.keys import DEFAULT_ENDPOINT
from stoker_client.operations.effects import AppendFile, BeginFile, FileEffect, FinishFile, MeasureFile, ReadFile
from stoker_protocol import codec
from stoker_protocol.keys import ClientKey
from stoker_protocol.session import Session

if TYPE_CHECKING:
    from _hashlib import HASH
    from pathlib import Path

S = TypeVar("S", bound=zmq.Socket[Any])

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_COMMON = {zmq.LINGER: 0, zmq.MAXMSGSIZE: codec.MAX_FRAME}
_EVENTS = {
    # A link that was cut without a word is noticed and made again within seconds.
    zmq.HEARTBEAT_IVL: 1_000,
    zmq.HEARTBEAT_TIMEOUT: 3_000,
    zmq.RECONNECT_IVL_MAX: 1_000,
    zmq.RCVHWM: 100_000,
    zmq.SNDHWM: 0,  # subscriptions beyond a limit would be lost without a word
}


def new_session() -> Session:
    """A session whose request ids nobody else uses."""
    return Session(os.urandom(6).hex())


def new_job_id() -> str:
    """A job id that people can read out: 12 characters of Crockford's base 32, 60 random bits."""
    number = int.from_bytes(os.urandom(8), "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(0, 60, 5))


def open_control(
    context: zmq.Context[S], endpoint: str, key: ClientKey | None = None, *, is_deferred: bool = False
) -> S:
    """A DEALER for the control socket; `is_deferred`: not connected yet.

    Raises:
        BadRequest: That is no endpoint.
        InvalidState: The client is closed.
    """
    socket = _make(context, zmq.DEALER, endpoint, _COMMON, key)
    return socket if is_deferred else _connect(socket, endpoint)


def open_events(
    context: zmq.Context[S],
    endpoint: str,
    topics: tuple[str, ...],
    key: ClientKey | None = None,
    *,
    kind: int = zmq.SUB,
) -> S:
    """A SUB for the events socket, subscribing in the order given; or without topics an XSUB."""
    socket = _connect(_make(context, kind, endpoint, {**_COMMON, **_EVENTS}, key), endpoint)
    for topic in topics:
        socket.subscribe(topic)
    return socket


def event_in(frames: list[bytes]) -> tuple[str, bytes]:
    """The topic and the body of what came from the events socket, whatever it is."""
    return frames[0].decode(errors="replace"), frames[-1]


class Files(Protocol):
    """What an operation may do with the caller's files."""

    def perform(self, effect: FileEffect) -> Any:
        """Do what an operation asks for."""

    def close(self) -> None:
        """Let go what is open."""


class Folder:
    """A folder that receives files one after another; each appears under its name only when it is whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from pathlib import Path  # a one-shot command that fetches nothing ends some milliseconds sooner without it

        self._path = Path(path)
        self._target = self._part = self._path
        self._sha256 = ""
        self._file: IO[bytes] | None = None

    def perform(self, effect: FileEffect) -> "bool | Path | None":
        """Do what an operation asks for."""
        match effect:
            case BeginFile(name, sha256):
                return self.begin(name, sha256)
            case AppendFile(data):
                return self.append(data)
            case FinishFile():
                return self.finish()
            case MeasureFile() | ReadFile():  # are for a Source
                return None

    def begin(self, name: str, sha256: str) -> bool:
        """Begin a file; False: it is there with this hash.

        Raises:
            BadReply: The name might lead out of the folder, here or on another system.
        """
        if not _PLAIN_NAME.fullmatch(name):
            raise BadReply(f"{name!r:.80} can't be the name of a file")
        self._target, self._sha256 = self._path / name, sha256
        if self._target.is_file() and _hash_of(self._target) == sha256:
            return False
        self._path.mkdir(parents=True, exist_ok=True)
        self._hash = _sha256()
        # The name is new each time: two that fetch into one folder must not write into one file.
        self._part = self._path / f"{name}.{os.urandom(4).hex()}.part"
        self._file = self._part.open("wb")
        return True

    def append(self, data: bytes) -> None:
        """Add bytes to the file."""
        if self._file is not None:
            self._file.write(data)
            self._hash.update(data)

    def finish(self) -> "Path | None":
        """Put the file in place: its path; None if its bytes are not those of its hash."""
        if self._file is None:
            return self._target
        if self._hash.hexdigest() != self._sha256:
            self.close()
            return None
        self._file.close()
        self._part.replace(self._target)
        self._file = None
        return self._target

    def close(self) -> None:
        """Forget an unfinished file."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._part.unlink(missing_ok=True)


class Source:
    """A file that is sent, or bytes; never more of it than a piece is held, and it is opened when it is first read."""

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        self._source = source if isinstance(source, bytes) else os.fspath(source)
        self._file: io.FileIO | io.BytesIO | None = None

    def perform(self, effect: FileEffect) -> tuple[str, int] | bytes | None:
        """Do what an operation asks for."""
        match effect:
            case MeasureFile():
                return self.measure()
            case ReadFile(offset, length):
                return self.read(offset, length)
            case BeginFile() | AppendFile() | FinishFile():  # are for a Folder
                return None

    def measure(self) -> tuple[str, int]:
        """Its SHA-256 and its size. Raises OSError."""
        file = self._opened()
        return _digest_of(file), file.seek(0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """A piece of it, shorter at its end."""
        file = self._opened()
        file.seek(offset)
        return file.read(length)

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> io.FileIO | io.BytesIO:
        if self._file is None:
            self._file = io.BytesIO(self._source) if isinstance(self._source, bytes) else io.FileIO(self._source)
        return self._file


def _make(
    context: zmq.Context[S], kind: int, endpoint: str, options: Mapping[zmq.SocketOption, int], key: ClientKey | None
) -> S:
    if context.closed:
        raise InvalidState("invalid_state", "the client is closed")
    socket = context.socket(kind)
    for option, value in {**options, zmq.IPV6: int("[" in endpoint)}.items():
        socket.set(option, value)
    if key is not None:
        socket.set(zmq.CURVE_SERVERKEY, key.server_key.encode())
        socket.set(zmq.CURVE_PUBLICKEY, key.public_key.encode())
        socket.set(zmq.CURVE_SECRETKEY, key.secret_key.encode())
    return socket


def _connect(socket: S, endpoint: str) -> S:
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        message = f"can't connect to {endpoint!r}: {zmq.strerror(error.errno or 0).lower()}"
        raise BadRequest("bad_request", message, field="endpoint", hint=f"for example {DEFAULT_ENDPOINT}") from None
    return socket


def _sha256() -> "HASH":
    import hashlib  # loads OpenSSL, which a command that moves no file can do without

    return hashlib.sha256()


def _digest_of(file: io.FileIO | io.BufferedReader | io.BytesIO) -> str:
    import hashlib

    return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_of(path: "Path") -> str:
    with path.open("rb") as file:
        return _digest_of(file)
