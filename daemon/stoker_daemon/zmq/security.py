"""Who may reach the daemon: which endpoints it dares to bind."""

import ipaddress
from collections.abc import Iterable


class EndpointError(Exception):
    """An endpoint that the daemon must not or can't bind; the text names it and says what to do."""


def check_endpoints(endpoints: Iterable[str], insecure: bool) -> None:
    """Check that strangers can't reach any of the endpoints, unless `insecure` says that they may.

    Raises:
        EndpointError: An address beyond loopback, an IPC address without a file, or another transport.
    """
    for endpoint in endpoints:
        transport, _, address = endpoint.partition("://")
        if transport == "tcp":
            _check_tcp(endpoint, address, insecure)
        elif transport == "ipc":
            _check_ipc(endpoint, address)
        else:
            raise EndpointError(f"{endpoint}: use tcp://ADDRESS:PORT or ipc://PATH")


def _check_tcp(endpoint: str, address: str, insecure: bool) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port:
        raise EndpointError(f"{endpoint}: give address and port, such as tcp://127.0.0.1:5577 (port 0: any free one)")
    if not insecure and not _is_loopback(host):
        raise EndpointError(
            f"{endpoint}: others than this machine could reach that address and do as they like; "
            "bind 127.0.0.1 or [::1], or say --insecure if the network is trusted"
        )


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
