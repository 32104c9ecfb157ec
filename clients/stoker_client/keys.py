"""Which daemon is meant, and with which key: what was named, what the environment names, what `stoker connect` kept."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from stoker_client.errors import BadRequest
from stoker_protocol.keys import ClientKey, KeyPair, from_text, pair_from_text, pair_to_text, to_text

if TYPE_CHECKING:  # a command that has no key does without it, and so ends some milliseconds sooner
    from collections.abc import Callable
    from pathlib import Path

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5577"
ENDPOINT_VARIABLE = "STOKER_ENDPOINT"
KEY_VARIABLE = "STOKER_KEY"
_FOREIGN = 0o077
"""Permission bits by which others than the owner could read or write."""

T = TypeVar("T")
KeyLike = str | os.PathLike[str] | ClientKey
"""A key, or the file that it is in."""


class Target(Struct, frozen=True):
    """A daemon's control socket, and the key to it if it asks for one."""

    endpoint: str
    key: ClientKey | None = None


def target(endpoint: str | None = None, key: KeyLike | None = None) -> Target:
    """The daemon that is meant.

    A key file names its daemon, so either is enough. The kept key is used where neither is said, or when the endpoint
    is its own.

    Raises:
        BadRequest: The key file can't be used.
    """
    endpoint = endpoint or os.environ.get(ENDPOINT_VARIABLE) or None
    key = key or os.environ.get(KEY_VARIABLE) or None
    if key is None and os.access(_kept_key_place(), os.F_OK):
        kept_key = read_key(kept_key_file())
        if endpoint in (None, kept_key.endpoint):
            key = kept_key
    if key is not None and not isinstance(key, ClientKey):
        from pathlib import Path

        key = read_key(Path(key))
    return Target(endpoint or (key and key.endpoint) or DEFAULT_ENDPOINT, key)


def read_key(path: Path) -> ClientKey:
    """The key in a file.

    Raises:
        BadRequest: There is none, or others than its owner can read it.
    """
    return _read(path, _whole_key)


def read_pair(path: Path) -> KeyPair:
    """The pair that `make_pair` put into a file. Raises BadRequest as `read_key` does."""
    return _read(path, pair_from_text)


def make_pair(path: Path) -> KeyPair:
    """Make a pair of one's own, and put it into a file that only its owner can read. Raises OSError."""
    import zmq

    public, secret = zmq.curve_keypair()
    pair = KeyPair(public_key=public.decode(), secret_key=secret.decode())
    _write_private(path, pair_to_text(pair))
    return pair


def _whole_key(text: str) -> ClientKey:
    try:
        return from_text(text)
    except ValueError:
        if _is_pair(text):
            raise ValueError("it lacks the daemon's key: add --server KEY, which who runs it tells you") from None
        raise


def _is_pair(text: str) -> bool:
    try:
        pair_from_text(text)
    except ValueError:
        return False
    return True


def _read(path: Path, parse: Callable[[str], T]) -> T:
    try:
        if os.name == "posix" and (mode := path.stat().st_mode) & _FOREIGN:
            raise _bad_key(f"{path} can be read by others (mode {mode & 0o777:04o})", f"chmod 600 {path}")
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise _bad_key(f"{path}: {what}", "name the file that was given to you") from None
    except ValueError as error:
        raise _bad_key(f"{path} is no key file: {error}", "`stokerd keys add NAME` makes one on the host") from None


def keep(key: ClientKey) -> Path:
    """Use this key from now on where nothing else is said; where it is kept. Raises OSError."""
    path = kept_key_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    _write_private(fresh, to_text(key))
    fresh.replace(path)
    return path


def _write_private(path: Path, text: str) -> None:
    """Write a file that is not there yet."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def kept_key_file() -> Path:
    """Where `stoker connect` keeps a key: in the user's configuration, as each system has it."""
    from pathlib import Path

    return Path(_kept_key_place())


def _kept_key_place() -> str:
    home = os.path.expanduser("~")  # noqa: PTH111  what looks whether there is a key at all does without pathlib
    if sys.platform == "win32":
        settings = os.environ.get("APPDATA") or f"{home}/AppData/Roaming"
    elif sys.platform == "darwin":
        settings = f"{home}/Library/Application Support"
    else:
        settings = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return f"{settings}/stoker/daemon.key"


def _bad_key(message: str, hint: str) -> BadRequest:
    return BadRequest("bad_request", message, field="key", hint=hint)
