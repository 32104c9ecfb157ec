"""What would run if nothing else came, beside what does run when nothing comes."""

from dataclasses import dataclass

import pytest
from benchmarks.scheduling.policies import Believed, Stoker
from benchmarks.scheduling.simulator import RunDone, simulate
from benchmarks.scheduling.trace import Arrival, Curve, Model, Trace
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker_daemon.scheduling.dials import BALANCED
from stoker_daemon.scheduling.plan import Lot, Plan, Queued, fifo_s, first_start, plan
from stoker_daemon.scheduling.residency import Gpu, Key
from stoker_daemon.scheduling.waves import Rule

MODELS = {
    "A": Model(20.0, 10.0, Curve(((1, 2.84), (4, 10.12), (8, 15.04)))),
    "B": Model(5.0, 20.0, Curve(((1, 1.0), (8, 4.0)))),
    "C": Model(60.0, 5.0, Curve(((1, 9.0),))),
}


@dataclass(frozen=True)
class Frozen:
    """A queue that nothing is added to, as a trace and as what is planned; each item is a job, named by its number."""

    trace: Trace

    def queue(self) -> list[Queued]:
        """Its heads, each with its lots in order."""
        believed, lines = Believed(self.trace), dict[tuple[str, int], list[Lot]]()
        for number, item in enumerate(self.trace.items):
            lines.setdefault((item.model, item.rank), []).append(Lot(str(number), 1, item.arrival_s))
        names = list(MODELS)
        return [
            Queued(believed.keys[model], names.index(model), rank, tuple(lots)) for (model, rank), lots in lines.items()
        ]

    def plan(self, max_runs: int = 2_000) -> Plan:
        """What is planned for it, with nothing loaded."""
        gpu = Gpu(slots=self.trace.slots)
        return plan(self.queue(), gpu, Believed(self.trace), BALANCED, 0.0, max_runs=max_runs)

    def execute(self) -> list[RunDone]:
        """What runs."""
        return simulate(self.trace, Stoker(self.trace))


arrivals = st.lists(
    st.builds(Arrival, st.floats(-20_000, 0), st.sampled_from(list(MODELS)), st.integers(0, 3)), min_size=1, max_size=60
)


@st.composite
def frozen_queues(draw: st.DrawFn) -> Frozen:
    """Items that all came before now."""
    items = sorted(draw(arrivals), key=lambda item: item.arrival_s)
    return Frozen(Trace(MODELS, items, slots=draw(st.integers(1, 2)), max_batch=draw(st.sampled_from([1, 4, 8]))))


@settings(max_examples=60, deadline=None)
@given(frozen_queues())
def test_plan_is_what_runs(frozen: Frozen) -> None:
    """We expect a frozen queue to run as planned: the same items together, at the same times, each item once."""
    made = frozen.plan()
    planned = [run for wave in made.waves for run in wave.runs]
    done = frozen.execute()
    assert made.is_whole
    assert [sorted(int(share.job_id) for share in run.shares) for run in planned] == [sorted(run.items) for run in done]
    assert [run.p50_s for run in planned] == pytest.approx([run.began_s + run.load_s for run in done])
    assert sorted(number for run in done for number in run.items) == list(range(len(frozen.trace.items)))
    assert made.p50_s == pytest.approx(done[-1].began_s + done[-1].load_s + done[-1].run_s)


@settings(max_examples=30, deadline=None)
@given(frozen_queues())
def test_times(frozen: Frozen) -> None:
    """We expect both ends of the times in order, and waves that differ from their neighbours."""
    made = frozen.plan()
    runs = [run for wave in made.waves for run in wave.runs]
    assert all(run.p50_s <= run.p90_s for run in runs)
    assert [run.p50_s for run in runs] == sorted(run.p50_s for run in runs)
    assert [run.p90_s for run in runs] == sorted(run.p90_s for run in runs)
    assert made.p50_s <= made.p90_s
    assert all(one.key != other.key for one, other in zip(made.waves, made.waves[1:], strict=False))
    assert frozen.plan() == made


def shuffled(items: int) -> Frozen:
    """Items of three models in turn."""
    return Frozen(Trace(MODELS, [Arrival(n / 100 - 50, "ABC"[n % 3], 2) for n in range(items)], max_batch=4))


