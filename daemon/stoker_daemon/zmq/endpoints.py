"""Opens sockets at the endpoints that the daemon was told, over IPC without stepping on a live one."""

import errno
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import zmq

from stoker_daemon.zmq.security import EndpointError
from stoker_daemon.zmq.zap import DOMAIN

IPC_MODE = 0o660
LINGER_MS = 1_000
"""How long a closed socket still tries to deliver what it was given."""

_COMMON: dict[zmq.SocketOption, int | bytes] = {
    zmq.LINGER: LINGER_MS,
    zmq.HANDSHAKE_IVL: 10_000,
    # Nobody gets in unless somebody says so. And with a domain, libzmq refuses ZMTP before 3, which knows neither
    # heartbeat nor handshake and which any bytes that begin with something else than 0xff pass for.
    zmq.ZAP_DOMAIN: DOMAIN,
    zmq.ZAP_ENFORCE_DOMAIN: 1,
    zmq.TCP_KEEPALIVE: 1,
    # A peer that vanished without a word is forgotten within half a minute, with all that is queued for it.
    zmq.HEARTBEAT_IVL: 10_000,
    zmq.HEARTBEAT_TIMEOUT: 30_000,
}


def open_bound(
    context: zmq.Context[zmq.Socket[bytes]],
    kind: int,
    endpoints: Iterable[str],
    options: Mapping[zmq.SocketOption, int],
    secret_for: Callable[[str], bytes | None] = lambda _: None,
) -> tuple[zmq.Socket[bytes], list[str]]:
    """A socket with these options, bound, and its endpoints as bound: ports are real.

    Where there is a secret for an endpoint, only clients with a key can speak there, and nobody can listen in (CURVE).

    Raises:
        EndpointError: One of them is taken or can't be bound.
    """
    opened = context.socket(kind)
    try:
        for option, value in {**_COMMON, **options}.items():
            opened.set(option, value)
        return opened, [_bind(opened, endpoint, secret_for(endpoint)) for endpoint in endpoints]
    except BaseException:
        opened.close(linger=0)
        raise


def check_free(endpoints: Iterable[str]) -> None:
    """Bind TCP ports for a moment: one that is taken shall be known before anything is written.

    Raises:
        EndpointError: One of them is taken or can't be bound.
    """
    with zmq.Context() as context:
        for endpoint in endpoints:
            if endpoint.startswith("tcp://"):
                open_bound(context, zmq.ROUTER, [endpoint], {})[0].close(linger=0)


def _bind(opened: zmq.Socket[bytes], endpoint: str, secret: bytes | None) -> str:
    opened.set(zmq.CURVE_SERVER, int(secret is not None))  # holds for what is bound from here on
    if secret is not None:
        opened.set(zmq.CURVE_SECRETKEY, secret)
    path = Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None
    if path:
        _remove_stale(path)
    opened.set(zmq.IPV6, int("[" in endpoint))
    try:
        opened.bind(endpoint)
    except zmq.ZMQError as error:
        taken = "; is a daemon running already?" if error.errno == errno.EADDRINUSE else ""
        raise EndpointError(f"{endpoint}: {zmq.strerror(error.errno or 0).lower()}{taken}") from None
    if path:
        path.chmod(IPC_MODE)
    return opened.get_string(zmq.LAST_ENDPOINT)


def _remove_stale(path: Path) -> None:
    """Remove a socket file that nobody listens on. libzmq itself would remove whatever lies there, alive or not."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise EndpointError(f"ipc://{path}: a file that is no socket is in the way; move it or use another path")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except BlockingIOError:
        pass
    except OSError as error:
        raise EndpointError(f"ipc://{path}: {(error.strerror or str(error)).lower()}") from None
    raise EndpointError(f"ipc://{path}: another process listens there; is a daemon running already?")
