"""A plan on its way: the runs that are left of it, chosen in their order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stoker_daemon.jobs.records import Choice, Head, Part, Run
from stoker_daemon.scheduling.plan import PlannedRun
from stoker_daemon.scheduling.residency import Estimates, Gpu, make_room
from stoker_daemon.scheduling.waves import Decision, Waiting

Line = tuple[int, int]
"""A signature and a rank."""


class Script:
    """Chooses the planned runs one after the other; those of which nothing is left are passed over.

    Each job's items are taken in their order, none twice: what failed comes when all that was planned is done.
    """

    def __init__(self, planned: Sequence[PlannedRun] = ()) -> None:
        self._left = list(reversed(planned))
        self._after: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._left)

    def next_run(self, lines: Mapping[Line, Head]) -> tuple[PlannedRun, Choice] | None:
        """The next planned run of which something waits in these lines, or None: nothing of the plan is left."""
        while self._left:
            run = self._left.pop()
            shares = [share for share in run.shares if (run.signature, share.rank) in lines]
            if shares:
                ranks = dict.fromkeys(share.rank for share in shares)
                takes = ((lines[run.signature, rank], _items(run, rank)) for rank in ranks)
                parts = (Part(each.job_id, each.items, self._after.get(each.job_id, -1)) for each in shares)
                return run, Choice(tuple(takes), parts=tuple(parts))
        return None

    def began(self, run: Run) -> None:
        """Remember how far each job is."""
        for member in run.members:
            self._after[member.job_id] = max(member.index, self._after.get(member.job_id, -1))


def as_decision(run: PlannedRun, choice: Choice, usual: Decision, gpu: Gpu, estimates: Estimates) -> Decision:
    """A planned run as the policy remembers what it decides; `usual` is what it would have decided."""
    key = run.key
    seen = ((Waiting(key, run.signature, head.priority.rank, head.ready, 0.0), n) for head, n in choice.takes)
    is_loaded = key in gpu.residents
    return replace(
        usual,
        key=key,
        takes=tuple(seen),
        evicts=() if is_loaded else make_room(key, gpu, estimates, ()),
        load_s=0.0 if is_loaded else estimates.load_s(key),
        run_s=run.run_s,
        reason=run.reason,
    )


def _items(run: PlannedRun, rank: int) -> int:
    return sum(share.items for share in run.shares if share.rank == rank)
