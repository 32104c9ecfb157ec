"""Makes and revokes the keys by which clients on other machines are let in."""

from pathlib import Path

import zmq

from stoker_daemon.zmq import keyring
from stoker_daemon.zmq.admission import RESERVED
from stoker_daemon.zmq.keyring import Client, KeyringError, ServerKeys
from stoker_protocol.keys import NAME, ClientKey, is_key
from stoker_protocol.requests import Role


def init(data_dir: Path, *, replace: bool = False) -> tuple[ServerKeys, bool]:
    """The daemon's own pair, and whether it was made just now; `replace`: anew, so that no key given out fits any more.

    Raises:
        KeyringError: The pair that is there can't be used.
        OSError: It can't be written.
    """
    if not replace and (there := keyring.read_server(data_dir)) is not None:
        return there, False
    keys = ServerKeys(*_new_pair())
    keyring.write_server(data_dir, keys)
    return keys, True


def add(data_dir: Path, name: str, role: Role, endpoint: str) -> ClientKey:
    """Let a client in under a name; its key exists only in what is returned.

    Raises:
        KeyringError: The name is none, or taken.
        OSError: It can't be written.
    """
    public, secret = _new_pair()
    server = let_in(data_dir, name, role, public)
    return ClientKey(name=name, endpoint=endpoint, server_key=server.public, public_key=public, secret_key=secret)


def let_in(data_dir: Path, name: str, role: Role, public: str) -> ServerKeys:
    """Let a client in that has a key of its own, under a name; by what is returned it knows the daemon.

    Raises:
        KeyringError: The name is none, or taken, or the key is none, or somebody's.
        OSError: It can't be written.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        raise KeyringError(
            f"{name!r} can't be a client's name: lower-case letters, digits, '.', '-' and '_', at most 64, "
            f"and not {', '.join(RESERVED)}"
        )
    if keyring.client_file(data_dir, name).exists():
        raise KeyringError(f"{name} has a key already; `stokerd keys revoke {name}` makes room for a new one")
    if not is_key(public):
        raise KeyringError(f"{public!r} is not a public key of 40 characters")
    server, _ = init(data_dir)
    clients, _ = keyring.read_clients(data_dir)
    if (other := clients.get(public)) is not None or public == server.public:
        raise KeyringError(
            f"that is the key of {other.name if other else 'the daemon'}; each client has one of its own"
        )
    keyring.write_client(data_dir, Client(name, role, public))
    return server


def revoke(data_dir: Path, name: str) -> None:
    """Let a client in no more.

    Raises:
        KeyringError: Nobody has that name.
        OSError: Its file can't be removed.
    """
    try:
        keyring.client_file(data_dir, name).unlink()
    except FileNotFoundError:
        clients, _ = keyring.read_clients(data_dir)
        known = ", ".join(sorted(client.name for client in clients.values())) or "nobody"
        raise KeyringError(f"nobody is called {name!r}; with a key: {known}") from None


def _new_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()
