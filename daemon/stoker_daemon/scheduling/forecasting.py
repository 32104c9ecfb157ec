"""The policy of one lane run forward over what waits, and what that says of jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from stoker_daemon.jobs.records import WaitingLot
from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.plan import Lot, Plan, PlannedRun, Queued, fifo_s, plan, single_s
from stoker_daemon.scheduling.residency import Estimates, Gpu, Key

MOVED = 0.1
"""An estimate that has moved by more makes what was planned with it stale."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the policy of a lane knows at one moment, and has promised; nothing changes it any more."""

    gpu: Gpu
    estimates: Estimates
    dials: Dials
    promised: tuple[PlannedRun, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a lane is to do from now on, `busy_s` of which it is still at its present run.

    `fifo_s`: seconds that the same work takes in its order of arrival; `single_s`: in these waves, but one by one.
    `believed` are the estimates that it rests on, `longest_load_s` the most that any of its models takes to load.
    """

    plan: Plan
    busy_s: float
    fifo_s: float
    single_s: float
    residents: tuple[Key, ...]
    believed: tuple[float, ...]
    longest_load_s: float

    def still_holds(self, other: "Forecast") -> bool:
        """Whether one made later, of the same queue, rests on much the same."""
        if self.residents != other.residents or len(self.believed) != len(other.believed):
            return False
        return all(
            abs(now - then) <= MOVED * max(then, 0.1) for then, now in zip(self.believed, other.believed, strict=True)
        )


def forecast(lots: Sequence[WaitingLot], outlook: Outlook, now_ms: int, busy_s: float) -> Forecast:
    """What a lane makes of these lots, which are in the order that they are taken in."""
    lines: dict[tuple[int, int, str], list[WaitingLot]] = {}
    for lot in lots:
        lines.setdefault((lot.signature_id, lot.priority.rank, lot.client), []).append(lot)
    queue = [_queued(line) for line in lines.values()]
    gpu, estimates, dials = outlook.gpu, outlook.estimates, outlook.dials
    made = plan(queue, gpu, estimates, dials, now_ms / 1000 + busy_s, promised=outlook.promised)
    return Forecast(
        made,
        busy_s,
        busy_s + fifo_s(queue, gpu, estimates, dials),
        busy_s + single_s(made, estimates),
        gpu.residents,
        _believed(queue, estimates),
        max((estimates.load_s(queued.key) for queued in queue), default=0.0),
    )


def due_in_s(lot: WaitingLot, dials: Dials, now_ms: int) -> float:
    """Seconds until it has waited as long as one of its priority may; negative: since then."""
    return dials.caps_s[lot.priority.rank] - (now_ms - lot.came_ms) / 1000


def _queued(line: Sequence[WaitingLot]) -> Queued:
    first = line[0]
    return Queued(
        Key(first.signature.engine, first.signature.residency),
        first.signature_id,
        first.priority.rank,
        tuple(
            Lot(lot.job_id, lot.items, lot.came_ms / 1000, lot.batch_size, lot.at_once, lot.likeness) for lot in line
        ),
        first.client,
    )


def _believed(queue: Sequence[Queued], estimates: Estimates) -> tuple[float, ...]:
    lines = sorted({(queued.signature, queued.key) for queued in queue})
    loads = tuple(estimates.load_s(key) for _, key in lines)
    return loads + tuple(estimates.run_s(signature, items) for signature, _ in lines for items in (1, 8))
