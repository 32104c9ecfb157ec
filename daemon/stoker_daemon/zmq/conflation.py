"""Holds back what comes too often: of each topic's messages the latest, at most one per interval; pure."""

from typing import NamedTuple

from stoker_protocol.events import AnyEvent


class _Pace(NamedTuple):
    """When the next message of a topic may go."""

    due_s: float
    interval_s: float


class Conflation:
    """Paces topics, many of which have said something lately and few have more to say.

    All times are seconds of one clock that never jumps.
    """

    def __init__(self) -> None:
        self._paces: dict[str, _Pace] = {}
        self._waiting: dict[str, AnyEvent] = {}

    def offer(self, topic: str, event: AnyEvent, interval_s: float, now_s: float) -> bool:
        """Whether the event may go at once; if not, it waits in the place of an earlier one."""
        pace = self._paces.get(topic)
        if pace is None or pace.due_s <= now_s:
            self._paces[topic] = _Pace(now_s + interval_s, interval_s)
            self._waiting.pop(topic, None)
            return True
        self._waiting[topic] = event
        return False

    def take_due(self, now_s: float) -> list[tuple[str, AnyEvent]]:
        """Those that waited long enough. Topics that have been quiet for their interval are forgotten."""
        due = [(topic, pace) for topic, pace in self._paces.items() if pace.due_s <= now_s]
        taken: list[tuple[str, AnyEvent]] = []
        for topic, pace in due:
            del self._paces[topic]
            event = self._waiting.pop(topic, None)
            if event is not None:
                taken.append((topic, event))
                self._paces[topic] = _Pace(now_s + pace.interval_s, pace.interval_s)
        return taken

    def next_due_s(self) -> float:
        """When the first waiting message may go; infinity if there is none."""
        return min((self._paces[topic].due_s for topic in self._waiting), default=float("inf"))

    def is_holding_back(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def drop(self, prefix: str) -> None:
        """Forget what waits on topics that begin with the prefix."""
        for topic in [topic for topic in self._waiting if topic.startswith(prefix)]:
            del self._waiting[topic]
