"""How jobs and the queue are put into words and tables."""

from collections.abc import Collection, Sequence

import click

from stoker_client.cli.render import (
    Cell,
    clean,
    clip,
    clock,
    counts,
    done,
    duration,
    making,
    paint,
    pause_facts,
    plural,
    state,
    table,
    waits_for_items,
)
from stoker_protocol import codec
from stoker_protocol.jobs import Job, Lane
from stoker_protocol.replies import Plan, SnapshotPage

_COLUMNS = ("job", "name", "state", "priority", "made by", "done>", "failed>", "age>")


def portrait_of_job(job: Job, now_s: float, ahead: Plan | None = None) -> str:
    """One job in full, with when it should be done and what can be done next."""
    facts = [
        ("state", paint(state(job)) + (f" ({job.state}) {pause_facts(job.paused)}" if job.paused else "")),
        ("items", f"{done(job.items)}: {counts(job.items)}"),
        ("at once", f"at most {job.max_concurrency} of its items" if job.max_concurrency else ""),
        ("model", clean(f"{job.engine}/{job.model}" if job.model else "")),
        ("recipe", clean(job.recipe and f"{job.recipe} of {job.engine}")),
        ("priority", job.priority),
        ("submitted", f"{clock(job.created_at_ms)}, {duration(now_s - job.created_at_ms / 1000)} ago, by {job.client}"),
        ("took", _took(job)),
        ("expected", _expected(job, ahead)),
        ("error", clean(f"{job.error.kind}: {job.error.message}") if job.error else ""),
        ("metadata", clean(", ".join(f"{key}={value}" for key, value in codec.unpack(job.metadata).items()))),
        ("next", _next_step(job)),
    ]
    heading = click.style(job.job_id, bold=True) + (f"  {clean(job.name)}" if job.name else "")
    return "\n".join([heading, *(f"  {name:<10} {fact}" for name, fact in facts if fact)])


def portrait_of_queue(
    page: SnapshotPage,
    lately: Sequence[Job],
    now_s: float,
    *,
    heading: str = "",
    ahead: Plan | None = None,
    away: Collection[str] = (),
) -> str:
    """The queue, the lanes and the jobs under a heading, and below them those that finished lately.

    `away`: the engines that are down; of their jobs nothing can run, and nobody knows when it will.
    """
    queue = page.queue
    lines = ["Nothing runs and nothing waits."]
    if queue.active_jobs:
        lines = [
            f"{plural(queue.running, 'item')} running, {queue.pending} waiting, {plural(queue.active_jobs, 'job')}."
        ]
    lines += [f"{lane.name}: {_doing(lane)}" for lane in page.lanes]
    if queue.paused:
        held = click.style("All work is held back", fg="yellow")
        lines.append(f"{held} {pause_facts(queue.paused)}  (stoker resume)")
    if page.jobs:
        lines += ["", *filter(None, [heading]), table_of_jobs(page.jobs, now_s, ahead, away)]
    if lately:
        lines += ["", "Finished lately (stoker status --all shows all):", table_of_jobs(lately, now_s)]
    if not page.jobs and not lately:
        lines += ["", 'No jobs. Make some: stoker generate "a red dragon" -n 4 --wait']
    return "\n".join(lines)


def table_of_jobs(jobs: Sequence[Job], now_s: float, ahead: Plan | None = None, away: Collection[str] = ()) -> str:
    """One line for each job; if any of them is in a plan, with the time that it should be done, and surely will be."""
    stuck = {job.job_id for job in jobs if job.engine in away and job.items.pending and not job.items.running}
    ends = {job_id: times for job_id, times in _ends(ahead).items() if job_id not in stuck}
    if not any(job.job_id in ends for job in jobs):
        return table(_COLUMNS, [_row(job, now_s, job.job_id in stuck) for job in jobs])
    rows = [[*_row(job, now_s, job.job_id in stuck), *ends.get(job.job_id, ("", ""))] for job in jobs]
    return table([*_COLUMNS, "ends>", "surely by>"], rows)


def _row(job: Job, now_s: float, is_stuck: bool) -> list[str | Cell]:
    ended = f"{job.items.finished - job.items.cancelled}/{job.items.total}"
    failed = Cell(str(job.items.failed), "red" if job.items.failed else None)
    age = duration(now_s - job.created_at_ms / 1000)
    shown = Cell("engine down", "red") if is_stuck and not job.paused and not job.state.is_final else state(job)
    return [job.job_id, clip(job.name, 24), shown, job.priority, making(job), ended, failed, age]


def _ends(ahead: Plan | None) -> dict[str, tuple[str, str]]:
    """When each job of a plan should be done, half of the time and nine times in ten."""
    return {
        job.job_id: (_at(ahead, job.done_s.p50), _at(ahead, job.done_s.p90))
        for job in (ahead.jobs if ahead else ())
        if ahead and job.done_s
    }


def _at(ahead: Plan, seconds: float) -> str:
    return clock(ahead.at_ms + round(1000 * seconds))


def _expected(job: Job, ahead: Plan | None) -> str:
    planned = next((each for each in (ahead.jobs if ahead else ()) if each.job_id == job.job_id), None)
    if ahead is None or planned is None:
        return ""
    text = f"starts at {_at(ahead, planned.start_s.p50)}"
    if planned.done_s is None:
        return text
    return f"{text}, done at {_at(ahead, planned.done_s.p50)}, nine times in ten by {_at(ahead, planned.done_s.p90)}"


def _took(job: Job) -> str:
    if job.started_at_ms is None or job.finished_at_ms is None:
        return ""
    return duration((job.finished_at_ms - job.started_at_ms) / 1000)


def _doing(lane: Lane) -> str:
    if lane.held_up:
        return click.style(f"held up, and goes on by itself: {clean(lane.held_up)}", fg="yellow")
    model = clean(f"{lane.engine}/{lane.model}")
    match lane.state:
        case "running" if not lane.engine:
            return "begins a run"
        case "running":
            return f"running {model}" + (f", for {clean(lane.reason)}" if lane.reason else "")
        case "loading":
            return f"loading {model}"
        case "idle":
            held = f"idle, {model} is loaded" if lane.is_loaded else f"idle, {model} was the last"
            return held if lane.model else "idle"
        case "stopped":
            return "stopped"


def _next_step(job: Job) -> str:
    if job.paused and not job.state.is_final:
        return f"stoker resume {job.job_id}"
    if waits_for_items(job):
        return f"stoker submit FILE --continue {job.job_id}   (it takes more items; stoker cancel closes it)"
    if not job.state.is_final:
        return f"stoker watch {job.job_id}"
    if job.items.failed:
        return f"stoker retry {job.job_id}   (why they failed: stoker items {job.job_id} --state failed)"
    return f"stoker fetch {job.job_id}" if job.items.succeeded else ""
