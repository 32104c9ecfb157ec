"""The account of one GPU's memory, in bytes: who holds what of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stoker_daemon.jobs.records import Resident
from stoker_daemon.scheduling.residency import NO_PINS, Key, Pins, make_room
from stoker_daemon.scheduling.residency import Gpu as Loaded
from stoker_protocol.gpus import Gpu, GpuProcess, Holding

GIB = 1 << 30
SMALL = 64 << 20
"""What is not worth a line of its own."""
OTHERS, UNSEEN = "others", "driver and unseen"
"""Processes that can't be told from those of an engine; and what no process is shown for, as those of a container."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an engine says that it holds, and how its processes are known: by their ids, or where they listen."""

    engine: str
    residents: tuple[Resident, ...] = ()
    pids: frozenset[int] = frozenset()
    port: int | None = None

    def owns(self, process: GpuProcess) -> bool:
        """Whether a process is the engine's."""
        return process.pid in self.pids or (self.port is not None and self.port in process.ports)


def holdings(gpu: Gpu, claims: Sequence[Claim]) -> list[Holding]:
    """Who holds memory of a GPU, the largest first; together no more than what is in use, if that is known.

    What the driver says of a process goes before what its engine says. Where an engine's processes are not known, those
    that are left over can't be told from them: then only what all of them hold beside the engines is known.
    """
    left: list[GpuProcess] = list(gpu.processes)
    found: list[Holding] = []
    are_unknown = False
    for claim in claims:
        mine = [process for process in left if claim.owns(process)]
        left = [process for process in left if process not in mine]
        are_unknown = are_unknown or (not mine and any(resident.bytes for resident in claim.residents))
        found += _of_engine(claim, mine)
    found += [] if are_unknown else [_beside(process) for process in left]
    if gpu.memory_used is not None:
        rest = gpu.memory_used - sum(holding.bytes or 0 for holding in found)
        if rest > SMALL and not gpu.is_unified:
            are_others = are_unknown and bool(left)
            found.append(Holding(OTHERS if are_others else UNSEEN, "", rest, is_stranger=are_others))
    return sorted(found, key=lambda holding: -(holding.bytes or 0))


def victims(
    key: Key, size: int, free: int, held: Mapping[Key, int], load_s: Callable[[Key], float], pins: Pins = NO_PINS
) -> tuple[Key, ...]:
    """Who of those that are loaded gives way to a model of that size, so that it fits into what is free by then.

    Those go first whose return costs least for each byte, and last those with `pins`; who then turns out not to be
    needed stays.
    """
    room = free + sum(held.values())
    gpu = Loaded(residents=tuple(held), slots=len(held) + 1, room_gb=room / GIB, pinned=pins)
    leaving = list(make_room(key, gpu, _Sizes({**held, key: size}, load_s), wanted=()))
    for victim in sorted(leaving, key=lambda each: (each in pins, load_s(each)), reverse=True):
        if free + sum(held[each] for each in leaving) - held[victim] >= size:
            leaving.remove(victim)
    return tuple(leaving)


def called(holding: Holding) -> str:
    """A holder as a person can find it."""
    if holding.is_stranger and holding.pid:
        return f"{holding.holder} (pid {holding.pid})"
    return f"{holding.holder} with {holding.what}" if holding.what else holding.holder


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What `make_room` asks of models; their runs do not matter here."""

    bytes: Mapping[Key, int]
    cost_s: Callable[[Key], float]

    def load_s(self, key: Key, /) -> float:
        return self.cost_s(key)

    def size_gb(self, key: Key, /) -> float:
        return self.bytes[key] / GIB

    def run_s(self, _signature: int, _items: int, /) -> float:
        return 0.0

    def batch(self, _signature: int, ready: int, _at_most_s: float, /) -> int:
        return ready


def _of_engine(claim: Claim, processes: Sequence[GpuProcess]) -> list[Holding]:
    """One line for each model, and one for what else the engine's processes hold.

    A model of a process that is known and not on the GPU is in the host's memory: it has no line.
    """
    pid = processes[0].pid if processes else None
    measured = sum(process.bytes or 0 for process in processes) or None
    said = sum(resident.bytes or 0 for resident in claim.residents)
    silent = [resident for resident in claim.residents if resident.bytes is None]
    rest = max(0, (measured or 0) - said)
    lines = [
        Holding(claim.engine, each.residency, rest if [each] == silent and rest else each.bytes, pid)
        for each in claim.residents
        if each.bytes is not None or each.pid is None or processes
    ]
    if rest > SMALL and len(silent) != 1:
        lines.append(Holding(claim.engine, "", rest, pid))
    return lines


def _beside(process: GpuProcess) -> Holding:
    """A process of no engine: a stranger's, or one that was started here and is only just loading."""
    name = process.name or f"process {process.pid}"
    return Holding(name, "", process.bytes, process.pid, is_stranger=not process.is_ours)
