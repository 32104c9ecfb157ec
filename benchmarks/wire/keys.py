"""What CURVE costs those who submit: the same jobs to two daemons on one disk, with keys and without, in turns."""

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import zmq

from benchmarks.core.figures import Figure, Setting, ratio
from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id, open_control
from stoker_daemon.admin import keys
from stoker_protocol import codec
from stoker_protocol.keys import ClientKey
from stoker_protocol.requests import ItemSpec, Ping, Role, Submit

CONFIG = """
require_keys = {needs_key}
[limits]
requests_per_s = 0
"""
CLIENTS = 16
BLOCK = 100
"""Jobs in one block."""
PAIRS = 10
"""Pairs of blocks in a round."""
TIMEOUT_MS = 60_000


def keys_cost(setting: Setting) -> list[Figure]:
    """The ratio of the rates, one client at a time and sixteen: the median of pairs of blocks, as the disk varies."""
    pairs = 1 if setting.quick else PAIRS * setting.rounds
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder, ExitStack() as stack:
        plain, _ = _daemon(Path(folder) / "plain", stack, needs_key=False)
        locked, key = _daemon(Path(folder) / "locked", stack, needs_key=True)
        return [
            _figure(
                f"submit {name}, with keys to without", pairs, _Load(plain, None, clients), _Load(locked, key, clients)
            )
            for name, clients in (("one by one", 1), (f"by {CLIENTS} clients", CLIENTS))
        ]


def _figure(name: str, pairs: int, plain: "_Load", locked: "_Load") -> Figure:
    with plain, locked:
        rates: list[tuple[float, float]] = []
        for pair in range(pairs):
            without, with_keys = (load.rate() for load in ((plain, locked) if pair % 2 else (locked, plain)))
            rates.append((without, with_keys) if pair % 2 else (with_keys, without))
    without, with_keys = (
        [statistics.median(side[at : at + PAIRS]) for at in range(0, pairs, PAIRS)] for side in zip(*rates, strict=True)
    )
    made_of = f"{statistics.median(with_keys):.0f}/{statistics.median(without):.0f} jobs/s, {pairs} pairs of {BLOCK}"
    return ratio(name, with_keys, without, ">=", 0.85, made_of)


def _daemon(folder: Path, stack: ExitStack, *, needs_key: bool) -> tuple[PrivateDaemon, ClientKey]:
    folder.mkdir()
    (folder / "stokerd.toml").write_text(CONFIG.format(needs_key=str(needs_key).lower()))
    key = keys.add(folder / "data", "loader", Role.ADMIN, "")
    daemon = PrivateDaemon(folder / "data", args=["--config", str(folder / "stokerd.toml")])
    stack.enter_context(daemon)
    with Client(daemon.control, key=key if needs_key else None) as client:
        client.pause(reason="a benchmark of the wire")
    return daemon, key


class _Load:
    """Clients of one daemon, each of which waits for each of its answers."""

    def __init__(self, daemon: PrivateDaemon, key: ClientKey | None, clients: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets = [open_control(self._context, daemon.control, key) for _ in range(clients)]
        self._poller = zmq.Poller()
        for socket in self._sockets:
            self._poller.register(socket, zmq.POLLIN)
        _exchange(self._poller, self._sockets, [codec.encode(Ping(id="warm")) for _ in self._sockets])

    def __enter__(self) -> "_Load":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)

    def rate(self) -> float:
        """Jobs a second in one block of them."""
        params = msgspec.Raw(msgspec.msgpack.encode({"prompt": "a red dragon", "seed": 7}))
        bodies = [
            codec.encode(Submit(id=str(number), job_id=new_job_id(), items=[ItemSpec(params=params)]))
            for number in range(BLOCK)
        ]
        began_s = time.perf_counter()
        _exchange(self._poller, self._sockets, bodies)
        return BLOCK / (time.perf_counter() - began_s)


def _exchange(poller: zmq.Poller, sockets: list[zmq.Socket[bytes]], bodies: list[bytes]) -> None:
    waiting = iter(bodies)
    under_way = 0
    for socket, body in zip(sockets, waiting, strict=False):
        socket.send_multipart([b"", body])
        under_way += 1
    while under_way:
        ready = poller.poll(TIMEOUT_MS)
        if not ready:
            raise TimeoutError("no answer")
        for socket, _ in ready:
            reply = codec.decode_reply(socket.recv_multipart()[-1])
            assert reply.__struct_config__.tag in ("submitted", "pong"), reply
            body = next(waiting, None)
            if body is None:
                under_way -= 1
            else:
                socket.send_multipart([b"", body])
