"""The daemon's keys on disk: its own pair, and one file for each client that gives a public key a name and a role."""

import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stoker_protocol.keys import NAME, is_key
from stoker_protocol.requests import Role

FOLDER = "keys"
"""Where all of this is, in the data directory."""
SERVER_FILE = "server.toml"
CLIENTS_FOLDER = "clients"
FOREIGN = 0o077
"""Permission bits by which others than the owner could read or write."""


class KeyringError(Exception):
    """A file of keys can't be used; the text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """The daemon's own pair, as Z85."""

    public: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """Who has a key."""

    name: str
    role: Role
    public: str


def read_server(data_dir: Path) -> ServerKeys | None:
    """The daemon's own pair; None: no keys were ever made.

    Raises:
        KeyringError: The file can't be read, makes no sense, or others than its owner can read it.
    """
    path = data_dir / FOLDER / SERVER_FILE
    if not path.exists():
        return None
    mode = path.stat().st_mode
    if mode & FOREIGN:
        raise KeyringError(
            f"{path}: others than its owner may read it (mode {mode & 0o777:04o}), and whoever has can pose as the"
            f" daemon; if nobody did: chmod 600 {path}, else: stokerd keys init --replace"
        )
    table = _table(path)
    return ServerKeys(_key(path, table, "public_key"), _key(path, table, "secret_key"))


def read_clients(data_dir: Path) -> tuple[dict[str, Client], list[str]]:
    """The clients by their public keys, and what is wrong with files that let nobody in."""
    clients: dict[str, Client] = {}
    faults: list[str] = []
    for path in sorted((data_dir / FOLDER / CLIENTS_FOLDER).glob("*.toml")):
        try:
            client = _read_client(path)
            if (other := clients.get(client.public)) is not None:
                raise KeyringError(f"{path}: it has the same key as {other.name}; remove one of them")
        except KeyringError as error:
            faults.append(str(error))
        else:
            clients[client.public] = client
    return clients, faults


def stamp(data_dir: Path) -> dict[str, tuple[int, int]]:
    """What is different after any change of the clients' files: times and inodes by name. Raises OSError."""
    with suppress(FileNotFoundError), os.scandir(data_dir / FOLDER / CLIENTS_FOLDER) as entries:
        return {entry.name: (entry.stat().st_mtime_ns, entry.inode()) for entry in entries}
    return {}


def write_server(data_dir: Path, keys: ServerKeys) -> Path:
    """Put the daemon's own pair on disk, for its user's eyes only."""
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / CLIENTS_FOLDER).mkdir(mode=0o700, exist_ok=True)
    return write_private(folder / SERVER_FILE, f'public_key = "{keys.public}"\nsecret_key = "{keys.secret}"\n')


def write_client(data_dir: Path, client: Client) -> Path:
    """Let a client in."""
    path = client_file(data_dir, client.name)
    return write_private(path, f'role = "{client.role.name.lower()}"\npublic_key = "{client.public}"\n')


def client_file(data_dir: Path, name: str) -> Path:
    """Where the key of a client is noted."""
    return data_dir / FOLDER / CLIENTS_FOLDER / f"{name}.toml"


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, whole or not at all.

    Raises:
        OSError: It can't be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return fresh.replace(path)


def _read_client(path: Path) -> Client:
    if not NAME.fullmatch(path.stem):
        raise KeyringError(f"{path}: {path.stem!r} is not a name of lower-case letters, digits, '.', '-' and '_'")
    table = _table(path)
    roles = {role.name.lower(): role for role in Role if role > Role.ANY}
    said = table.get("role")
    if said not in roles:
        raise KeyringError(f"{path}: role = {said!r}: not one of {', '.join(roles)}")
    return Client(path.stem, roles[said], _key(path, table, "public_key"))


def _table(path: Path) -> dict[str, str]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeyringError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeyringError(f"{path}: not TOML: {error}") from None


def _key(path: Path, table: dict[str, str], field_name: str) -> str:
    value = table.get(field_name)
    if not isinstance(value, str) or not is_key(value):
        raise KeyringError(f"{path}: {field_name} is not a key of 40 characters")
    return value