def test_waves() -> None:
    """We expect items that came in turn to be planned as one wave for each model, and that to be told as a gain."""
    frozen = shuffled(24)
    made = frozen.plan()
    assert sorted((wave.key.residency, len(wave.runs), wave.load_s) for wave in made.waves) == [
        ("A", 4, 20.0),
        ("B", 2, 5.0),
        ("C", 8, 60.0),
    ]
    assert {wave.reason.rule for wave in made.waves} == {Rule.INDEX}
    one_by_one_s = fifo_s(frozen.queue(), Gpu(), Believed(frozen.trace), BALANCED)
    assert one_by_one_s == pytest.approx(8 * (20 + 2.84 + 5 + 1 + 60 + 9))
    assert one_by_one_s > 3 * made.p50_s


def test_a_visit_that_ends() -> None:
    """We expect a plan to leave a model with work left when its visit is over, as what runs does, and to come back."""
    items = [*[Arrival(-3.0, "A", 1)] * 3, *[Arrival(-2.0, "A", 3)] * 40, *[Arrival(-1.0, "B", 2)] * 3]
    frozen = Frozen(Trace(MODELS, items))
    made = frozen.plan()
    assert [wave.key.residency for wave in made.waves] == ["A", "B", "A"]
    assert sum(run.run_s for run in made.waves[0].runs) == pytest.approx(40, abs=3)
    starts_s = [run.p50_s for wave in made.waves for run in wave.runs]
    assert starts_s == pytest.approx([run.began_s + run.load_s for run in frozen.execute()])


def test_errors_add_up() -> None:
    """We expect the late end of a start to allow for the errors of all loads and runs before it."""
    believed = Believed(Trace({"C": MODELS["C"]}, ()))
    queue = [Queued(believed.keys["C"], 0, 2, (Lot("one", 2, -9.0),))]
    made = plan(queue, Gpu(), believed, BALANCED, 0.0, spread=0.1)
    first, second = made.waves[0].runs
    assert first.p90_s == pytest.approx(60 + 1.2816 * 6)
    assert second.p90_s == pytest.approx(69 + 1.2816 * (36 + 0.81) ** 0.5)
    assert made.p90_s == pytest.approx(78 + 1.2816 * (36 + 2 * 0.81) ** 0.5)


def test_long_queue() -> None:
    """We expect a plan to end at its bound and to say that more waits."""
    made = shuffled(60).plan(max_runs=3)
    assert (sum(len(wave.runs) for wave in made.waves), made.is_whole) == (3, False)


def test_where_a_job_is() -> None:
    """We expect the first run that takes a job's items, or none."""
    made = shuffled(6).plan()
    run = first_start(made, "5")
    assert run
    assert run.key.residency == "C"
    assert first_start(made, "6") is None


def test_jobs_share_runs() -> None:
    """We expect a run to take the first lots of several jobs, and to leave the rest of the last for the next."""
    trace = Trace({"B": MODELS["B"]}, (), max_batch=4)
    believed = Believed(trace)
    queue = [Queued(believed.keys["B"], 0, 2, (Lot("one", 3, -9.0), Lot("two", 3, -8.0)))]
    (wave,) = plan(queue, Gpu(), believed, BALANCED, 0.0).waves
    assert [[(share.job_id, share.items) for share in run.shares] for run in wave.runs] == [
        [("one", 3), ("two", 1)],
        [("two", 2)],
    ]


def test_what_is_promised_comes_first() -> None:
    """We expect a plan that is half carried out to go on as it was, without what has gone meanwhile, then the rest."""
    frozen = shuffled(24)
    made = frozen.plan()
    runs = [run for wave in made.waves for run in wave.runs][::-1]
    believed = Believed(frozen.trace)
    again = plan(frozen.queue(), Gpu(), believed, BALANCED, 0.0, promised=[*runs[:3], *runs[:1], *runs[5:7]])
    shares = [run.shares for wave in again.waves for run in wave.runs]
    assert shares[:5] == [run.shares for run in (*runs[:3], *runs[5:7])]
    assert again.is_whole
    assert sorted(share.job_id for each in shares for share in each) == sorted(str(number) for number in range(24))


def test_jobs_that_bound_themselves() -> None:
    """We expect runs to take no more of a job than it lets be at work at once, and others' items beside those."""
    few = Lot("few", 5, 0.0, at_once=2)
    queue = [Queued(Key("gpu", "B"), 1, 2, (few, Lot("rest", 3, 1.0)))]
    trace = Trace(MODELS, [], slots=1, max_batch=4)
    made = plan(queue, Gpu(), Believed(trace), BALANCED, 2.0)
    runs = [[(share.job_id, share.items) for share in run.shares] for wave in made.waves for run in wave.runs]
    assert runs == [[("few", 2), ("rest", 2)], [("few", 2), ("rest", 1)], [("few", 1)]]
    assert made.is_whole
