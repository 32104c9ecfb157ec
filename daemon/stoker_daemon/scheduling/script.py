"""A plan on its way: the runs that are left of it, chosen in their order."""

from collections.abc import Mapping, Sequence

from stoker_daemon.jobs.records import Choice, Head, Part, Run
from stoker_daemon.scheduling.plan import PlannedRun

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

    @property
    def first(self) -> PlannedRun:
        """What comes first of it, if anything is left."""
        return self._left[-1]

    @property
    def left(self) -> tuple[PlannedRun, ...]:
        """What is still to come, in order."""
        return tuple(reversed(self._left))

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


def _items(run: PlannedRun, rank: int) -> int:
    return sum(share.items for share in run.shares if share.rank == rank)
