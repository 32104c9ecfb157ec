"""Why a job does not run yet, in one sentence with the reason, and when it does at the latest."""

from dataclasses import dataclass

from stoker_daemon.jobs.records import WaitingLot
from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.forecasting import Forecast, due_in_s
from stoker_daemon.scheduling.wording import duration, why_chosen
from stoker_protocol import jobs as words
from stoker_protocol.jobs import Eta, Job
from stoker_protocol.plans import Delay
from stoker_protocol.replies import Why


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a job may have to wait for.

    `away_s`: seconds until its engine, which can't be reached, is tried again; `unfit`: why it does not do its smoke
    item, if that is what keeps it away. `back_off_ms`: when the first of its items that failed may be tried again.
    `lot` is what it has ready, `forecast` what is to come on its lane.
    """

    job: Job
    queue: words.Queue
    lane: words.Lane | None
    engine: words.Engine | None
    away_s: float | None
    unfit: str
    back_off_ms: int | None
    lot: WaitingLot | None
    forecast: Forecast | None
    dials: Dials | None


def why(situation: Situation, now_ms: int) -> Why:
    """The first reason that holds: what a person can do something about comes before the order of work."""
    delay, text = _held(situation) or _unready(situation, now_ms) or (None, "")
    if delay is not None:
        return Why(job_id=situation.job.job_id, at_ms=now_ms, delay=delay, text=text)
    return _in_order(situation, now_ms)


def _held(situation: Situation) -> tuple[Delay, str] | None:
    """What somebody did, or has to mend."""
    job, queue, lane, engine = situation.job, situation.queue, situation.lane, situation.engine
    if job.state.is_final:
        return Delay.OVER, f"It is over: {job.state}."
    if job.items.running:
        at_work = f"At work: {_plural(job.items.running, 'item')} of it; waiting: {job.items.pending}{_bound(job)}"
        held = f"; lane {lane.name} is held up: {lane.held_up}" if lane is not None and lane.held_up else ""
        return Delay.RUNNING, f"{at_work}{held}."
    if queue.paused is not None:
        return Delay.QUEUE_PAUSED, f"All work is held back by {_by(queue.paused)}; `stoker resume` lets it go on."
    if job.paused is not None:
        return Delay.JOB_PAUSED, f"It is held back by {_by(job.paused)}; `stoker resume {job.job_id}` lets it go on."
    if lane is None or engine is None:
        return Delay.NO_ENGINE, f"There is no engine {job.engine!r} any more; it waits until one is configured."
    if lane.held_up:
        return Delay.HELD_UP, f"Lane {lane.name} is held up: {lane.held_up}."
    if situation.away_s is not None:
        again = duration(situation.away_s)
        if situation.unfit:
            text = f"Engine {engine.name} does not do its smoke item ({situation.unfit}); tried again in {again}."
            return Delay.ENGINE_DOWN, text
        return Delay.ENGINE_DOWN, f"Engine {engine.name} can't be reached ({engine.detail}); tried again in {again}."
    return None


def _bound(job: Job) -> str:
    """Why a job of which items are at work has no more of them there, if it says so itself."""
    is_full = 0 < job.max_concurrency <= job.items.running and job.items.pending
    return f"; it lets no more than {job.max_concurrency} be at work at once" if is_full else ""


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _by(pause: words.Pause) -> str:
    return f"{pause.author} ({pause.reason})" if pause.reason else pause.author


def _unready(situation: Situation, now_ms: int) -> tuple[Delay, str] | None:
    """Whether none of its items can be claimed now."""
    job = situation.job
    if situation.lot is not None:
        return None
    if situation.back_off_ms is not None:
        in_s = max(0.0, (situation.back_off_ms - now_ms) / 1000)
        return Delay.BACK_OFF, f"Its items failed before; the first of them is tried again in {duration(in_s)}."
    if job.is_open and not job.items.pending:
        return Delay.OPEN, "All items that it has so far are done; it is open for more."
    return Delay.LATER, "More jobs wait before it than were looked at."


def _in_order(situation: Situation, now_ms: int) -> Why:
    """Where the order of work has it."""
    job_id, lot, forecast, dials = situation.job.job_id, situation.lot, situation.forecast, situation.dials
    assert lot is not None  # see _unready
    if forecast is None or dials is None:
        text = "Its lane takes what is most urgent, then what came first."
        return Why(job_id=job_id, at_ms=now_ms, delay=Delay.BEHIND, text=text)
    runs = [run for wave in forecast.plan.waves for run in wave.runs]
    place = next((n for n, run in enumerate(runs) if any(share.job_id == job_id for share in run.shares)), None)
    due_s = due_in_s(lot, dials, now_ms)
    if place is None:
        in_s = duration(max(0.0, due_s))
        text = f"More than {len(runs)} runs come before it; in {in_s} it has waited long enough to go first."
        return Why(job_id=job_id, at_ms=now_ms, delay=Delay.LATER, text=text)
    run = runs[place]
    start = Eta(forecast.busy_s + run.p50_s, forecast.busy_s + run.p90_s)
    # From its due date on a visit, a run and a load may come before it, beside earlier due dates and urgent items.
    visit = 1 + max(dials.residency, dials.max_patience)
    late_s = max(start.p90, due_s + dials.batch_s + visit * forecast.longest_load_s)
    delay = Delay.CAPPED if due_s < 0 else Delay.BEHIND if place else Delay.NEXT
    first = runs[0]
    models = len({each.key for each in runs[:place]})
    where = f"It waits for {_plural(place, 'run')} of {_plural(models, 'model')}" if place else "It is next"
    if due_s < 0:
        cap = duration(dials.caps_s[lot.priority.rank])
        where += f", and has waited longer than the {cap} after which {lot.priority} work goes first"
    return Why(
        job_id=job_id,
        at_ms=now_ms,
        delay=delay,
        text=f"{where}. {first.key.residency} comes first: {why_chosen(first.reason, dials)}."
        if place
        else f"{where}: {why_chosen(run.reason, dials)}.",
        start_s=start,
        latest_ms=now_ms + round(1000 * late_s),
    )
