"""Keeps the account of the executor's GPU: what engines say, and what the driver says of processes."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from stoker_daemon.ports import Engine
from stoker_daemon.scheduling import ledger
from stoker_daemon.scheduling.ledger import Claim
from stoker_protocol.gpus import Gpu, Holding

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class Occupancy:
    """What is held on the GPU that `gpu` tells of, by `engines` and by others."""

    def __init__(self, engines: Mapping[str, Engine], gpu: Callable[[], Gpu | None]) -> None:
        self._engines = engines
        self._gpu = gpu

    def holdings(self) -> list[Holding]:
        """Who holds what, as of the last look."""
        gpu = self._gpu()
        return [] if gpu is None else ledger.holdings(gpu, self.claims())

    def claims(self) -> list[Claim]:
        """What each engine says that it holds."""
        return [_claim(engine) for engine in self._engines.values()]


def _claim(engine: Engine) -> Claim:
    server, residents = engine.facts().server, tuple(engine.residents())
    pids = frozenset(resident.pid for resident in residents if resident.pid is not None)
    return Claim(engine.name, residents, pids, None if server is None else _port_here(server.url))


def _port_here(url: str) -> int | None:
    """Where a server listens that is on this host."""
    parts = urlsplit(url)
    if parts.hostname not in _HERE:
        return None
    return parts.port or (443 if parts.scheme == "https" else 80)
