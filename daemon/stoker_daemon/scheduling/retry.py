"""What becomes of an item that failed: once more, later, alone, or the end."""

from dataclasses import dataclass

from stoker_daemon.jobs.records import Member, Result
from stoker_protocol.errors import KINDS, FailureKind, RetryClass
from stoker_protocol.jobs import Failure, ItemState


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays in seconds grow by `factor` from `base_s` to `max_s`; `crash_limit` own crashes end an item for good."""

    base_s: float = 1.0
    factor: float = 2.0
    max_s: float = 300.0
    crash_limit: int = 3

    def delay_s(self, attempt: int, dice: float) -> float:
        """Seconds before attempt `attempt + 1`; `dice` in [0, 1) spreads it over the upper half of the step.

        Equal jitter: half the step is certain, half is drawn, so that a herd disperses but nobody retries at once.
        """
        try:
            step = min(self.max_s, self.base_s * self.factor ** (attempt - 1))
        except OverflowError:  # an engine may be away for thousands of tries
            step = self.max_s
        return step / 2 + step / 2 * dice


def judge(
    member: Member,
    kind: FailureKind,
    message: str,
    *,
    shared: bool,
    policy: RetryPolicy,
    dice: float,
) -> Result:
    """What a failure means for one member; `shared` says that others were in the same run.

    Members of a batch that failed as a whole are tried alone at no charge: only one of them may be to blame. An item
    is failed after its last attempt, or when its own single runs have killed its engine `crash_limit` times.
    """
    failure = Failure(kind.value, message)
    if KINDS[kind] is RetryClass.NEVER:
        return Result(member.position, ItemState.FAILED, failure)
    if KINDS[kind] is RetryClass.FREE:
        return Result(member.position, ItemState.PENDING, failure, delay_s=policy.delay_s(1, dice), charged=False)
    if shared and KINDS[kind] is RetryClass.ALONE:
        return Result(member.position, ItemState.PENDING, failure, alone=True, charged=False)
    crashed = kind is FailureKind.CRASH
    if _is_spent(member, crashed=crashed, policy=policy):
        return Result(member.position, ItemState.FAILED, failure, crashed=crashed)
    return Result(
        member.position,
        ItemState.PENDING,
        failure,
        delay_s=policy.delay_s(member.attempt, dice),
        alone=KINDS[kind] is RetryClass.ALONE,
        crashed=crashed,
    )


def _is_spent(member: Member, *, crashed: bool, policy: RetryPolicy) -> bool:
    return member.attempt >= member.max_attempts or (crashed and member.crashes + 1 >= policy.crash_limit)
