"""What the sync and the async client share: ids, endpoints, sockets and the folder that artifacts are fetched into."""

import hashlib
import os
from pathlib import Path
from typing import IO, Any

import zmq

from stoker_client.operations.effects import AppendFile, BeginFile, FinishFile
from stoker_protocol import codec
from stoker_protocol.session import Session

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5577"
ENDPOINT_VARIABLE = "STOKER_ENDPOINT"
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_COMMON = {zmq.LINGER: 0, zmq.MAXMSGSIZE: codec.MAX_FRAME}
# A link that was cut without a word is noticed and made again within seconds.
_EVENTS = {zmq.HEARTBEAT_IVL: 1_000, zmq.HEARTBEAT_TIMEOUT: 3_000, zmq.RECONNECT_IVL_MAX: 1_000, zmq.RCVHWM: 100_000}


def endpoint_or_default(endpoint: str | None) -> str:
    """The endpoint that was named, or the environment names, or the usual one."""
    return endpoint or os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT


def new_session() -> Session:
    """A session whose request ids nobody else uses."""
    return Session(os.urandom(6).hex())


def new_job_id() -> str:
    """A job id that people can read out: 12 characters of Crockford's base 32, 60 random bits."""
    number = int.from_bytes(os.urandom(8), "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(0, 60, 5))


def connect_control(socket: Any, endpoint: str) -> None:
    """Connect a DEALER to the control socket."""
    for option, value in _COMMON.items():
        socket.set(option, value)
    socket.connect(endpoint)


def connect_events(socket: Any, endpoint: str, topics: tuple[str, ...]) -> None:
    """Connect a SUB to the events socket, subscribing in the order given."""
    for option, value in {**_COMMON, **_EVENTS}.items():
        socket.set(option, value)
    for topic in topics:
        socket.subscribe(topic)
    socket.connect(endpoint)


class Folder:
    """A folder that receives files one after another; each appears under its name only when it is whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._path.mkdir(parents=True, exist_ok=True)
        self._target = self._path
        self._sha256 = ""
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def perform(self, effect: BeginFile | AppendFile | FinishFile) -> bool | Path | None:
        """Do what an operation asks for."""
        match effect:
            case BeginFile(name, sha256):
                return self.begin(name, sha256)
            case AppendFile(data):
                return self.append(data)
            case FinishFile():
                return self.finish()

    def begin(self, name: str, sha256: str) -> bool:
        """Begin a file; False: it is there with this hash.

        Raises:
            ValueError: The name leads out of the folder.
        """
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise ValueError(f"{name!r} is no file name")
        self._target, self._sha256 = self._path / name, sha256
        if self._target.is_file() and _hash_of(self._target) == sha256:
            return False
        self._hash = hashlib.sha256()
        self._file = self._part.open("wb")
        return True

    def append(self, data: bytes) -> None:
        """Add bytes to the file."""
        if self._file is not None:
            self._file.write(data)
            self._hash.update(data)

    def finish(self) -> Path | None:
        """Put the file in place: its path; None if its bytes are not those of its hash."""
        if self._file is None:
            return self._target
        self.close()
        if self._hash.hexdigest() != self._sha256:
            self._part.unlink()
            return None
        self._part.replace(self._target)
        return self._target

    def close(self) -> None:
        """Let go of an unfinished file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _part(self) -> Path:
        return self._target.with_name(self._target.name + ".part")


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
