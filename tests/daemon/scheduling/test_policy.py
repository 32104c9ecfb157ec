"""Which head is next: the most urgent, then the loaded model, then the oldest; or simply the oldest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.jobs.records import Head, Signature
from stoker_daemon.scheduling.policy import fifo, strict
from stoker_protocol.jobs import Priority


def a_head(oldest: int, priority: Priority = Priority.NORMAL, model: str = "one", engine: str = "faults") -> Head:
    """A head with one ready item."""
    return Head(oldest, Signature(engine, model), priority, ready=1, oldest=oldest)


LOADED = ("faults", "one")
NORMAL, HIGH, LOW = Priority.NORMAL, Priority.HIGH, Priority.LOW


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ([], None),
        ([a_head(7)], 7),
        ([a_head(2), a_head(1)], 1),
        ([a_head(1, LOW), a_head(2, NORMAL), a_head(3, HIGH)], 3),
        ([a_head(1, model="two"), a_head(2, model="one")], 2),
        ([a_head(1, HIGH, model="two"), a_head(2, NORMAL, model="one")], 1),
        ([a_head(1, engine="other", model="one"), a_head(2)], 2),
        ([a_head(3, model="two"), a_head(2, model="three")], 2),
        ([a_head(-5, model="one"), a_head(2, model="one")], -5),
    ],
)
def test_choice(heads: list[Head], expected: int | None) -> None:
    """We expect the head of the table whatever the order that they come in."""
    for order in (heads, heads[::-1]):
        chosen = strict(order, *LOADED)
        assert (chosen and chosen.oldest) == expected


heads = st.builds(
    a_head,
    oldest=st.integers(-100, 100),
    priority=st.sampled_from(Priority),
    model=st.sampled_from(["one", "two", "three"]),
)


@given(st.lists(heads, min_size=1))
def test_no_head_is_better_than_the_chosen(given_heads: list[Head]) -> None:
    """We expect nothing more urgent, nothing loaded of its priority if it is not, nothing older of its kind."""
    chosen = strict(given_heads, *LOADED)
    assert chosen is not None
    is_loaded = chosen.signature.residency == "one"
    for head in given_heads:
        assert head.priority.rank >= chosen.priority.rank
        if head.priority is chosen.priority:
            assert is_loaded or head.signature.residency != "one"
            if (head.signature.residency == "one") == is_loaded:
                assert head.oldest >= chosen.oldest


def test_fifo_looks_at_nothing_but_the_order() -> None:
    """We expect the oldest head whatever its priority and model."""
    heads = [a_head(2, HIGH), a_head(1, LOW, model="two"), a_head(3)]
    assert fifo(heads, *LOADED) == heads[1]
    assert fifo([], *LOADED) is None
