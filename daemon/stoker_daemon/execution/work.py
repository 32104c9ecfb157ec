"""One run on its way through a lane, and what becomes of its members by how it ended."""

from collections.abc import Callable
from dataclasses import dataclass, field

from stoker_daemon.execution.observer import Observer
from stoker_daemon.execution.supervisor import Ending, Supervisor
from stoker_daemon.jobs.records import Member, Result, Run, SavedArtifact, Stop
from stoker_daemon.ports import Engine
from stoker_daemon.scheduling.deciding import Went
from stoker_daemon.scheduling.residency import Key
from stoker_daemon.scheduling.retry import RetryPolicy, judge
from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import Failure, ItemState

GOOD = (ItemState.SUCCEEDED, ItemState.REJECTED, ItemState.SKIPPED)


@dataclass(slots=True)
class Work:
    """One run on its way through the lane.

    Jobs in `dropped` want no more of it; what is made for positions in `discarded` is thrown away.
    """

    run: Run
    engine: Engine
    observer: Observer
    supervisor: Supervisor
    dropped: set[str] = field(default_factory=set[str])
    discarded: set[int] = field(default_factory=set[int])
    ending: Ending = field(default_factory=Ending)
    artifacts: dict[int, tuple[SavedArtifact, ...]] = field(default_factory=dict[int, tuple[SavedArtifact, ...]])
    results: list[Result] = field(default_factory=list[Result])
    seconds: float = 0.0

    @property
    def key(self) -> Key:
        """What it needs loaded."""
        return Key(self.run.signature.engine, self.run.signature.residency)

    @property
    def is_adrift(self) -> bool:
        """Whether its engine may go on with it, out of sight."""
        return self.ending.failure is not None and self.ending.failure.adrift and not self.ending.reason

    @property
    def went(self) -> Went:
        """How it went, once it has been judged."""
        failure = self.ending.failure
        kinds = {own.kind for own in self.observer.failures.values()}
        is_oom = failure is not None and failure.kind is FailureKind.OOM
        if is_oom or self.observer.ran_out or FailureKind.OOM in kinds:
            return "out of memory"
        is_whole = self.ending == Ending() and all(result.state in GOOD for result in self.results)
        return "well" if is_whole else "badly"

    def stop(self, stop: Stop) -> None:
        """Have it end, or go on without what one job has in it: others' items are not to run twice for that.

        A pause among others lets its items end: they would only have to be made again.
        """
        members = self.run.members
        self.dropped |= {member.job_id for member in members if stop.job_id in (None, member.job_id)}
        if all(member.job_id in self.dropped for member in members):
            self.supervisor.stop(stop.reason)
            self.observer.given_up.set()
        elif stop.reason == "cancel":
            mine = {member.position for member in members if member.job_id == stop.job_id}
            self.discarded |= mine - self.observer.complete
            self.observer.unwanted |= self.discarded

    def judge(self, policy: RetryPolicy, dice: Callable[[], float]) -> None:
        """Say what becomes of each member."""
        self.results = [self._result(member, policy, dice) for member in self.run.members]

    def _result(self, member: Member, policy: RetryPolicy, dice: Callable[[], float]) -> Result:
        """What becomes of one member, by how its run ended and what it had made until then."""

        def failed(kind: FailureKind, message: str, *, shared: bool) -> Result:
            return judge(member, kind, message, shared=shared, policy=policy, dice=dice())

        position, observer = member.position, self.observer
        own = observer.failures.get(position)
        if position in self.discarded:
            return Result(position, ItemState.PENDING, charged=False)
        if own is not None:
            return failed(FailureKind(own.kind), own.message, shared=False)
        if position in self.artifacts:
            state, why = observer.verdicts.get(position, (ItemState.SUCCEEDED, None))
            return Result(position, state, why, artifacts=self.artifacts[position])
        if position in observer.unsaved:
            return Result(position, ItemState.PENDING, charged=False)
        reason, failure = self.ending.reason, self.ending.failure
        shared = len(self.run.members) > 1
        if reason in (FailureKind.TIMEOUT, FailureKind.NO_PROGRESS):
            return failed(FailureKind(reason), _late(reason, self.run), shared=shared)
        if reason:
            return Result(position, ItemState.PENDING, charged=False)
        if failure is not None and failure.unavailable:
            away = Failure(FailureKind.SERVER_ERROR.value, failure.message)
            return Result(position, ItemState.PENDING, away, charged=False)
        if failure is not None:
            return failed(failure.kind, failure.message, shared=shared)
        return failed(FailureKind.INTERNAL, "the engine ended the run without a result for this item", shared=shared)


def _late(reason: str, run: Run) -> str:
    if reason == FailureKind.TIMEOUT:
        return f"took longer than {run.limits.timeout_s * len(run.members):g} s"
    return f"showed no progress for {run.limits.no_progress_s:g} s"
