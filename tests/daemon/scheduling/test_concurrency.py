"""How many requests are under way at a time, at simulated servers."""

from random import Random

import pytest
from tests.daemon.scheduling.provider import Provider, Request, work_through

from stoker_daemon.scheduling.concurrency import Concurrency, Ending
from stoker_daemon.scheduling.limits import ServerLimits
from stoker_daemon.scheduling.throttle import Hold, Throttle

ADAPTIVE = ServerLimits(mode="adaptive")
LONG_S = 300.0
SWEPT = (2, 5, 12, 24, 40, 64)
UNIFORM = Request()


def server(at_once: int, spread: float, *, refuses_more: bool = False) -> Provider:
    """One that needs a second for an answer, more or less."""
    dice = Random(7)
    return Provider(lambda _: dice.lognormvariate(0, spread), at_once, refuses_more=refuses_more)


def answers(provider: Provider, limits: ServerLimits, seconds: float = LONG_S) -> int:
    """How many are had from it in that time."""
    return len(work_through(provider, limits, lambda: UNIFORM, seconds).answered_s)


@pytest.mark.parametrize("refuses_more", [False, True])
@pytest.mark.parametrize("spread", [0.1, 0.6])
@pytest.mark.parametrize("at_once", [2, 12, 40])
def test_adaptive_is_nearly_as_good_as_the_best(at_once: int, spread: float, refuses_more: bool) -> None:
    """Without being told, four fifths of what the best fixed number would bring are reached, from the start on."""
    best = max(answers(server(at_once, spread, refuses_more=refuses_more), ServerLimits(concurrency=n)) for n in SWEPT)
    assert answers(server(at_once, spread, refuses_more=refuses_more), ADAPTIVE) >= 0.8 * best


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_adaptive_backs_off_when_answers_take_twice_as_long(spread: float) -> None:
    """When all answers begin to take twice as long, fewer are asked for at a time."""
    dice = Random(7)
    provider = Provider(lambda now_s: dice.lognormvariate(0, spread) * (1 if now_s < LONG_S else 2), 12)
    log = work_through(provider, ADAPTIVE, lambda: UNIFORM, LONG_S + 300)
    before = log.limit(LONG_S - 60, LONG_S)
    assert min(limit for at_s, limit in log.limits if at_s > LONG_S) <= 0.7 * before


def test_backpressure_grows_until_it_is_refused() -> None:
    """Slow answers do not keep `backpressure` from asking for more; refusals do."""
    limits = ServerLimits(mode="backpressure", max_concurrency=30)
    assert work_through(server(5, 0.3), limits, lambda: UNIFORM, LONG_S).limit(LONG_S - 60, LONG_S) == 30
    refusing = work_through(server(10, 0.3, refuses_more=True), limits, lambda: UNIFORM, LONG_S)
    assert 8 <= refusing.limit(LONG_S - 60, LONG_S) <= 11


@pytest.mark.parametrize("mode", ["fixed", "adaptive", "backpressure"])
def test_a_storm_of_refusals(mode: str) -> None:
    """After half a minute in which all is refused, as much is done as before, and little was sent in vain."""
    limits = ServerLimits(mode=mode, concurrency=10)  # pyright: ignore[reportArgumentType]
    provider = server(10, 0.3)
    provider.storm = (LONG_S, LONG_S + 30)
    log = work_through(provider, limits, lambda: UNIFORM, LONG_S + 330)
    before, after = log.answers(LONG_S - 120, LONG_S), log.answers(LONG_S + 210, LONG_S + 330)
    assert after >= 0.9 * before
    assert provider.refused <= 64 + 10


def test_a_target() -> None:
    """A server that can begin within the target is slow when it does not, however slowly that came."""
    concurrency = Concurrency(ServerLimits(mode="adaptive", concurrency=10, target_latency_ms=2000, latency_factor=9))
    for round_number in range(40):
        for _ in range(20):
            concurrency.ended(Ending.GOOD, 1.0 + round_number / 20, concurrency.limit)
    limit = concurrency.limit
    for _ in range(100):
        concurrency.ended(Ending.GOOD, 2.5, concurrency.limit)
    assert concurrency.limit < limit


def test_what_fails_makes_fewer_too() -> None:
    """Where one in five answers fails, fewer are asked for at a time, as few as the least."""
    concurrency = Concurrency(ServerLimits(mode="adaptive", concurrency=20, min_concurrency=3))
    for number in range(2000):
        ending = Ending.FAILED if number % 5 == 0 else Ending.GOOD
        concurrency.ended(ending, 1.0, concurrency.limit)
    assert concurrency.limit == 3


def test_it_does_not_grow_where_nothing_waits() -> None:
    """Good answers say nothing of more requests at a time than there were."""
    concurrency = Concurrency(ADAPTIVE)
    for _ in range(500):
        concurrency.ended(Ending.GOOD, 1.0, 2)
    assert concurrency.limit == ADAPTIVE.concurrency


def test_one_refusal_of_many() -> None:
    """Requests that were refused together count as one refusal."""
    concurrency = Concurrency(ServerLimits(mode="adaptive", concurrency=32))
    for _ in range(16):
        concurrency.ended(Ending.REFUSED, 0.1, 32)
    assert concurrency.limit == 16


def test_holds_grow_and_end() -> None:
    """Without a Retry-After, each refusal in a row is waited for longer; a success makes the next wait short again."""
    hold, now_s, waits_s = Hold(ServerLimits(backoff_base_s=1, backoff_factor=3, backoff_max_s=5)), 0.0, list[float]()
    for _ in range(4):
        hold.begin("429", None, now_s)
        hold.begin("429", None, now_s)
        waits_s.append(hold.left_s(now_s))
        now_s += hold.left_s(now_s)
    assert waits_s == [1, 3, 5, 5]
    hold.end(sent_s=-1.0)
    assert hold.is_in_doubt
    hold.end(sent_s=now_s)
    hold.begin("429", None, now_s)
    assert hold.left_s(now_s) == 1


def test_a_server_says_how_long() -> None:
    """A Retry-After is obeyed to the second, up to what is believed, and a long one is known as such."""
    throttle = Throttle(ServerLimits(retry_after_max_s=300))
    throttle.hold.begin("429", 20, 100.0)
    assert (throttle.delay_s(0, None, 100.0), throttle.hold.is_long(100.0)) == (20, False)
    throttle.hold.begin("429", 10_000, 100.0)
    assert (throttle.delay_s(0, None, 100.0), throttle.hold.is_long(100.0)) == (300, True)
    assert throttle.delay_s(0, None, 400.0) == 0
