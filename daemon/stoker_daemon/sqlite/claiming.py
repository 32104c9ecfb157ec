"""How a run begins: from what the policy chose to a committed run row, over items of one job or several."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, NamedTuple

from stoker_daemon.jobs.records import Choice, Head, Limits, Member, Run, Signature
from stoker_daemon.ports import ClaimOrder
from stoker_daemon.sqlite.inserting import insert
from stoker_daemon.sqlite.likeness import likeness
from stoker_daemon.sqlite.rows import PRIORITIES, Tally, move_ready
from stoker_daemon.sqlite.writer import Transaction
from stoker_protocol import codec
from stoker_protocol.events import RunStarted, topic_of_job
from stoker_protocol.jobs import ItemState, Job, OnInterrupt
from stoker_protocol.jobs import Run as RunFacts

MAX_DUE = 1_000
"""Items whose back-off is ended in one transaction."""


def claim_some(transaction: Transaction, order: ClaimOrder, next_run_id: Callable[[], str]) -> tuple[Run, ...]:
    """Commit the runs that come first, none if nothing is ready or all is paused.

    Several are of one choice, and all but the first such that they may wait; where clients take turns there is one.
    """
    end_back_off(transaction, order.max_delay_s)
    run_id = next_run_id()
    choice, parts = _choose_what_is_there(transaction, order, run_id)
    taken: list[_Taken] = []
    while choice and parts and len(taken) < order.at_once:
        run = _make_run(order, run_id, choice.takes[0][0], parts)
        if taken:
            if not run.may_wait:
                break
            order.choose_alike(run_id, taken[0].run.run_id)
        _take_away(transaction, parts)
        taken.append(_Taken(run, parts))
        if choice.parts or choice.takes[0][0].client:  # which is for this one run, or is one turn
            break
        run_id = next_run_id()
        parts = _take(transaction, choice)
    return _begin(transaction, taken, choice.takes[0][0].signature_id) if choice else ()


def claim(transaction: Transaction, order: ClaimOrder, run_id: str) -> Run | None:
    """Commit a run over the first items of what was chosen, or None: nothing is ready or all is paused."""
    return next(iter(claim_some(transaction, replace(order, at_once=1), lambda: run_id)), None)


def end_back_off(transaction: Transaction, max_delay_s: float) -> None:
    """Make items ready whose time to wait after a failure is over."""
    due = transaction.execute(
        "SELECT job_key, idx FROM items WHERE not_before_ms <= ? OR not_before_ms > ? ORDER BY not_before_ms LIMIT ?",
        (transaction.now_ms, transaction.now_ms + round(max_delay_s * 1000), MAX_DUE),
    ).fetchall()
    if not due:
        return
    transaction.executemany("UPDATE items SET not_before_ms = NULL WHERE job_key = ? AND idx = ?", due)
    for job_key in {job_key for job_key, _ in due}:
        move_ready(transaction, job_key, sum(key == job_key for key, _ in due))


def _choose_what_is_there(
    transaction: Transaction, order: ClaimOrder, run_id: str
) -> "tuple[Choice | None, list[_Part]]":
    """What was chosen, and the items for a run of it: of what was planned nothing may be left."""
    while True:
        choice = _choose(transaction, order, run_id)
        parts = _take(transaction, choice) if choice else []
        if parts or not (choice and choice.parts):
            return choice, parts


def _choose(transaction: Transaction, order: ClaimOrder, run_id: str) -> Choice | None:
    if transaction.execute("SELECT 1 FROM queue_pause").fetchone():
        return None
    rows = transaction.execute(
        "SELECT signature_id, engine, residency, merge, priority, ready, oldest, came_ms, client"
        " FROM heads JOIN signatures USING (signature_id)"
    )
    heads = [
        Head(signature_id, Signature(engine, residency, merge), PRIORITIES[priority], *place)
        for signature_id, engine, residency, merge, priority, *place in rows
        if engine in order.engines
    ]
    return order.choose(heads, run_id, transaction.now_ms)


class _JobRow(NamedTuple):
    """What a claim needs to know of a job."""

    job_key: int
    job_id: str
    created_ms: int
    appended_ms: int
    params: bytes
    batch_size: int
    max_attempts: int
    timeout_s: float | None
    no_progress_s: float | None
    template: bytes | None
    on_interrupt: str
    offered: int


_JOB = (
    "jobs.job_key, job_id, created_ms, appended_ms, jobs.params, batch_size, max_attempts, timeout_s, no_progress_s,"
    " body, on_interrupt, offered"
)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one job gives to a run: rows of `idx, params, attempts, crashes, alone, custom_id`."""

    job: _JobRow
    items: list[Any]


