"""All peers beside each other: in each round each of them once, forth and back in turns."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.core.contenders import Limit, Stoker
from benchmarks.core.figures import Comparison, Figure, Findings, Relation, Setting, ratio
from benchmarks.machine import fsync_us
from benchmarks.peers.contenders import MEASURES, Core, Peer, Unavailable
from benchmarks.peers.libraries import LIBRARIES, Library
from benchmarks.peers.servers import Beanstalkd, RedisStreams
from benchmarks.peers.work import Order

QUICK = 50
"""By how much less a quick run measures."""
ROUNDS_S = 800.0
"""For all rounds; on two quiet cores five take some 450 s."""
FSYNC = "fdatasync just before"
UNITS = {**dict.fromkeys(MEASURES, "/s"), "idle start": "ms", "busy start": "ms", "memory": "MiB", FSYNC: "us"}
PYTHON_SERVICES = tuple(library.name for library in LIBRARIES if library.name != "huey")
"""Services in Python; huey is embedded, so that its submits have no way to go."""

Values = Mapping[str, Mapping[str, list[float]]]
"""By measure and peer, one of each round."""

WORDED = {
    "one by one": "submit one by one",
    "64 clients": "submit by 64 clients",
    "100 a request": "submit 100 a request",
    "no-op items": "no-op items",
    "idle start": "submit to start, idle",
}
"""As figures call measures that have a target."""

TARGETS: list[tuple[str, str, Relation, float]] = [
    ("one by one", "limit", ">=", 0.8),
    ("64 clients", "limit", ">=", 0.6),
    ("64 clients", "beanstalkd", ">=", 2),
    ("100 a request", "limit", ">=", 0.7),
    *(("100 a request", peer, ">=", 3.0) for peer in PYTHON_SERVICES),
    ("100 a request", "Redis Streams", ">=", 0.6),
    ("no-op items", "limit", ">=", 0.7),
    ("no-op items", "celery", ">=", 3),
    ("idle start", "limit", "<=", 1.5),
    ("idle start", "celery", "<=", 0.7),
]
"""What Stoker's ratio to a peer should be."""


def peers(setting: Setting) -> Findings:
    """Measure Stoker, the limit of its design and all peers that can be measured here."""
    return compare(makers(setting), setting)


def makers(setting: Setting) -> dict[str, Callable[[], Peer]]:
    """What makes each contender, by a name without spaces."""
    environments = setting.environments.absolute()

    def maker(library: type[Library]) -> Callable[[], Peer]:
        return lambda: library(environments, may_install=not setting.quick)

    return {
        "stoker": lambda: Core(Stoker, "its defaults: jobs, items, priorities, outcomes, events, a worker process"),
        "limit": lambda: Core(Limit, "a ROUTER, one SQLite table with FULL, a warm worker, nothing else"),
        "beanstalkd": Beanstalkd,
        "redis": RedisStreams,
        **{library.script: maker(library) for library in LIBRARIES},
    }


def compare(wanted: Mapping[str, Callable[[], Peer]], setting: Setting) -> Findings:
    """Whoever can't be measured is left out of all rounds, with the reason."""
    order = Order().divided(QUICK) if setting.quick else Order()
    values: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    contenders: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for maker in _turns(list(wanted.values()), setting.rounds, left_out):
        peer = maker()
        if peer.name in left_out:
            continue
        try:
            with tempfile.TemporaryDirectory(dir=setting.folder, ignore_cleanup_errors=True) as own:
                fsync = fsync_us(setting.folder)
                found = peer.measure(Path(own), order)
            contenders.setdefault(peer.name, "; ".join(said for said in (peer.version(), peer.does) if said))
        except Unavailable as reason:
            left_out[peer.name] = str(reason)
            for measured in (*values.values(), contenders):
                measured.pop(peer.name, None)
            continue
        for measure, value in {**found, FSYNC: fsync}.items():
            values[measure][peer.name].append(value)
    comparisons = [Comparison(name, UNITS[name], dict(values[name])) for name in MEASURES if values[name]]
    comparisons.append(Comparison(FSYNC, UNITS[FSYNC], dict(values[FSYNC]), is_anchor=True))
    return Findings(_figures(values), comparisons, left_out, contenders)


def _turns(makers: Sequence[Callable[[], Peer]], rounds: int, left_out: dict[str, str]) -> Iterator[Callable[[], Peer]]:
    """Whole rounds, as many as there is time for."""
    began_s = time.monotonic()
    for number in range(rounds):
        took_s = time.monotonic() - began_s
        if number and took_s + took_s / number > ROUNDS_S:
            left_out[f"{rounds - number} of {rounds} rounds"] = (
                f"{number} took {took_s:.0f} s, for the machine was slow"
            )
            return
        yield from makers if number % 2 == 0 else reversed(makers)


def _figures(values: Values) -> list[Figure]:
    return [
        ratio(f"{WORDED[measure]}, to {peer}", values[measure]["stoker"], values[measure][peer], relation, target)
        for measure, peer, relation, target in TARGETS
        if peer in values[measure] and "stoker" in values[measure]
    ]
