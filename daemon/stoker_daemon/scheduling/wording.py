"""Decisions of the policy in words."""

from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.waves import Decision, Rule


def why_chosen(decision: Decision, dials: Dials) -> str:
    """Why it runs, in one sentence without its stop."""
    reason = decision.reason
    waited = _duration(reason.waited_s)
    match reason.rule:
        case Rule.URGENT:
            return f"an urgent item had waited {waited}, and cuts in after {_duration(dials.caps_s[0])}"
        case Rule.RESIDENCY:
            return "its model was loaded, and stays until it has worked long enough to be worth its load"
        case Rule.CAP:
            return f"an item had waited {waited}, as long as one of its priority may"
        case Rule.INDEX:
            if reason.runner_up is None:
                return "nothing else waited"
            other = reason.runner_up.residency
            return f"it ends most for its time: index {reason.index:.3g}, {other} {reason.runner_up_index:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
