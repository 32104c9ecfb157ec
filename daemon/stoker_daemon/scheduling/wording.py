"""Decisions of the policy in words, for people who have never heard of it."""

from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.waves import Reason, Rule

MUCH = 1.05
"""A ratio that is worth a number."""


def why_chosen(reason: Reason, dials: Dials) -> str:
    """Why a run was chosen, or is to be, in one clause."""
    why = _by_rule(reason, dials)
    return f"{why}; it is {reason.client}'s turn, {reason.passed} had one" if reason.passed else why


def _by_rule(reason: Reason, dials: Dials) -> str:
    waited = duration(reason.waited_s)
    match reason.rule:
        case Rule.URGENT:
            return f"an urgent item has waited {waited}, and after {duration(dials.caps_s[0])} it goes before all else"
        case Rule.RESIDENCY:
            return "its model is loaded, and works for a while before another is loaded"
        case Rule.CAP:
            return f"an item has waited {waited}, longer than one of its priority may"
        case Rule.INDEX:
            return _by_index(reason)


def _by_index(reason: Reason) -> str:
    """An index is weight served per second: it is said by how much more that is than with the next best model."""
    if reason.runner_up is None:
        return "nothing else waits"
    other = reason.runner_up.residency or reason.runner_up.engine
    times = reason.index / reason.runner_up_index if reason.runner_up_index > 0 else 0.0
    how_much, beside = (f"{times:.2g} times as much", "as") if times >= MUCH else ("more", "than")
    return f"it gets {how_much} done in its time, loads and priorities counted, {beside} {other} would"


def duration(seconds: float) -> str:
    """`50 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
