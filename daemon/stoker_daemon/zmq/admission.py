"""Decides who is let in, and who it is that a message came from; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from stoker_daemon.ports import Caller
from stoker_daemon.zmq.keyring import Client
from stoker_protocol.requests import Role

LOCAL, STRANGER = "local", "stranger"
"""What callers without a key are called: those of this machine, and with `--insecure` those of others."""
RESERVED = (LOCAL, STRANGER, "stokerd")
"""Names that no key may have; the last is how the daemon signs what it does by itself."""

_IPC = re.compile(r"[^:]*:(\d+):(\d+):(-?\d+)")
"""How libzmq names an IPC peer: host, user, group, process."""
_KEY, _USER = "key:", "uid:"


@dataclass(frozen=True, slots=True)
class LocalRules:
    """What holds for peers without a key.

    This machine's have a `role`; over IPC the system knows the user, and `users` has names and roles for some numbers.
    `lets_strangers_in`: those of other machines are let in too, and may do as much.
    """

    role: Role
    users: Mapping[int, tuple[str, Role]]
    lets_strangers_in: bool = False


class Admission:
    """Knows the clients. A peer is let in under a user id, by which each of its messages is judged again.

    The id of one with a key is that key and not its name: who is revoked stays out when the name is given anew.
    """

    def __init__(self, rules: LocalRules, clients: Mapping[str, Client] | None = None) -> None:
        self._rules = rules
        self._clients = dict(clients or {})

    def replace_clients(self, clients: Mapping[str, Client]) -> set[str]:
        """Know these from now on; the user ids that are let in no more."""
        gone = {_KEY + public for public in self._clients.keys() - clients.keys()}
        self._clients = dict(clients)
        return gone

    def admit_key(self, public: str) -> str | None:
        """The user id of a peer that has proved to have a key, or None."""
        return _KEY + public if public in self._clients else None

    def admit_plain(self, address: str) -> str | None:
        """The user id of a peer without a key, or None; ZAP's address says where it is."""
        if (ipc := _IPC.fullmatch(address)) is not None:
            return _USER + ipc[1]
        try:
            is_here = ip_address(address.partition("%")[0].strip("[]")).is_loopback
        except ValueError:
            return None
        if is_here:
            return LOCAL
        return STRANGER if self._rules.lets_strangers_in else None

    def caller(self, user_id: str) -> Caller | None:
        """Who a message is from; None: nobody that is let in, or not any more."""
        if user_id.startswith(_KEY):
            client = self._clients.get(user_id.removeprefix(_KEY))
            return None if client is None else Caller(client.name, client.role)
        if user_id.startswith(_USER):
            uid = int(user_id.removeprefix(_USER))
            return Caller(*self._rules.users.get(uid, (f"uid-{uid}", self._rules.role)))
        if user_id == LOCAL or (user_id == STRANGER and self._rules.lets_strangers_in):
            return Caller(user_id, self._rules.role)
        return None


def has_key(user_id: str) -> bool:
    """Whether it is that of a client with a key of its own; others may share theirs."""
    return user_id.startswith(_KEY)
