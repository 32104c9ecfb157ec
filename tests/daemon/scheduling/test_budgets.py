"""Budgets of requests and tokens in any minute, by a clock that is set by hand."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.daemon.scheduling.provider import Provider, Request, most_in_a_minute, work_through

from stoker_daemon.scheduling.budgets import MINUTE_S, SLACK_S, Budgets, SlidingWindow, TokenEstimates
from stoker_daemon.scheduling.limits import ServerLimits

RATED = ServerLimits(concurrency=50, requests_per_min=60, tokens_per_min=32_000)
TEN_MINUTES_S = 600.0


@given(
    st.lists(st.tuples(st.integers(1, 32_000), st.floats(0, 90)), min_size=1, max_size=200),
    st.integers(1, 60),
)
def test_no_minute_has_more_than_its_budgets(wishes: list[tuple[int, float]], requests_per_min: int) -> None:
    """No sliding minute has more requests or tokens than allowed, whatever is wanted when, if tokens are known."""
    budgets = Budgets(ServerLimits(requests_per_min=requests_per_min, tokens_per_min=32_000))
    now_s, spent = 0.0, list[tuple[float, int]]()
    for tokens, pause_s in wishes:
        now_s += pause_s
        while (delay_s := budgets.delay_s(tokens, now_s)) > 0:
            now_s += delay_s + 1e-9
        budgets.spend(tokens, now_s)
        spent.append((now_s, tokens))
    assert most_in_a_minute(spent) <= 32_000
    assert most_in_a_minute([(at_s, 1) for at_s, _ in spent]) <= requests_per_min


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100), st.floats(0, 30)), max_size=100))
def test_what_is_left_is_what_was_not_spent(steps: list[tuple[int, int, float]]) -> None:
    """Corrected amounts count as if they had been known at first, and what is older than a minute does not count."""
    window, now_s = SlidingWindow(100), 0.0
    kept = list[tuple[float, int]]()
    for guess, amount, pause_s in steps:
        spending = window.spend(guess, now_s)
        kept.append((now_s, amount))
        now_s += pause_s
        window.correct(spending, amount, now_s)
        left = 100 - sum(spent for at_s, spent in kept if at_s + MINUTE_S + SLACK_S > now_s)
        assert (window.delay_s(1, now_s) == 0) is (left >= 1)


def test_what_is_more_than_all() -> None:
    """A request with more tokens than a minute has goes when nothing else was spent, and the next a minute later."""
    window = SlidingWindow(100)
    assert window.delay_s(500, 0.0) == 0
    window.spend(500, 0.0)
    assert window.delay_s(1, 10.0) == pytest.approx(MINUTE_S + SLACK_S - 10)


def test_a_burst() -> None:
    """With a burst of 5, so many requests go at once, and the others of the minute evenly."""
    budgets = Budgets(ServerLimits(requests_per_min=60, burst=5))
    sent_s, now_s = list[float](), 0.0
    while now_s < MINUTE_S:
        delay_s = budgets.delay_s(1, now_s)
        if delay_s == 0:
            budgets.spend(1, now_s)
            sent_s.append(now_s)
        now_s += delay_s
    assert sent_s[:5] == [0.0] * 5
    assert len(sent_s) == 60
    assert sent_s[5:10] == pytest.approx([5.0] * 5)


def requests(dice: Random, *, is_known: bool) -> Request:
    """One of those that chats are made of; where it `is_known`, the answer is as long as it may be."""
    asked, answered = dice.randrange(50, 800), min(1500, round(dice.lognormvariate(5.3, 0.7)))
    characters = round(asked * dice.uniform(3.2, 4.8))
    return Request(characters, answered if is_known else None, asked, answered)


@pytest.mark.parametrize("seed", range(3))
def test_most_of_a_budget_is_used(seed: int) -> None:
    """At a provider with 60 requests and 32 000 tokens a minute, estimates use 85 % of what it allows, or more."""
    dice = Random(seed)
    provider = Provider(lambda _: dice.uniform(1, 20), requests_per_min=60, tokens_per_min=32_000)
    work_through(provider, RATED, lambda: requests(dice, is_known=False), TEN_MINUTES_S)
    after_s = 2 * MINUTE_S
    tokens = sum(tokens for at_s, tokens in provider.taken if at_s >= after_s)
    minutes = (TEN_MINUTES_S - after_s) / MINUTE_S
    number = sum(at_s >= after_s for at_s, _ in provider.taken)
    assert max(tokens / (32_000 * minutes), number / (60 * minutes)) >= 0.85
    assert provider.refused <= 0.05 * len(provider.taken)


@pytest.mark.parametrize("tokens", [50, 400, 5000])
def test_known_tokens_are_never_refused(tokens: int) -> None:
    """Where tokens are known the provider refuses nothing, and one of its budgets is used up to 95 %."""
    provider = Provider(lambda _: 2.0, requests_per_min=60, tokens_per_min=32_000)
    known = Request(characters=0, most_tokens=tokens, asked=0, answered=tokens)
    work_through(provider, RATED, lambda: known, TEN_MINUTES_S)
    assert provider.refused == 0
    assert most_in_a_minute(provider.taken) <= 32_000
    fitting = min(60, 32_000 // tokens)
    assert len(provider.taken) >= 0.95 * fitting * TEN_MINUTES_S / MINUTE_S


def test_estimates_learn() -> None:
    """A language with two characters a token, and answers of 30 tokens, are soon expected as they are."""
    estimates = TokenEstimates()
    assert estimates.of(400, None) == 100 + 256
    assert estimates.of(400, 10) == 110
    for _ in range(60):
        estimates.learn(400, 200, 30)
    assert estimates.of(400, None) == pytest.approx(230, rel=0.02)
    estimates.learn(0, 0, 0)
