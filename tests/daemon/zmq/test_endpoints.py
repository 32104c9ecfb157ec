"""Binding, above all of IPC paths that something is at already."""

import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from zmq.auth.thread import ThreadAuthenticator

from stoker_daemon.zmq.endpoints import open_bound
from stoker_daemon.zmq.security import EndpointError

Context = zmq.Context[zmq.Socket[bytes]]
Bind = Callable[..., list[str]]


@pytest.fixture
def context() -> Iterator[Context]:
    """Where sockets come from; they all end with the test. Everybody is let in."""
    made = Context()
    authenticator = ThreadAuthenticator(made)
    authenticator.start()
    yield made
    authenticator.stop()
    made.destroy(linger=0)


@pytest.fixture
def bind(context: Context) -> Iterator[Bind]:
    """Binds a socket that stays open through the test."""
    kept: list[zmq.Socket[bytes]] = []

    def bind_and_keep(*endpoints: str) -> list[str]:
        opened, bound = open_bound(context, zmq.PULL, endpoints, {})
        kept.append(opened)
        return bound

    yield bind_and_keep
    for opened in kept:
        opened.close(linger=0)


def test_real_endpoints(context: Context, bind: Bind, tmp_path: Path) -> None:
    """Several endpoints are bound at once, over IPv4, IPv6 and IPC, and named with their real ports."""
    asked = ["tcp://127.0.0.1:0", "tcp://localhost:0", "tcp://[::1]:0", f"ipc://{tmp_path}/s"]
    bound = bind(*asked)
    assert [endpoint.rpartition(":")[0] for endpoint in bound] == [
        "tcp://127.0.0.1",
        "tcp://127.0.0.1",
        "tcp://[::1]",
        "ipc",
    ]
    for endpoint in bound:
        assert not endpoint.endswith((":0", "\0"))
        with context.socket(zmq.PUSH) as push:
            push.set(zmq.IPV6, 1)
            push.set(zmq.IMMEDIATE, 1)  # only what is connected can be written to
            push.connect(endpoint)
            assert push.poll(30_000, zmq.POLLOUT)


def test_ipc_permissions(bind: Bind, tmp_path: Path) -> None:
    """An IPC socket is for its user and group only."""
    bind(f"ipc://{tmp_path}/s")
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660


def test_stale_socket_file(context: Context, bind: Bind, tmp_path: Path) -> None:
    """A socket file that a dead daemon left behind is replaced."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    (bound,) = bind(f"ipc://{path}")
    with context.socket(zmq.PUSH) as push:
        push.set(zmq.IMMEDIATE, 1)
        push.connect(bound)
        assert push.poll(30_000, zmq.POLLOUT)


def test_living_socket(bind: Bind, tmp_path: Path) -> None:
    """A socket that somebody listens on is left alone, even when it has no room for one more connection."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as alive, socket.socket(socket.AF_UNIX) as peer:
        alive.bind(str(path))
        alive.listen(0)
        for _ in range(2):
            with pytest.raises(EndpointError, match="another process listens"):
                bind(f"ipc://{path}")
            assert path.is_socket()
        alive.accept()[0].close()
        peer.connect(str(path))


def test_other_file(bind: Bind, tmp_path: Path) -> None:
    """A file that is no socket is left alone."""
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    with pytest.raises(EndpointError, match="no socket is in the way"):
        bind(f"ipc://{path}")
    assert path.read_text() == "precious"


@pytest.mark.parametrize("path", ["nowhere/s", "x" * 200])
def test_impossible_path(bind: Bind, tmp_path: Path, path: str) -> None:
    """A path that can't be is refused by name."""
    with pytest.raises(EndpointError, match=f"ipc://{tmp_path}/{path}: "):
        bind(f"ipc://{tmp_path}/{path}")


def test_taken_port(bind: Bind) -> None:
    """A taken port is refused by name, and the socket's other endpoints are given back."""
    (taken,) = bind("tcp://127.0.0.1:0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(EndpointError, match=f"{taken}: address already in use; is a daemon running already"):
        bind(free, taken)
    deadline = time.monotonic() + 30
    while True:  # libzmq closes sockets in its own time
        try:
            bind(free)
            break
        except EndpointError:
            assert time.monotonic() < deadline