class _Taken(NamedTuple):
    """A run that was put together, and what it is of."""

    run: Run
    parts: list[_Part]


def _take(transaction: Transaction, choice: Choice) -> list[_Part]:
    """The first items of the chosen heads, job after job, as far as all of them may share a run.

    No job has more items in a run than it allows, whosever they are, nor more of its own than it offers. One that must
    run alone ends what is taken, or is all of it if it comes first.
    """
    parts: list[_Part] = []
    taken, most = 0, sum(number for _, number in choice.takes)
    for head, number in choice.takes:
        for job, items_at_most, start in _jobs(transaction, head, number, choice):
            limit = min(most, job.batch_size or most)
            wanted = min(number, items_at_most, limit - taken, job.offered)
            if wanted <= 0:
                return parts
            rows = _ready_items(transaction, job.job_key, wanted, start)
            items = list(takewhile(_may_share, _alike(rows, job, parts) if choice.strict else rows))
            if rows and not items and not parts:
                return [_Part(job, rows[:1])]
            if items:
                parts.append(_Part(job, items))
            if len(items) < len(rows):
                return parts
            taken, number, most = taken + len(items), number - len(items), limit
            if not number:
                break
    return parts


def _jobs(transaction: Transaction, head: Head, most: int, choice: Choice) -> Iterator[tuple[_JobRow, int, int]]:
    """The first jobs of a head that have ready items, or those that were chosen: how many of which items at most."""
    query = (
        f"SELECT {_JOB} FROM lots JOIN jobs USING (job_key) LEFT JOIN templates USING (template_key)"
        " WHERE signature_id = ? AND lots.priority = ? AND ready > 0 AND is_held = 0 AND offered > 0"
    )
    if choice.parts:
        for part in choice.parts:
            terms = (head.signature_id, head.priority.rank, part.job_id)
            for row in transaction.execute(f"{query} AND job_id = ?", terms).fetchall():
                yield _JobRow._make(row), part.items, part.after + 1
        return
    terms = (head.signature_id, head.priority.rank, head.client, 1 if choice.one_job else most)
    for row in transaction.execute(f"{query} AND lots.client = ? ORDER BY place LIMIT ?", terms):
        yield _JobRow._make(row), most, 0


def _ready_items(transaction: Transaction, job_key: int, most: int, start: int) -> list[Any]:
    return transaction.execute(
        # Left to itself SQLite takes the primary key, and walks over all items of the job that are done.
        "SELECT idx, params, attempts, crashes, alone, custom_id FROM items INDEXED BY items_ready"
        " WHERE job_key = ? AND idx >= ? AND state = 'pending' AND not_before_ms IS NULL ORDER BY idx LIMIT ?",
        (job_key, start, most),
    ).fetchall()


def _alike(rows: list[Any], job: _JobRow, before: list[_Part]) -> Iterator[Any]:
    """Those that differ from the first item of the run in nothing but the seed."""
    first = _likeness(before[0].job, before[0].items[0]) if before else None
    for row in rows:
        own = _likeness(job, row)
        first = first or own
        if own != first:
            return
        yield row


def _likeness(job: _JobRow, item: Any) -> str:
    return likeness(job.template, job.params, item[1])


def _may_share(item: Any) -> bool:
    """Whether an item may share a run, which one that failed in company may not."""
    return not item[4]


