"""Events in words: one line for each that a person wants to know."""

from collections import Counter
from collections.abc import Sequence
from types import NoneType

from stoker_client.cli.render import clean, clip, clock, counts, done, duration, making, pause_facts, plural, title
from stoker_client.operations.watching import Update
from stoker_protocol import events as tell
from stoker_protocol.jobs import ItemState, Job, Outcome, Progress

AWAY = "The daemon is away; waiting for it. What it accepted is safe on its disk."
_LINKS = {
    "away": AWAY,
    "back": "The daemon is back.",
    "gap": "Some events are gone for good, and what they told can't be; the jobs as they are now:",
}
_USUAL = (NoneType, tell.JobSubmitted, tell.RunStarted, tell.ModelLoaded, tell.ModelUnloaded)


def sentence(update: Update) -> str:
    """What an update tells, or an empty string where it is nothing for people."""
    if update.link == "gone" and update.job:
        return f"{title(update.job)} is gone: the daemon has it no more, and how it ended can't be known"
    if update.link:
        return _LINKS[update.link]
    event = update.event
    if isinstance(event, tell.JobEvent):
        return _of_job(event)
    if isinstance(event, tell.LifecycleEvent):
        return _of_house(event)
    if event is None and update.job:
        return f"{title(update.job)} is {update.job.state}: {counts(update.job.items)}"
    return ""


def line(update: Update) -> str:
    """The sentence with its time, or an empty string."""
    text = sentence(update)
    return f"{clock(update.event.at_ms)}  {text}" if text and update.event else text


def is_notable(update: Update) -> bool:
    """Whether somebody who only waits wants to hear of it: it delays or ends something, or somebody did it."""
    if isinstance(update.event, tell.RunFinished):
        return any(outcome.error for outcome in update.event.outcomes)
    return bool(update.link) or not isinstance(update.event, _USUAL)


def how_far(progress: Progress) -> str:
    """`12 of 40 done, 3.1 items/s, about 9 s left`."""
    items = progress.items
    parts = [done(items)]
    parts += [f"{items.failed} failed"] if items.failed else []
    parts += [f"{progress.items_per_s:.1f} items/s"] if progress.items_per_s else []
    parts += [f"about {duration(progress.eta_s.p50)} left"] if progress.eta_s else []
    return ", ".join(parts)


def ending(job: Job) -> str:
    """How a job ended, and what can be done now."""
    said, job_id = f"{title(job)} {job.state}", job.job_id
    if job.started_at_ms is not None and job.finished_at_ms is not None:
        said += f" after {duration((job.finished_at_ms - job.started_at_ms) / 1000)}"
    lines = [f"{said}: {counts(job.items)}."]
    lines += [f"Why: {clean(job.error.message)}"] if job.error else []
    lines += [f"See each and try again: stoker items {job_id} --state failed; stoker retry {job_id}"] * bool(
        job.items.failed
    )
    lines += [f"See why: stoker items {job_id} --state rejected"] * bool(job.items.rejected)
    lines += [f"Get the files: stoker fetch {job_id}"] * bool(job.items.succeeded)
    return "\n".join(lines)


def _of_job(event: tell.JobEvent) -> str:
    job = event.job
    match event:
        case tell.JobSubmitted():
            return f"{title(job)} accepted: {plural(job.items.total, 'item')} for {making(job)}, {job.priority}"
        case tell.RunStarted(run=run):
            return f"{title(job)} runs {plural(len(run.indexes), 'item')} on {clean(run.model)}"
        case tell.RunFinished(outcomes=outcomes):
            return f"{title(job)}: {_outcomes(outcomes)}; {done(job.items)}"
        case tell.JobCancelled(author=author, dropped=dropped, stopping=stopping):
            return f"{title(job)} cancelled by {clean(author)}: {dropped} waiting dropped, {stopping} running stopping"
        case tell.JobRetried(author=author, requeued=requeued):
            return f"{title(job)} retried by {clean(author)}: {plural(requeued, 'item')} back in the queue"
        case tell.JobPaused():
            return f"{title(job)} is held back {pause_facts(job.paused) if job.paused else ''}"
        case tell.JobResumed(author=author):
            return f"{title(job)} was let go on by {clean(author)}"
        case _:
            return f"{title(job)} {_verb(event)}"


def _of_house(event: tell.LifecycleEvent) -> str:
    match event:
        case tell.QueuePaused(paused=paused):
            return f"All work is held back {pause_facts(paused)}"
        case tell.QueueResumed(author=author):
            return f"Work was let go on by {clean(author)}"
        case tell.ModelLoaded(lane=lane, engine=engine, model=model, seconds=seconds, reason=reason):
            why = f": {clean(reason)}" if reason else ""
            return f"{clean(lane)} loaded {clean(engine)}/{clean(model)} in {duration(seconds)}{why}"
        case tell.BatchReduced(engine=engine, model=model, reason=reason):
            return f"Fewer items of {clean(engine)}/{clean(model)} share a run: {clean(reason)}"
        case tell.ModelUnloaded(lane=lane, engine=engine, model=model, reason=reason):
            return f"{clean(lane)} unloaded {clean(engine)}/{clean(model)}: {clean(reason)}"
        case tell.RunEscalated(run_id=run_id, rung=rung, reason=reason):
            return f"Run {clean(run_id)} does not stop ({clean(reason)}): {clean(rung)}"
        case tell.EngineDown(engine=engine, detail=detail):
            return f"Engine {clean(engine)} is down: {clean(detail)}"
        case tell.DaemonStarted(version=version, interrupted=interrupted):
            return f"The daemon {clean(version)} started; {plural(interrupted, 'run')} had been cut short"
        case tell.DaemonStopping(reason=reason):
            return f"The daemon is stopping: {clean(reason)}"
        case _:
            return _verb(event)


def _verb(event: tell.LifecycleEvent) -> str:
    """What a plain event says by its name: `job_sealed` is `sealed`."""
    return str(event.__struct_config__.tag).removeprefix("job_").replace("_", " ")


def _outcomes(outcomes: Sequence[Outcome]) -> str:
    """`3 succeeded, 1 failed (crash: ...)`; what will be tried again says so."""
    words = {ItemState.PENDING: "to be tried again"}
    tally = Counter(words.get(outcome.state, str(outcome.state)) for outcome in outcomes)
    told = ", ".join(f"{count} {word}" for word, count in tally.items()) or "had no part in a run that ended"
    error = next((outcome.error for outcome in outcomes if outcome.error), None)
    return f"{told} ({error.kind}: {clean(clip(error.message, 80))})" if error else told
