"""Who may reach the daemon: which endpoints it dares to bind, and at which of them it asks for keys."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from stoker_daemon.zmq.keyring import ServerKeys


class EndpointError(Exception):
    """An endpoint that the daemon must not or can't bind; the text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Locks:
    """Which endpoints take only clients with a key: those beyond loopback, and with `require_keys` all of TCP.

    `insecure`: none beyond loopback does. IPC endpoints never do, since the system says who connects there.
    """

    keys: ServerKeys | None = None
    require_keys: bool = False
    insecure: bool = False

    def secret_for(self, endpoint: str) -> bytes | None:
        """The daemon's secret key, if it asks for keys there.

        Raises:
            EndpointError: It should, and has none.
        """
        if not self._asks_for_keys(endpoint):
            return None
        if self.keys is None:
            raise EndpointError(
                f"{endpoint}: others could reach that address and do as they like; make keys (stokerd keys init), "
                "bind 127.0.0.1 or [::1], or say --insecure if the network is trusted"
            )
        return self.keys.secret.encode()

    def check(self, endpoints: Iterable[str]) -> None:
        """Check that all of these may be bound as they are.

        Raises:
            EndpointError: An address beyond loopback without keys, an IPC address without a file, another transport.
        """
        for endpoint in endpoints:
            transport, _, address = endpoint.partition("://")
            if transport == "tcp":
                _check_tcp(endpoint, address)
            elif transport == "ipc":
                _check_ipc(endpoint, address)
            else:
                raise EndpointError(f"{endpoint}: use tcp://ADDRESS:PORT or ipc://PATH")
            self.secret_for(endpoint)

    def lets_strangers_in(self, endpoints: Iterable[str]) -> bool:
        """Whether any of these takes anyone from anywhere."""
        return self.insecure and not all(_is_on_this_machine(endpoint) for endpoint in endpoints)

    def _asks_for_keys(self, endpoint: str) -> bool:
        if endpoint.startswith("ipc://"):
            return False
        return self.require_keys if _is_on_this_machine(endpoint) else not self.insecure


def _is_on_this_machine(endpoint: str) -> bool:
    transport, _, address = endpoint.partition("://")
    return transport == "ipc" or _is_loopback(address.rpartition(":")[0])


def _check_tcp(endpoint: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port:
        raise EndpointError(f"{endpoint}: give address and port, such as tcp://127.0.0.1:5577 (port 0: any free one)")


def _check_ipc(endpoint: str, address: str) -> None:
    if not address or address[0] in "@*":
        raise EndpointError(f"{endpoint}: give the path of a file, so that its permissions say who may connect")


def _is_loopback(host: str) -> bool:
    """Only what certainly is: libzmq also takes names of interfaces and hosts, and nobody knows where those lead."""
    if host == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return ip in ipaddress.ip_network("127.0.0.0/8") if ip.version == 4 else ip == ipaddress.IPv6Address("::1")
