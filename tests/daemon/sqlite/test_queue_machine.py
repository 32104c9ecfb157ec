"""Whatever people and lanes do, in any order and through deaths, counts, heads and events agree with the items."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.daemon.sqlite.queues import NO_LIMIT, Queue, a_success
from tests.fault.audit import events_that_lie, rows_that_disagree

from stoker_daemon.jobs.records import Result, Run
from stoker_daemon.sqlite import accepting, controlling, recovering, sweeping
from stoker_daemon.sqlite.turns import keep_by_client
from stoker_protocol.errors import Refused
from stoker_protocol.jobs import Failure, ItemState, OnInterrupt, Pause, Priority
from stoker_protocol.requests import Append, Cancel, ItemSpec, Move, Retry, Seal

STEP = 2
"""Items in one step of a cancel or retry here, so that a few items are a large job."""
JOBS = [f"job-{n}" for n in range(2)]
DELAY_S = 5.0

jobs = st.sampled_from(JOBS)
priorities = st.sampled_from([str(priority) for priority in Priority])
outcomes = st.sampled_from(["succeed", "fail", "again", "later", "alone", "reject", "skip"])


class QueueMachine(RuleBasedStateMachine):
    """People submit, append, seal, move, cancel, retry, pause and resume; a lane claims and records; time passes."""

    @initialize()
    def open(self) -> None:
        """Begin with an empty database."""
        self.folder = tempfile.TemporaryDirectory()
        self.queue = Queue(Path(self.folder.name))
        self.runs: list[Run] = []
        self.sweeps: dict[int, int] = {}
        self.usual_step, sweeping.STEP = sweeping.STEP, STEP

    @rule(
        job=jobs, count=st.integers(1, 8), priority=priorities, model=st.sampled_from(["one", "two"]), options=st.data()
    )
    def submit(self, job: str, count: int, priority: str, model: str, options: st.DataObject) -> None:
        more = options.draw(st.booleans())
        wish = options.draw(st.sampled_from(list(OnInterrupt)))
        most = options.draw(st.sampled_from([0, 0, 1, 3]))
        said: dict[str, Any] = {"more": more, "on_interrupt": wish, "max_concurrency": most}
        said["client"] = options.draw(st.sampled_from(["ann", "bob"]))
        self._try(lambda: self.queue.accept(job, count, model=model, priority=priority, **said))

    @rule(job=jobs, count=st.integers(1, 4))
    def append(self, job: str, count: int) -> None:
        at = self.queue.all("SELECT total FROM jobs WHERE job_id = ?", job)
        request = Append(id="1", job_id=job, at=at[0][0] if at else 0, items=[ItemSpec()] * count)
        self._try(lambda: self.queue.write(lambda tx: accepting.append(tx, request, NO_LIMIT)))

    @rule(job=jobs)
    def seal(self, job: str) -> None:
        self._try(lambda: self.queue.write(lambda tx: accepting.seal(tx, Seal(id="1", job_id=job).job_id)))

    @rule(job=jobs, priority=st.none() | priorities, front=st.booleans())
    def move(self, job: str, priority: str | None, front: bool) -> None:
        wanted = Priority(priority) if priority else None
        request = Move(id="1", job_id=job, rev=self._rev(job), priority=wanted, front=front)
        self._try(lambda: self.queue.write(lambda tx: controlling.move(tx, request, "tests")))

    @rule(job=st.none() | jobs, scope=st.sampled_from(["queued", "all"]))
    def cancel(self, job: str | None, scope: Any) -> None:
        request = Cancel(id="1", job_ids=[job] if job else None, scope=None if job else scope)

        def act() -> None:
            keys = sweeping.read_jobs_to_cancel(self.queue.connection, request)
            for _, unfinished in self.queue.write(lambda tx: sweeping.cancel(tx, keys, request.scope, "tests")):
                self._begin_sweep(unfinished)

        self._try(act)

    @rule(job=jobs, states=st.sets(st.sampled_from(["failed", "cancelled", "rejected", "skipped"]), min_size=1))
    def retry(self, job: str, states: set[str]) -> None:
        request = Retry(id="1", job_id=job, rev=self._rev(job), states=tuple(map(ItemState, sorted(states))))
        self._try(lambda: self._begin_sweep(self.queue.write(lambda tx: sweeping.retry(tx, request, "tests"))[1]))

    @precondition(lambda self: self.sweeps)
    @rule(data=st.data())
    def go_on_sweeping(self, data: st.DataObject) -> None:
        self._step(data.draw(st.sampled_from(sorted(self.sweeps))))

    @rule(job=st.none() | jobs)
    def pause(self, job: str | None) -> None:
        pause = Pause("why not", "tests", self.queue.clock.ms)
        if job is None:
            self.queue.write(lambda tx: controlling.pause_queue(tx, pause, interrupt=False))
        else:
            self._try(lambda: self.queue.write(lambda tx: controlling.pause_job(tx, job, pause, interrupt=False)))

    @rule(job=st.none() | jobs)
    def resume(self, job: str | None) -> None:
        if job is None:
            self.queue.write(lambda tx: controlling.resume_queue(tx, "tests"))
        else:
            self._try(lambda: self.queue.write(lambda tx: controlling.resume_job(tx, job, "tests")))

    @rule(max_batch=st.integers(1, 5), loaded=st.sampled_from(["", "one", "two"]))
    def claim(self, max_batch: int, loaded: str) -> None:
        run = self.queue.claim(max_batch=max_batch, loaded=loaded)
        if run is not None:
            self.runs.append(run)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        run = self.runs.pop(data.draw(st.integers(0, len(self.runs) - 1)))
        self.queue.record(run, *(self._result(run, m.position, data.draw(outcomes)) for m in run.members))

    @rule(seconds=st.sampled_from([0.001, 1, 10]))
    def let_time_pass(self, seconds: float) -> None:
        self.queue.clock.ms += round(seconds * 1000)

    @rule(by_client=st.booleans())
    def kill_and_restart(self, by_client: bool) -> None:
        """Runs at work are handed back, sweeps begin anew, and clients may take turns from now on, or no longer."""
        keep_by_client(self.queue.connection, by_client=by_client)
        self.runs, self.sweeps = [], {}
        for job_key in sweeping.read_unfinished(self.queue.connection):
            self.sweeps[job_key] = 0
            while job_key in self.sweeps:
                self._step(job_key)
        for run in recovering.read_interrupted(self.queue.connection):
            self.queue.write(lambda tx, run=run: recovering.hand_back(tx, run))

    @invariant()
    def all_agree(self) -> None:
        """What is told of the items is true."""
        if hasattr(self, "queue"):
            problems = list(rows_that_disagree(self.queue.connection))
            if not self.sweeps:
                problems += events_that_lie(self.queue.connection)
            assert not problems, "\n".join(problems)

    def teardown(self) -> None:
        """Whatever was done, the rest can be done: nothing is stuck."""
        try:
            self._finish()
            left = self.queue.all("SELECT job_id, state, pending, running FROM jobs WHERE finished_ms IS NULL")
            assert not left, left
            assert not self.queue.all("SELECT * FROM heads")
        finally:
            sweeping.STEP = self.usual_step
            self.queue.connection.close()
            self.folder.cleanup()

    def _finish(self) -> None:
        while self.sweeps:
            self._step(next(iter(self.sweeps)))
        for run in self.runs:
            self.queue.record(run)
        self.resume(None)
        for (job,) in self.queue.all("SELECT job_id FROM jobs"):
            self.resume(job)
            self.seal(job)
        self.let_time_pass(1000)
        while run := self.queue.claim(max_batch=3):
            self.queue.record(run)
        self.all_agree()

    def _begin_sweep(self, job_key: int | None) -> None:
        if job_key is not None:
            self.sweeps.setdefault(job_key, 0)

    def _step(self, job_key: int) -> None:
        start = self.queue.write(lambda tx: sweeping.sweep(tx, job_key, self.sweeps[job_key], "tests"))
        del self.sweeps[job_key]
        if start is not None:
            self.sweeps[job_key] = start

    def _rev(self, job: str) -> int:
        rows = self.queue.all("SELECT rev FROM jobs WHERE job_id = ?", job)
        return rows[0][0] if rows else 0

    def _try(self, act: Callable[[], object]) -> None:
        """Do it, or be refused with nothing changed, as people are."""
        before = self.queue.one("SELECT count(*) FROM events")
        try:
            act()
        except Refused:
            assert self.queue.one("SELECT count(*) FROM events") == before

    def _result(self, run: Run, position: int, outcome: str) -> Result:
        failure = Failure("timeout", "as drawn")
        match outcome:
            case "fail":
                return Result(position, ItemState.FAILED, failure)
            case "again":
                return Result(position, ItemState.PENDING, failure)
            case "later":
                return Result(position, ItemState.PENDING, failure, delay_s=DELAY_S)
            case "alone":
                return Result(position, ItemState.PENDING, failure, alone=True, charged=False)
            case "reject":
                return Result(position, ItemState.REJECTED)
            case "skip":
                return Result(position, ItemState.SKIPPED)
            case _:
                return a_success(run, position)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=300, stateful_step_count=40)
