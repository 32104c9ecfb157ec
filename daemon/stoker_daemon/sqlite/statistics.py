"""What was done, how fast, and after what wait: figures over a bounded number of the newest attempts."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from stoker_daemon.sqlite.rows import job_key_of
from stoker_protocol import codec
from stoker_protocol.events import ModelLoaded, topic_of_lane
from stoker_protocol.jobs import ItemState
from stoker_protocol.replies import Percentiles, Stats
from stoker_protocol.requests import GetStats

MOST = 20_000
"""Attempts looked at: their p99 rests on two hundred, and other reads wait no longer than a tenth of a second."""
MOST_LANE_EVENTS = 2_000
USUAL_WINDOW_S = 3600.0

_COLUMNS = "run_id, lane, claimed_ms, finished_ms, job_key, idx, outcome, error_kind"
_FIRST_WAIT = """
    SELECT run_id, lane, claimed_ms, finished_ms, outcome, newest.error_kind, CASE WHEN NOT EXISTS (
        SELECT 1 FROM attempts AS earlier JOIN runs AS before USING (run_id)
        WHERE earlier.job_key = newest.job_key AND earlier.idx = newest.idx AND before.claimed_ms < newest.claimed_ms
    ) THEN max(claimed_ms - added_ms, 0) END
    FROM newest JOIN items USING (job_key, idx)
"""
"""How long an item waited, at its first attempt only."""


class _Attempt(NamedTuple):
    """An attempt that ended; `wait_ms` if it was its item's first."""

    run_id: str
    lane: str
    claimed_ms: int
    finished_ms: int
    outcome: str
    error_kind: str | None
    wait_ms: int | None


def read_stats(connection: sqlite3.Connection, request: GetStats, now_ms: int) -> Stats:
    """Figures of one job, or of all. Raises Refused: `not_found`."""
    window_s = request.window_s if request.window_s or request.job_id else USUAL_WINDOW_S
    since_ms = max(now_ms - round(window_s * 1000), _begin_ms(connection, now_ms)) if window_s else 0
    if request.job_id is None:
        newest = _newest(connection, since_ms)
    else:
        newest = _newest_of_job(connection, job_key_of(connection.execute, request.job_id), since_ms)
    is_cut = len(newest) > MOST
    attempts = newest[:MOST]
    until_ms = now_ms if request.job_id is None else max((a.finished_ms for a in attempts), default=now_ms)
    if is_cut or not window_s:
        since_ms = min((a.claimed_ms for a in attempts), default=until_ms)
    since_ms = min(since_ms, until_ms)  # the clock may have been set back
    loads = _loads(connection, {a.lane for a in attempts}, since_ms) if request.job_id is None else None
    return _summed_up(attempts, request.job_id, since_ms, until_ms, loads, is_cut=is_cut)


def _begin_ms(connection: sqlite3.Connection, now_ms: int) -> int:
    """When the oldest job came: there was nothing to do before, so a rate over a longer time would mean nothing."""
    row = connection.execute("SELECT created_ms FROM jobs ORDER BY job_key LIMIT 1").fetchone()
    return min(row[0], now_ms) if row else now_ms


def _newest(connection: sqlite3.Connection, since_ms: int) -> list[_Attempt]:
    query = (
        f"WITH newest AS (SELECT {_COLUMNS} FROM runs CROSS JOIN attempts USING (run_id)"
        f" WHERE finished_ms >= ? ORDER BY finished_ms DESC LIMIT {MOST + 1}) {_FIRST_WAIT}"
    )
    return [_Attempt(*row) for row in connection.execute(query, (since_ms,))]


def _newest_of_job(connection: sqlite3.Connection, job_key: int, since_ms: int) -> list[_Attempt]:
    """The attempts of the job's last items: those are the newest, since items are taken in order."""
    query = (
        f"WITH last AS (SELECT * FROM attempts WHERE job_key = ? ORDER BY idx DESC LIMIT {MOST + 1}),"
        f" newest AS (SELECT {_COLUMNS} FROM last JOIN runs USING (run_id) WHERE finished_ms >= ?) {_FIRST_WAIT}"
    )
    return [_Attempt(*row) for row in connection.execute(query, (job_key, since_ms))]


def _loads(connection: sqlite3.Connection, lanes: set[str], since_ms: int) -> list[float]:
    """Seconds of each load of a model since then."""
    seconds: list[float] = []
    for lane in lanes:
        rows = connection.execute(
            "SELECT body FROM events WHERE thread = ? ORDER BY seq DESC LIMIT ?",
            (topic_of_lane(lane), MOST_LANE_EVENTS),
        )
        for (body,) in rows:
            event = codec.decode_event(body)
            if event.at_ms < since_ms:
                break
            if isinstance(event, ModelLoaded):
                seconds.append(event.seconds)
    return seconds


def _summed_up(
    attempts: Sequence[_Attempt],
    job_id: str | None,
    since_ms: int,
    until_ms: int,
    loads: list[float] | None,
    *,
    is_cut: bool,
) -> Stats:
    outcomes = Counter(a.outcome for a in attempts)
    runs = {a.run_id: (a.lane, max(a.finished_ms - a.claimed_ms, 0) / 1000) for a in attempts}
    lanes = {lane for lane, _ in runs.values()}
    seconds = max(until_ms - since_ms, 1) / 1000
    return Stats(
        job_id=job_id,
        since_ms=since_ms,
        until_ms=until_ms,
        attempts=len(attempts),
        runs=len(runs),
        outcomes=dict(outcomes),
        failures=dict(Counter(a.error_kind for a in attempts if a.error_kind and a.error_kind != a.outcome)),
        items_per_s=round((len(attempts) - outcomes["pending"]) / seconds, 3),
        busy=round(min(sum(took for _, took in runs.values()) / seconds / max(len(lanes), 1), 1.0), 3),
        wait_s=_percentiles([a.wait_ms / 1000 for a in attempts if a.wait_ms is not None]),
        run_s=_percentiles([took for _, took in runs.values()]),
        bound=MOST,
        is_cut=is_cut,
        loads=None if loads is None else len(loads),
        load_s=None if loads is None else round(sum(loads), 3),
        rates=_rates(outcomes),
    )


def _rates(outcomes: Counter[str]) -> dict[str, float]:
    """How large a part of what ended for good succeeded, was rejected, failed."""
    ended = outcomes.total() - outcomes[ItemState.PENDING]
    states = (ItemState.SUCCEEDED, ItemState.REJECTED, ItemState.FAILED)
    return {state.value: round(outcomes[state] / ended, 4) for state in states} if ended else {}


def _percentiles(values: list[float]) -> Percentiles | None:
    """The values at the nearest ranks."""
    if not values:
        return None
    values.sort()
    p50, p90, p99 = (values[(len(values) * percent - 1) // 100] for percent in (50, 90, 99))
    return Percentiles(len(values), p50, p90, p99)
