"""The durable queue without threads or a loop: each write is one transaction, committed before the next begins."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from stoker_daemon.jobs.records import Choice, Head, Placement, Result, Run, SavedArtifact, Signature
from stoker_daemon.ports import ClaimOrder
from stoker_daemon.scheduling import policy
from stoker_daemon.sqlite import accepting, claiming
from stoker_daemon.sqlite.migrating import open_database
from stoker_daemon.sqlite.recording import Ended, record
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol import codec
from stoker_protocol.jobs import ItemState, Priority
from stoker_protocol.requests import ItemSpec, Submit

T = TypeVar("T")
START_MS = 1_700_000_000_000
NO_LIMIT = 1_000_000


@dataclass
class ManualClock:
    """A clock that stands still until it is moved."""

    ms: int = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


def a_submission(
    job_id: str, count: int = 1, *, model: str = "one", client: str = "tests", **options: Any
) -> accepting.Submission:
    """A job of so many items, as the store is handed it."""
    request = a_submit(job_id, count, **options)
    placement = Placement(model, Signature("faults", model, model))
    return accepting.Submission(request, codec.encode(request), client, placement)


class Queue:
    """A database of its own in a folder, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.connection: sqlite3.Connection = open_database(folder)
        self.connection.execute("PRAGMA synchronous=OFF")
        self.clock = ManualClock()
        self.last: Transaction | None = None
        self._head = 0
        self._runs = 0

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Do one write and commit it; what it raises leaves nothing."""
        transaction = Transaction(self.connection, self.clock.ms, self._head)
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(transaction)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        transaction.finish()
        self.connection.execute("COMMIT")
        self._head, self.last = transaction.head, transaction
        return result

    def accept(self, job_id: str, count: int = 1, *, model: str = "one", **options: Any) -> None:
        """Store a job of so many items."""
        submission = a_submission(job_id, count, model=model, **options)
        self.write(lambda tx: accepting.accept(tx, [submission], NO_LIMIT))

    def claim(self, *, max_batch: int = 1, loaded: str = "", engines: tuple[str, ...] = ("faults",)) -> Run | None:
        """Claim a run, as the policy chooses with that model loaded."""
        self._runs += 1
        order = an_order(max_batch=max_batch, loaded=loaded, engines=engines)
        return self.write(lambda tx: claiming.claim(tx, order, f"run-{self._runs}"))

    def record(self, run: Run, *results: Result) -> None:
        """Record what became of a run; without results, all members succeed."""
        outcomes = results or tuple(a_success(run, member.position) for member in run.members)
        self.write(lambda tx: record(tx, [Ended(run.run_id, run.members, outcomes)]))

    def one(self, query: str, *values: object) -> Any:
        """The first column of the first row."""
        return self.connection.execute(query, values).fetchone()[0]

    def all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows."""
        return self.connection.execute(query, values).fetchall()


def a_submit(job_id: str, count: int = 1, *, priority: str = "normal", alike: int = 0, **options: Any) -> Submit:
    """A request for a job of so many items, or of rows of so many that are `alike` but for the seed."""
    params = [
        {"prompt": f"row {n // alike}", "seed": n} if alike else {"prompt": f"{job_id} {n}"} for n in range(count)
    ]
    items = [ItemSpec(params=codec.pack(each)) for each in params]
    return Submit(id="1", job_id=job_id, engine="faults", items=items, priority=Priority(priority), **options)


def an_order(*, max_batch: int = 1, loaded: str = "", engines: tuple[str, ...] = ("faults",)) -> ClaimOrder:
    """What a lane with that model loaded asks for: any items of the first head, up to so many in a run."""

    def choose(heads: Sequence[Head], _run_id: str, _now_ms: int) -> Choice | None:
        head = policy.strict(heads, "faults", loaded)
        if head is None:
            return None
        mates = [each for each in heads if each.signature_id == head.signature_id and each is not head]
        takes: list[tuple[Head, int]] = []
        left = max_batch
        for each in [head, *mates]:
            takes += [(each, min(left, each.ready))] if left else []
            left -= min(left, each.ready)
        return Choice(tuple(takes))

    return ClaimOrder(
        lane="gpu",
        engines=frozenset(engines),
        choose=choose,
        timeout_s=60,
        no_progress_s=30,
        max_delay_s=300,
    )


def a_success(run: Run, position: int) -> Result:
    """A member of a run succeeded with one file."""
    member = run.members[position]
    path = f"outputs/2023-11-14/{member.job_id}/files/{member.index:05}_0.txt"
    artifact = SavedArtifact(output=0, path=path, media_type="text/plain", sha256="0" * 64, bytes=1)
    return Result(position, ItemState.SUCCEEDED, artifacts=(artifact,))
