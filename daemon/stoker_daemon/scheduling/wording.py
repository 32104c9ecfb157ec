"""Decisions of the policy in words."""

from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.waves import Reason, Rule


def why_chosen(reason: Reason, dials: Dials) -> str:
    """Why a run was chosen, or is to be, in one clause."""
    waited = duration(reason.waited_s)
    match reason.rule:
        case Rule.URGENT:
            return f"an urgent item has waited {waited}, and cuts in after {duration(dials.caps_s[0])}"
        case Rule.RESIDENCY:
            return "its model is loaded, and stays until it has worked long enough to be worth its load"
        case Rule.CAP:
            return f"an item has waited {waited}, longer than one of its priority should"
        case Rule.INDEX:
            if reason.runner_up is None:
                return "nothing else waits"
            other = reason.runner_up.residency
            return f"it ends most for its time: index {reason.index:.3g}, {other} {reason.runner_up_index:.3g}"


def duration(seconds: float) -> str:
    """`50 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