def _make_run(order: ClaimOrder, run_id: str, head: Head, parts: list[_Part]) -> Run:
    members: list[Member] = []
    for part in parts:
        members += _members(part, len(members))
    jobs = [part.job for part in parts]
    limits = Limits(
        min(job.timeout_s or order.timeout_s for job in jobs),
        min(job.no_progress_s or order.no_progress_s for job in jobs),
    )
    may_wait = all(OnInterrupt(job.on_interrupt) is OnInterrupt.REQUEUE for job in jobs)
    return Run(run_id, order.lane, head.signature, head.priority, tuple(members), limits, jobs=(), may_wait=may_wait)


def _members(part: _Part, start: int) -> list[Member]:
    """The items of one job as members of a run, from the position `start` on."""
    job, shared = part.job, codec.unpack_map(part.job.params)
    return [
        Member(
            position=position,
            job_key=job.job_key,
            job_id=job.job_id,
            index=index,
            custom_id=custom_id,
            attempt=attempts + 1,
            crashes=crashes,
            created_ms=job.created_ms,
            params={**shared, **codec.unpack_map(own)},
            template=job.template or b"",
            max_attempts=job.max_attempts,
        )
        for position, (index, own, attempts, crashes, _, custom_id) in enumerate(part.items, start)
    ]


def _take_away(transaction: Transaction, parts: Sequence[_Part]) -> None:
    """Leave these items to nobody else."""
    transaction.executemany(
        "UPDATE items SET state = 'running' WHERE job_key = ? AND idx = ?",
        [(part.job.job_key, item[0]) for part in parts for item in part.items],
    )
    for part in parts:
        if part.job.appended_ms > part.job.created_ms:
            _wait_anew(transaction, part.job.job_key)
        transaction.execute(
            "UPDATE lots SET ready = ready - ?1, room = room - ?1 WHERE job_key = ?2",
            (len(part.items), part.job.job_key),
        )


def _begin(transaction: Transaction, taken: Sequence[_Taken], signature_id: int) -> tuple[Run, ...]:
    """Write runs down, and tell each of their jobs; the runs, with their jobs as they are then."""
    now_ms = transaction.now_ms
    rows = [(run.run_id, run.lane, signature_id, now_ms) for run, _ in taken]
    insert(transaction.execute, "runs", "run_id, lane, signature_id, claimed_ms", rows)
    attempts = [(run.run_id, m.position, m.job_key, m.index) for run, _ in taken for m in run.members]
    insert(transaction.execute, "attempts", "run_id, position, job_key, idx", attempts)
    job_keys = dict.fromkeys(part.job.job_key for _, parts in taken for part in parts)
    tallies = {job_key: Tally(transaction, job_key) for job_key in job_keys}
    begun = tuple(
        replace(run, jobs=tuple(_tell_start(transaction, run, part, tallies[part.job.job_key]) for part in parts))
        for run, parts in taken
    )
    for tally in tallies.values():
        tally.write()
    return begun


def _tell_start(transaction: Transaction, run: Run, part: _Part, tally: Tally) -> Job:
    """Count these items of a job as running."""
    job = tally.move({(ItemState.PENDING, ItemState.RUNNING): len(part.items)})
    facts = RunFacts(
        run_id=run.run_id,
        lane=run.lane,
        engine=run.signature.engine,
        model=run.signature.residency,
        batch_size=len(run.members),
        indexes=[item[0] for item in part.items],
    )
    transaction.tell(topic_of_job(job.job_id), RunStarted(job=job, run=facts))
    return job


def _wait_anew(transaction: Transaction, job_key: int) -> None:
    """Of a job that came bit by bit, what is left has waited since its own first item came."""
    transaction.execute(
        "UPDATE lots SET came_ms = max(came_ms, coalesce((SELECT added_ms FROM items INDEXED BY items_ready"
        " WHERE job_key = ?1 AND state = 'pending' AND not_before_ms IS NULL ORDER BY idx LIMIT 1), came_ms))"
        " WHERE job_key = ?1",
        (job_key,),
    )
