"""Pacing of what comes too often, on a clock made of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.zmq.conflation import Conflation
from stoker_protocol.events import LaneChanged
from stoker_protocol.jobs import Lane


def _event(number: int) -> LaneChanged:
    return LaneChanged(lane=Lane("gpu", "idle", loads=number))


def test_latest_of_those_that_wait() -> None:
    """The first goes at once, of the rest the latest when the interval is over, and topics do not mix."""
    pacing = Conflation()
    assert pacing.offer("a", _event(1), 0.5, 10.0)
    assert not pacing.offer("a", _event(2), 0.5, 10.1)
    assert not pacing.offer("a", _event(3), 0.5, 10.2)
    assert pacing.offer("b", _event(4), 0.5, 10.2)
    assert pacing.next_due_s() == 10.5
    assert pacing.take_due(10.4) == []
    assert pacing.take_due(10.5) == [("a", _event(3))]
    assert not pacing.offer("a", _event(5), 0.5, 10.9)
    assert pacing.take_due(11.0) == [("a", _event(5))]
    assert pacing.offer("a", _event(6), 0.5, 11.5)


def test_dropping() -> None:
    """What waits under a prefix is dropped, what waits elsewhere stays, and the pace is kept."""
    pacing = Conflation()
    for topic in ("job/a/x", "job/ab/x"):
        pacing.offer(topic, _event(1), 1.0, 0.0)
        pacing.offer(topic, _event(2), 1.0, 0.0)
    pacing.drop("job/a/")
    assert not pacing.offer("job/a/x", _event(3), 1.0, 0.5)
    pacing.drop("job/a/")
    assert pacing.is_holding_back()
    assert pacing.take_due(1.0) == [("job/ab/x", _event(2))]
    assert not pacing.is_holding_back()
    assert pacing.next_due_s() == float("inf")


def test_quiet_topics_are_forgotten() -> None:
    """Topics that had nothing to say for their interval leave nothing behind."""
    pacing = Conflation()
    for number in range(1000):
        pacing.offer(str(number), _event(number), 0.1, 0.0)
    assert pacing.take_due(0.2) == []
    assert pacing._paces == {}


@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=60))
def test_any_rhythm(pauses: list[float]) -> None:
    """Whatever the rhythm, two of a topic are never closer than the interval, in order, and the last goes out."""
    pacing = Conflation()
    now, sent = 0.0, list[tuple[float, int]]()
    for number, pause in enumerate(pauses):
        now += pause
        sent += [(now, e.lane.loads) for _, e in pacing.take_due(now) if isinstance(e, LaneChanged)]
        if pacing.offer("t", _event(number), 0.1, now):
            sent.append((now, number))
    sent += [(now + 1, e.lane.loads) for _, e in pacing.take_due(now + 1) if isinstance(e, LaneChanged)]
    times = [at for at, _ in sent]
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in pairwise(times))
    numbers = [number for _, number in sent]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == len(pauses) - 1
