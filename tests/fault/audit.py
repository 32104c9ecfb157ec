"""Does what a daemon left on disk agree with itself: rows, counts, heads, events and files?"""

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from stoker_daemon.outputs.layout import is_about_the_job
from stoker_daemon.sqlite.rows import read_job
from stoker_protocol import codec
from stoker_protocol.events import JobEvent, RunFinished, RunStarted
from stoker_protocol.jobs import ItemCounts, Job, JobState

OUTPUTS = "outputs"
SUMMARY = "batch_info.json"
HAVE_FILES = "SELECT DISTINCT job_id FROM jobs JOIN artifacts USING (job_key) WHERE outputs = 'kept'"


class Audit(NamedTuple):
    """What was found: how many items are in each state, and how many runs each item (job, index) took part in."""

    states: Counter[str]
    runs: Counter[tuple[str, int]]


def audit(data_dir: Path, *, outputs: int = 1) -> Audit:
    """Fail with all that is wrong in the data directory of a daemon that has ended, in whatever way.

    `outputs` is how many files each succeeded item has. Runs that were at work, and their files, are no fault.
    """
    with closing(connect(data_dir)) as connection:
        problems = [
            *_database_is_sound(connection),
            *rows_that_disagree(connection),
            *events_that_lie(connection),
            *_artifacts_are_files(connection, data_dir, outputs),
            *_files_are_known(connection, data_dir),
        ]
        assert not problems, "\n".join(problems)
        states = Counter[str](state for (state,) in connection.execute("SELECT state FROM items"))
        query = "SELECT job_id, idx FROM attempts JOIN jobs USING (job_key)"
        return Audit(states, Counter((job_id, index) for job_id, index in connection.execute(query)))


def audit_settled(data_dir: Path, *, outputs: int = 1) -> Audit:
    """As `audit`, and nothing is left to do: no item waits, no run is at work, each final job is summed up."""
    found = audit(data_dir, outputs=outputs)
    queries = {
        "items have no outcome": "SELECT count(*) FROM items WHERE state IN ('pending', 'running')",
        "runs did not end": "SELECT count(*) FROM runs WHERE finished_ms IS NULL",
        "jobs are not summed up": "SELECT count(*) FROM jobs WHERE is_summed = 0",
        "heads are left": "SELECT count(*) FROM heads",
    }
    with closing(connect(data_dir)) as connection:
        counts = {what: connection.execute(query).fetchone()[0] for what, query in queries.items()}
        jobs = [job_id for (job_id,) in connection.execute(HAVE_FILES)]
    problems = [f"{count} {what}" for what, count in counts.items() if count]
    problems += [f"{job} has no {SUMMARY}" for job in jobs if not list((data_dir / OUTPUTS).glob(f"*/{job}/{SUMMARY}"))]
    assert not problems, "\n".join(problems)
    return found


