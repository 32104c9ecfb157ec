"""What the fake daemon says of the time to come: always the same two waves."""

from collections.abc import Container

from stoker_protocol import replies as re
from stoker_protocol import requests as ask
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Eta
from stoker_protocol.plans import Delay, PlannedJob, PlannedRun, Share, Wave

NOW_MS = 1_700_000_000_000
TOKEN = "9f2c4e1b7a305d68"
_FIRST = Wave(
    lane="gpu",
    engine="sprites",
    model="plain",
    evicts=[],
    load_s=0.0,
    runs=[
        PlannedRun([Share("dragons", 8)], Eta(0.0, 0.0), 16.0),
        PlannedRun([Share("dragons", 7), Share("owls", 1)], Eta(16.0, 20.0), 16.0),
        PlannedRun([Share("owls", 3)], Eta(32.0, 38.0), 6.0),
    ],
    reason="its model is loaded, and stays until it has worked long enough to be worth its load",
)
_SECOND = Wave(
    lane="gpu",
    engine="sprites",
    model="neon",
    evicts=["plain"],
    load_s=12.0,
    runs=[PlannedRun([Share("foxes", 1)], Eta(50.0, 58.0), 4.0)],
    reason="nothing else waits",
)
PLAN = re.Plan(
    token=TOKEN,
    at_ms=NOW_MS,
    waves=[_FIRST, _SECOND],
    jobs=[PlannedJob("dragons", Eta(0.0, 0.0), Eta(32.0, 36.0)), PlannedJob("foxes", Eta(50.0, 58.0), None)],
    done_s=Eta(54.0, 63.0),
    fifo_s=270.0,
    single_s=81.0,
    is_whole=False,
    is_paused=True,
)


def look_ahead(request: ask.GetPlan | ask.AskWhy | ask.ExecutePlan, jobs: Container[str]) -> re.AnyReply:
    """The answer to one of these questions."""
    match request:
        case ask.GetPlan():
            return PLAN
        case ask.AskWhy(job_id=job_id):
            if job_id not in jobs:
                raise Refused(ErrorCode.NOT_FOUND, f"there is no job {job_id!r}", field="job_id")
            text = "It is behind 2 runs: nothing else waits."
            return re.Why(
                job_id=job_id,
                at_ms=NOW_MS,
                delay=Delay.BEHIND,
                text=text,
                start_s=Eta(50.0, 58.0),
                latest_ms=NOW_MS + 3_600_000,
            )
        case ask.ExecutePlan(token=token):
            if token != TOKEN:
                raise Refused(ErrorCode.STALE_PLAN, "what waits has changed", field="token", hint="look anew")
            return re.PlanBegun(runs=4, items=20)
