"""Holds back what comes too often: of each topic's messages the latest, at most one per interval; pure."""

from dataclasses import dataclass

from stoker_protocol.events import AnyEvent


@dataclass(slots=True)
class _Pace:
    """When the next message of a topic may go, and the one that waits for it."""

    due_s: float
    interval_s: float
    waiting: AnyEvent | None = None


class Conflation:
    """Paces topics. All times are seconds of one clock that never jumps."""

    def __init__(self) -> None:
        self._paces: dict[str, _Pace] = {}

    def offer(self, topic: str, event: AnyEvent, interval_s: float, now_s: float) -> bool:
        """Whether the event may go at once; if not, it waits in the place of an earlier one."""
        pace = self._paces.get(topic)
        if pace is None or pace.due_s <= now_s:
            self._paces[topic] = _Pace(now_s + interval_s, interval_s)
            return True
        pace.waiting = event
        return False

    def take_due(self, now_s: float) -> list[tuple[str, AnyEvent]]:
        """Those that waited long enough. Topics that have been quiet for their interval are forgotten."""
        due = [(topic, pace) for topic, pace in self._paces.items() if pace.due_s <= now_s]
        taken: list[tuple[str, AnyEvent]] = []
        for topic, pace in due:
            del self._paces[topic]
            if pace.waiting is not None:
                taken.append((topic, pace.waiting))
                self._paces[topic] = _Pace(now_s + pace.interval_s, pace.interval_s)
        return taken

    def next_due_s(self) -> float:
        """When the first waiting message may go; infinity if there is none."""
        return min((pace.due_s for pace in self._paces.values() if pace.waiting is not None), default=float("inf"))

    def is_holding_back(self) -> bool:
        """Whether anything waits."""
        return any(pace.waiting is not None for pace in self._paces.values())

    def drop(self, prefix: str) -> None:
        """Forget what waits on topics that begin with the prefix."""
        for topic, pace in self._paces.items():
            if topic.startswith(prefix):
                pace.waiting = None