def rows_that_disagree(connection: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with outcomes, counts, heads and the chains of events, after any commit."""
    yield from _items_have_one_outcome(connection)
    yield from _jobs_count_their_items(connection)
    yield from _heads_sum_their_lots(connection)
    yield from _events_are_chained(connection)


def events_that_lie(connection: sqlite3.Connection) -> Iterator[str]:
    """The last event of each job has its state, unless it is just being swept, and each run began and ended in both."""
    jobs: dict[str, Job] = {}
    started: Counter[str] = Counter()
    finished: Counter[str] = Counter()
    for (body,) in connection.execute("SELECT body FROM events ORDER BY seq"):
        event = codec.decode_event(body)
        if isinstance(event, JobEvent):
            jobs[event.job.job_id] = event.job
        if isinstance(event, RunStarted):
            started[event.run.run_id] += len(event.run.indexes)
        if isinstance(event, RunFinished):
            finished[event.run_id] += len(event.outcomes)
    for job_key, job_id in connection.execute("SELECT job_key, job_id FROM jobs").fetchall():
        if jobs.get(job_id) != read_job(connection.execute, job_key):
            yield f"{job_id}: the last event says {jobs.get(job_id)}, not {read_job(connection.execute, job_key)}"
    query = "SELECT run_id, count(*) FROM attempts JOIN runs USING (run_id) {} GROUP BY run_id"
    if started != dict(connection.execute(query.format("")).fetchall()):
        yield "the runs that began are not those told of"
    if finished != dict(connection.execute(query.format("WHERE finished_ms IS NOT NULL")).fetchall()):
        yield "the runs that ended are not those told of"


def connect(data_dir: Path) -> sqlite3.Connection:
    """A look into the database of a daemon, also of one at work."""
    return sqlite3.connect(data_dir / "stoker.sqlite3")


def _database_is_sound(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"integrity: {line}"
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield f"foreign key: {row}"


def _items_have_one_outcome(connection: sqlite3.Connection) -> Iterator[str]:
    """An item that runs is in one run that has not ended, another in none; it succeeds once, if it does."""
    ended: defaultdict[tuple[int, int], list[str | None]] = defaultdict(list)
    at_work: Counter[tuple[int, int]] = Counter()
    query = "SELECT job_key, idx, outcome, finished_ms FROM attempts JOIN runs USING (run_id)"
    for job_key, index, outcome, finished_ms in connection.execute(query):
        if finished_ms is not None:
            ended[job_key, index].append(outcome)
        else:
            at_work[job_key, index] += 1
            if outcome is not None:
                yield f"item {index} of job {job_key} has an outcome of a run that has not ended"
    for job_key, index, state in connection.execute("SELECT job_key, idx, state FROM items"):
        where, outcomes = f"item {index} of job {job_key}, {state}", ended[job_key, index]
        if None in outcomes:
            yield f"{where}: a run ended without its outcome"
        if at_work[job_key, index] != (state == "running"):
            yield f"{where}: {at_work[job_key, index]} runs are at work on it"
        if outcomes.count("succeeded") != (state == "succeeded"):
            yield f"{where}: it succeeded {outcomes.count('succeeded')} times"
        if state == "failed" and "failed" not in outcomes:
            yield f"{where}: no run says so"


def _jobs_count_their_items(connection: sqlite3.Connection) -> Iterator[str]:
    counted: defaultdict[int, Counter[str]] = defaultdict(Counter)
    query = "SELECT job_key, state, count(*) FROM items GROUP BY job_key, state"
    for job_key, state, count in connection.execute(query):
        counted[job_key][state] = count
    for job_key, is_open in connection.execute("SELECT job_key, is_open FROM jobs").fetchall():
        job = read_job(connection.execute, job_key)
        items = ItemCounts(total=counted[job_key].total(), **counted[job_key])
        if job.items != items:
            yield f"{job.job_id} says {job.items}, its items are {items}"
        if job.state not in _fitting_states(items, is_open=bool(is_open)):
            yield f"{job.job_id} is {job.state} with {items}"
        if job.state.is_final and job.paused:
            yield f"{job.job_id} is over and still held back"
    active = "SELECT coalesce(sum(pending), 0), coalesce(sum(running), 0), count(*) FROM jobs WHERE finished_ms IS NULL"
    totals = connection.execute("SELECT pending, running, active_jobs FROM totals").fetchone()
    if totals != connection.execute(active).fetchone():
        yield f"the totals are {totals}, the jobs' {connection.execute(active).fetchone()}"
    given = "SELECT (SELECT coalesce(max(job_key), 0) FROM jobs), (SELECT coalesce(max(seq), 0) FROM events)"
    numbers = connection.execute("SELECT last_job_key, head FROM totals").fetchone()
    if any(last < largest for last, largest in zip(numbers, connection.execute(given).fetchone(), strict=True)):
        yield f"the last numbers are {numbers}, and larger ones {connection.execute(given).fetchone()}"


def _fitting_states(items: ItemCounts, *, is_open: bool) -> set[JobState]:
    if items.pending or items.running or is_open:
        has_begun = bool(items.running or items.finished)
        return {JobState.RUNNING, JobState.CANCELLING} | (set[JobState]() if has_begun else {JobState.QUEUED})
    if items.cancelled:
        return {JobState.CANCELLED}
    return {JobState.FAILED if items.failed else JobState.SUCCEEDED}


def _heads_sum_their_lots(connection: sqlite3.Connection) -> Iterator[str]:
    lots = connection.execute(
        "SELECT signature_id, priority, client, sum(min(ready, coalesce(room, ready))), min(place) FROM lots"
        " WHERE is_held = 0 AND min(ready, coalesce(room, ready)) > 0"
        " GROUP BY signature_id, priority, client ORDER BY signature_id, priority, client"
    ).fetchall()
    heads = connection.execute(
        "SELECT signature_id, priority, client, ready, oldest FROM heads ORDER BY signature_id, priority, client"
    ).fetchall()
    if lots != heads:
        yield f"heads {heads} over lots {lots}"
    firsts = connection.execute(
        "SELECT heads.came_ms, lots.came_ms FROM heads JOIN lots USING (signature_id, priority, client)"
        " WHERE place = oldest AND offered > 0"
    )
    for said, came_ms in firsts:
        if said != came_ms:
            yield f"a head says that its first lot came at {said}, it did at {came_ms}"
    bounds = connection.execute(
        "SELECT job_id, max_concurrency, running, room FROM jobs JOIN lots USING (job_key)"
        " WHERE max_concurrency > 0 OR room IS NOT NULL"
    )
    for job_id, most, running, room in bounds:
        if running > most or room != most - running:
            yield f"{job_id} has {running} items at work of at most {most}, and room for {room}"
    counts = connection.execute(
        "SELECT job_key, ready, (SELECT count(*) FROM items WHERE items.job_key = lots.job_key AND state = 'pending'"
        " AND not_before_ms IS NULL) FROM lots"
    )
    for job_key, ready, count in counts:
        if ready != count:
            yield f"the lot of job {job_key} has {ready} ready, {count} are"


def _events_are_chained(connection: sqlite3.Connection) -> Iterator[str]:
    """Numbered from 1 without a hole, and `prev` leads along each thread."""
    last: Counter[str] = Counter()
    rows = connection.execute("SELECT seq, thread, topic, body FROM events ORDER BY seq")
    for place, (seq, thread, topic, body) in enumerate(rows, start=1):
        event = codec.decode_event(body)
        if (seq, event.seq) != (place, place):
            yield f"event {place} has seq {seq}, and says {event.seq}"
        if event.prev != last[thread]:
            yield f"event {seq} of {thread} follows {event.prev}, not {last[thread]}"
        if topic != f"{thread}{event.__struct_config__.tag}":
            yield f"event {seq} of {thread} has the topic {topic}"
        last[thread] = seq


def _artifacts_are_files(connection: sqlite3.Connection, data_dir: Path, outputs: int) -> Iterator[str]:
    """Each succeeded item has its outputs, a failed or cancelled one none; each has its bytes and a record."""
    of_item: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    query = (
        "SELECT job_key, idx, output, path, sha256, bytes FROM artifacts JOIN jobs USING (job_key)"
        " WHERE outputs = 'kept' ORDER BY job_key, idx, output"
    )
    for job_key, index, output, path, sha256, size in connection.execute(query):
        of_item[job_key, index].append(output)
        file = data_dir / path
        data = file.read_bytes() if file.is_file() else b""
        if (hashlib.sha256(data).hexdigest(), len(data)) != (sha256, size):
            yield f"{path} is not what its row says"
        record = _record_of(file)
        if not record.is_file() or json.loads(record.read_bytes())["sha256"] != sha256:
            yield f"{path} has no record, or that of other bytes"
    query = "SELECT job_key, idx, items.state FROM items JOIN jobs USING (job_key) WHERE outputs = 'kept'"
    for job_key, index, state in connection.execute(query):
        count = len(of_item[job_key, index]) if state in ("rejected", "skipped") else outputs * (state == "succeeded")
        if of_item[job_key, index] != list(range(count)):
            yield f"item {index} of job {job_key}, {state}, has the outputs {of_item[job_key, index]}"


def _files_are_known(connection: sqlite3.Connection, data_dir: Path) -> Iterator[str]:
    """Each file is an artifact, its record or a summary, or one that a run at work or a summary due may have begun."""
    artifacts = [data_dir / path for (path,) in connection.execute("SELECT path FROM artifacts")]
    known = {*artifacts, *map(_record_of, artifacts)}
    begun = {
        f"{job_id}/{index:05}"
        for job_id, index in connection.execute(
            "SELECT job_id, idx FROM attempts JOIN runs USING (run_id) JOIN jobs USING (job_key)"
            " WHERE runs.finished_ms IS NULL"
        )
    }
    with_outputs = {job_id for (job_id,) in connection.execute("SELECT job_id FROM jobs WHERE outputs != 'removed'")}
    unsummed = {job_id for (job_id,) in connection.execute("SELECT job_id FROM jobs WHERE is_summed = 0")}
    for file in (data_dir / OUTPUTS).rglob("*"):
        job_id = "".join(file.relative_to(data_dir / OUTPUTS).parts[1:2])
        is_begun = f"{job_id}/{file.name.removeprefix('.').partition('_0')[0]}" in begun
        is_told = job_id in (unsummed if file.name.endswith(".part") else with_outputs)
        is_telling = is_about_the_job(file.name) and is_told
        if file.is_file() and file not in known and not is_telling and not is_begun:
            yield f"nothing knows {file}"


def _record_of(file: Path) -> Path:
    return file.parents[1] / "metadata" / f"{file.stem}.json"
