"""Lets requests to a server go one after the other, as soon as its limits and its last words allow."""

import asyncio
from collections import deque
from collections.abc import Callable

from stoker_daemon.engines.openai.asking import Ask
from stoker_daemon.execution.waiting import wait_at_most
from stoker_daemon.scheduling.concurrency import Ending
from stoker_daemon.scheduling.limits import ServerLimits
from stoker_daemon.scheduling.throttle import Throttle, Ticket

TELL_S = 1.0
"""How often those who wait say so."""


class Gate:
    """One for all requests to a server: first come, first served, by a clock that never jumps."""

    def __init__(self, limits: ServerLimits, now_s: Callable[[], float]) -> None:
        self._throttle = Throttle(limits)
        self._now_s = now_s
        self._line: deque[object] = deque()
        self._news = asyncio.Event()
        self._alone: Ticket | None = None

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return self._throttle.limit

    @property
    def left_s(self) -> float:
        """For how many more seconds the server takes nothing."""
        return self._throttle.hold.left_s(self._now_s())

    @property
    def is_long(self) -> bool:
        """Whether it takes nothing for so long that waiting for it makes no sense."""
        return self._throttle.hold.is_long(self._now_s())

    @property
    def reason(self) -> str:
        """What the server said when it took nothing."""
        return self._throttle.hold.reason

    async def enter(self, ask: Ask, on_waiting: Callable[[], None], *, alone: bool = False) -> Ticket | None:
        """Wait until a request may be sent; None: it takes too long. `on_waiting` is called all the while.

        While one that goes `alone` is under way, no other one is.
        """
        place = object()
        self._line.append(place)
        try:
            while not self.is_long:
                delay_s = self._delay_s(ask, alone=alone) if self._line[0] is place else None
                if delay_s == 0:
                    ticket = self._throttle.begin(ask.characters, ask.most_tokens, self._now_s())
                    self._alone = ticket if alone else None
                    return ticket
                on_waiting()
                await wait_at_most(self._news, TELL_S if delay_s is None else min(delay_s, TELL_S))
                on_waiting()
            return None
        finally:
            self._line.remove(place)
            self._stir()

    def leave(self, ticket: Ticket, ending: Ending | None, latency_s: float) -> None:
        """A request that was let in has ended; None: in a way that says nothing of the server."""
        self._throttle.end(ticket, ending, latency_s)
        if self._alone is ticket:
            self._alone = None
        self._stir()

    def count(self, ticket: Ticket, asked: int, answered: int) -> None:
        """The server has counted the tokens of a request and of its answer."""
        self._throttle.count(ticket, asked, answered, self._now_s())
        self._stir()

    def answered(self, ticket: Ticket) -> None:
        """The server begins to answer a request, so it takes some."""
        if self._throttle.hold.is_in_doubt:
            self._throttle.hold.end(ticket.sent_s)
            self._stir()

    def shut(self, reason: str, retry_after_s: float | None) -> None:
        """The server takes no more just now."""
        self._throttle.hold.begin(reason, retry_after_s, self._now_s())

    def _delay_s(self, ask: Ask, *, alone: bool) -> float | None:
        if self._alone is not None or (alone and self._throttle.under_way):
            return None
        return self._throttle.delay_s(ask.characters, ask.most_tokens, self._now_s())

    def _stir(self) -> None:
        """Have all who wait look again."""
        self._news.set()
        self._news = asyncio.Event()
