"""`stoker stats`: how fast work goes, how long it waits, and how it ends."""

from typing import Any

import click

from stoker_client.cli.complete import jobs
from stoker_client.cli.render import clock, coloured, duration, paint, plural, table, timestamp
from stoker_client.cli.values import age
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.replies import Percentiles, Stats


@verb(
    "stoker stats               # the last hour",
    "stoker stats --window 10m",
    "stoker stats JOB           # its whole life",
)
@click.argument("job_id", metavar="[JOB]", required=False, shell_complete=jobs)
@click.option("--window", "window_s", type=age, metavar="AGE", help="How far back: 90s, 10m, 2h, 3d.")
def stats(shared: Shared, job_id: str | None, window_s: float | None) -> None:
    """Tell how fast work goes, how long it waits, how it ends."""
    with shared.client() as client:
        job_id = client.find(job_id).job_id if job_id else None
        reply = client.stats(job_id, window_s=window_s)
    shared.answer(_shape(reply), summary(reply))


def _shape(reply: Stats) -> dict[str, Any]:
    times = {"since": timestamp(reply.since_ms), "until": timestamp(reply.until_ms)}
    left_out = ("v", "id", "since_ms", "until_ms")
    return times | {name: getattr(reply, name) for name in reply.__struct_fields__ if name not in left_out}


def summary(reply: Stats) -> str:
    """Rates, outcomes and times in words and a table."""
    if not reply.attempts:
        return "Nothing ended in that time."
    seconds = (reply.until_ms - reply.since_ms) / 1000
    lines = [
        f"{clock(reply.since_ms)} to {clock(reply.until_ms)} ({duration(seconds)}):"
        f" {reply.items_per_s:g} items/s in {plural(reply.runs, 'run')}, at work {reply.busy:.0%} of the time"
    ]
    if reply.loads:
        lines.append(f"{plural(reply.loads, 'model load')} took {duration(reply.load_s or 0)}")
    if reply.is_cut:
        lines.append(f"Only the newest {reply.bound} attempts are counted.")
    if reply.etas:
        by_p50, by_p90 = f"{reply.etas.by_p50:.0%}", f"{reply.etas.by_p90:.0%}"
        lines.append(f"Times told of {plural(reply.etas.jobs, 'job')}: {by_p50} done by p50, {by_p90} by p90")
    ended = [_count(state, number, reply.rates) for state, number in reply.outcomes.items()]
    if reply.failures:
        kinds = ", ".join(f"{number} {kind}" for kind, number in reply.failures.items())
        lines.append(f"Attempts that failed, whatever became of their items: {kinds}")
    spreads = [_spread("wait", reply.wait_s), _spread("run", reply.run_s)]
    return "\n".join([*lines, "", ", ".join(ended), "", table(["seconds", "p50>", "p90>", "p99>", "count>"], spreads)])


def _count(what: str, number: int, rates: dict[str, float]) -> str:
    word = "to be tried again" if what == "pending" else what
    share = f" ({rates[what]:.1%})" if what in rates and len(rates) > 1 else ""
    return f"{number} {paint(coloured(word))}{share}"


def _spread(name: str, spread: Percentiles | None) -> list[str]:
    if spread is None:
        return [name, "-", "-", "-", "0"]
    return [name, f"{spread.p50:.2f}", f"{spread.p90:.2f}", f"{spread.p99:.2f}", str(spread.count)]
