"""The real policy over the real store: what is planned for a queue is what is claimed from it, each item once."""

import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.daemon.sqlite.queues import START_MS, Queue, an_order

from stoker_daemon.jobs.records import Run
from stoker_daemon.scheduling.deciding import InWaves
from stoker_daemon.scheduling.dials import BALANCED
from stoker_daemon.scheduling.forecasting import Forecast, forecast
from stoker_daemon.sqlite import ahead, claiming
from stoker_daemon.sqlite.turns import keep_by_client
from stoker_protocol.plans import Grouping

Planned = list[list[tuple[str, int]]]
"""For each run how many items of which job it takes."""


class AJob(NamedTuple):
    """A job as somebody submits it, and how long it has waited."""

    items: int
    model: str
    priority: str
    client: str
    batch_size: int
    max_concurrency: int
    waited_s: float
    alike: int


jobs = st.lists(
    st.builds(
        AJob,
        st.integers(1, 20),
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["urgent", "high", "normal", "low"]),
        st.sampled_from(["ann", "bob", "cid"]),
        st.sampled_from([0, 0, 1, 3]),
        st.sampled_from([0, 0, 0, 2]),
        st.floats(0, 20_000),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=12,
)


class Frozen:
    """A queue that nothing comes to, and the policy of a lane that begins with nothing loaded."""

    def __init__(self, folder: Path, made: list[AJob], *, by_client: bool, grouping: Grouping) -> None:
        self.queue = Queue(folder)
        keep_by_client(self.queue.connection, by_client=by_client)
        for number, job in enumerate(sorted(made, key=lambda job: -job.waited_s)):
            self.queue.clock.ms = START_MS - round(1000 * job.waited_s)
            options = job._asdict()
            del options["items"], options["waited_s"]
            self.queue.accept(f"job-{number}", job.items, **options)
        self.queue.clock.ms = START_MS
        self.items = sum(job.items for job in made)
        self.grouping = grouping
        dials = replace(BALANCED, grouping=grouping)
        self.decider = InWaves(dials, lambda _: 8, lambda: (), START_MS, nullcontext())

    def look(self) -> Forecast:
        """What is to come."""
        read = ahead.read_alike if self.grouping == "strict" else ahead.read_waiting
        lots = read(self.queue.connection).lots
        outlook = self.decider.outlook({lot.signature_id: lot.signature for lot in lots}, self.queue.clock.ms)
        return forecast(lots, outlook, self.queue.clock.ms, 0.0)

    def execute(self) -> Planned:
        """Claim and carry out run after run, as a lane does, until nothing waits."""
        order = replace(an_order(), choose=self.decider.choose)
        done: Planned = []
        while run := self.queue.write(lambda tx: claiming.claim(tx, order, f"run-{len(done)}")):
            done.append(_shares(run))
            self.decider.loaded(run, 0.0, self.queue.clock.ms)
            self.queue.record(run)
            self.decider.ended(run, 0.0, "badly")  # of which nothing is learned
        return done


def _shares(run: Run) -> list[tuple[str, int]]:
    numbers: dict[str, int] = {}
    for member in run.members:
        numbers[member.job_id] = numbers.get(member.job_id, 0) + 1
    return list(numbers.items())


def _planned(made: Forecast) -> Planned:
    runs = (run for wave in made.plan.waves for run in wave.runs)
    return [[(share.job_id, share.items) for share in run.shares] for run in runs]


@settings(max_examples=25, deadline=None)
@given(jobs, st.booleans(), st.sampled_from(["mixed", "strict"]))
def test_a_plan_is_what_is_carried_out(made: list[AJob], by_client: bool, grouping: Grouping) -> None:
    """We expect of a frozen queue the very runs that were planned, in their order, with each item in one of them."""
    with tempfile.TemporaryDirectory() as folder:
        frozen = Frozen(Path(folder), made, by_client=by_client, grouping=grouping)
        seen = frozen.look()
        frozen.decider.follow([run for wave in seen.plan.waves for run in wave.runs])
        done = frozen.execute()
        assert seen.plan.is_whole
        assert done == _planned(seen)
        assert sum(number for run in done for _, number in run) == frozen.items
        assert frozen.queue.one("SELECT count(*) FROM items WHERE state != 'succeeded' OR attempts != 1") == 0
        assert frozen.queue.one("SELECT count(*) FROM heads") == 0
