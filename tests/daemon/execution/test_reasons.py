"""Why a job does not run yet: the first reason that holds, in one sentence."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs

from stoker_daemon.execution.reasons import Situation, why
from stoker_daemon.jobs.records import Signature, WaitingLot
from stoker_daemon.scheduling.costs import Costs
from stoker_daemon.scheduling.dials import BALANCED
from stoker_daemon.scheduling.estimating import Estimator, Kind
from stoker_daemon.scheduling.forecasting import Outlook, forecast
from stoker_daemon.scheduling.residency import Gpu, Key
from stoker_protocol import jobs as words
from stoker_protocol.jobs import ItemCounts, Job, JobState, Pause, Priority
from stoker_protocol.plans import Delay

NOW_MS = 100_000_000
JOB = Job("mine", "", JobState.QUEUED, Priority.NORMAL, "gpu", "b", "ada", ItemCounts(total=3, pending=3), NOW_MS)
ENGINE = words.Engine("gpu", "python", "down", "gpu", "b", [], [], 8, "the socket is closed")
STAYS = "its model is loaded, and works for a while before another is loaded"
PAUSE = Pause("lunch", "ada", NOW_MS)


def a_lot(job_id: str, model: str, waited_s: float, items: int = 3) -> WaitingLot:
    """What a job of normal priority has ready; the model's name is its signature."""
    signature = Signature("gpu", model, model)
    return WaitingLot(job_id, ord(model), signature, Priority.NORMAL, items, 0, NOW_MS - round(1000 * waited_s))


def situation(*before: WaitingLot, waited_s: float = 60.0, **changes: Any) -> Situation:
    """The job waits for model b, behind these."""
    mine = a_lot("mine", "b", waited_s)
    estimator = Estimator(Costs(), {ord(m): Kind(Key("gpu", m), m, 8) for m in "abc"})
    outlook = Outlook(Gpu((Key("gpu", "a"),)), estimator, BALANCED)
    usual = Situation(
        job=JOB,
        queue=words.Queue(pending=3, running=0, active_jobs=1),
        lane=words.Lane("gpu", "running"),
        engine=ENGINE,
        away_s=None,
        unfit="",
        back_off_ms=None,
        lot=mine,
        forecast=forecast([*before, mine], outlook, NOW_MS, 5.0),
        dials=BALANCED,
    )
    return replace(usual, **changes)


@dataclass(frozen=True)
class Case:
    """A situation, and what is said of it."""

    situation: Situation
    delay: Delay
    text: str


CASES = [
    Case(situation(job=structs.replace(JOB, state=JobState.FAILED)), Delay.OVER, "It is over: failed."),
    Case(
        situation(job=structs.replace(JOB, items=ItemCounts(total=3, pending=2, running=1))),
        Delay.RUNNING,
        "At work: 1 item of it; waiting: 2.",
    ),
    Case(
        situation(
            job=structs.replace(JOB, items=ItemCounts(total=1, running=1)),
            lane=words.Lane("gpu", "running", held_up="No space left on device"),
        ),
        Delay.RUNNING,
        "At work: 1 item of it; waiting: 0; lane gpu is held up: No space left on device.",
    ),
    Case(
        situation(queue=words.Queue(3, 0, 1, PAUSE)),
        Delay.QUEUE_PAUSED,
        "All work is held back by ada (lunch); `stoker resume` lets it go on.",
    ),
    Case(
        situation(job=structs.replace(JOB, paused=PAUSE)),
        Delay.JOB_PAUSED,
        "It is held back by ada (lunch); `stoker resume mine` lets it go on.",
    ),
    Case(
        situation(engine=None),
        Delay.NO_ENGINE,
        "There is no engine 'gpu' any more; it waits until one is configured.",
    ),
    Case(
        situation(lane=words.Lane("gpu", "idle", held_up="No space left on device")),
        Delay.HELD_UP,
        "Lane gpu is held up: No space left on device.",
    ),
    Case(
        situation(away_s=12.0),
        Delay.ENGINE_DOWN,
        "Engine gpu can't be reached (the socket is closed); tried again in 12 s.",
    ),
    Case(
        situation(lot=None, back_off_ms=NOW_MS + 30_000),
        Delay.BACK_OFF,
        "Its items failed before; the first of them is tried again in 30 s.",
    ),
    Case(
        situation(lot=None, job=structs.replace(JOB, is_open=True, items=ItemCounts(total=3, succeeded=3))),
        Delay.OPEN,
        "All items that it has so far are done; it is open for more.",
    ),
    Case(situation(lot=None), Delay.LATER, "More jobs wait before it than were looked at."),
    Case(
        situation(forecast=None),
        Delay.BEHIND,
        "Its lane takes what is most urgent, then what came first.",
    ),
    Case(situation(), Delay.NEXT, "It is next: nothing else waits."),
    Case(
        situation(a_lot("other", "a", 60.0, items=9)),
        Delay.BEHIND,
        f"It waits for 2 runs of 1 model. a comes first: {STAYS}.",
    ),
    Case(
        situation(a_lot("other", "a", 3900.0), waited_s=3700.0),
        Delay.CAPPED,
        "It waits for 1 run of 1 model, and has waited longer than the 60 min after which normal work goes first."
        f" a comes first: {STAYS}.",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.delay)
def test_reasons(case: Case) -> None:
    """We expect the word and the sentence of the table."""
    said = why(case.situation, NOW_MS)
    assert (said.job_id, said.at_ms, said.delay, said.text) == ("mine", NOW_MS, case.delay, case.text)


def test_times() -> None:
    """We expect a start after what is at work and what comes before, and a last moment that leaves room for others."""
    said = why(situation(a_lot("other", "a", 60.0)), NOW_MS)
    assert said.start_s is not None
    assert said.start_s.p50 > 5.0
    assert said.start_s.p90 >= said.start_s.p50
    assert (said.latest_ms or 0) > NOW_MS + 3_540_000  # the hour that it may wait, less the minute that it did
    assert why(situation(), NOW_MS).start_s is not None
