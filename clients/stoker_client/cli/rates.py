"""How rates, outcomes and times are put into words and a table."""

from stoker_client.cli.render import clock, coloured, duration, paint, plural, table
from stoker_protocol.replies import Percentiles, Stats


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
