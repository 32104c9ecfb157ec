"""The fake as a provider with budgets of requests and tokens a minute, in this process and in simulated time."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from aiohttp import web
from tests.daemon.scheduling.provider import Provider, Request
from tests.fakes.openai.defects import Defects
from tests.fakes.openai.http import Answer, Body, Fault, Server

SETTLED = 40
"""So many rounds of the loop without a change, and nobody is about to do anything."""
TICK_S = 1e-6
"""The least that time goes on, as sums of seconds are rounded."""


class SimulatedClock:
    """Time that goes on only when all wait for it: it jumps to the next moment that someone waits for."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._numbers = count()
        self._timers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        """How much of it went by."""
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        await self._timer(seconds)

    async def wait_at_most(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, but no longer."""
        timer, news = self._timer(seconds), asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait([timer, news], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            news.cancel()

    async def go(self, is_quiet: Callable[[], bool]) -> None:
        """Have time go on for ever, but not while requests are on their way."""
        while True:
            rounds = 0
            while rounds < SETTLED:
                await asyncio.sleep(0)
                rounds = rounds + 1 if is_quiet() else 0
            while self._timers and self._timers[0][2].done():
                heapq.heappop(self._timers)
            if self._timers:
                self._now_s, _, timer = heapq.heappop(self._timers)
                timer.set_result(None)

    def _timer(self, seconds: float) -> "asyncio.Future[None]":
        timer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._timers, (self._now_s + max(seconds, TICK_S), next(self._numbers), timer))
        return timer


def prompt_of(request: Request) -> str:
    """What asks for an answer of so many tokens, and is as long as it should be."""
    return f"{request.asked} {request.answered} ".ljust(request.characters, "a")


class RatedServer(Server):
    """Takes what its `provider` takes, and answers when that says so."""

    def __init__(self, provider: Provider, clock: SimulatedClock, **defects: object) -> None:
        switches = Defects()
        switches.change(defects)
        super().__init__(switches, key="")
        self.holding = 0
        """Requests that wait for their time."""
        self._provider = provider
        self._clock = clock

    async def _answer(self, request: web.Request, body: Body, text: str, *, is_chat: bool) -> web.StreamResponse:
        del request
        asked, answered = map(int, text.split()[:2])
        ends_s = self._provider.take(Request(len(text), None, asked, answered), self._clock.now_s())
        if ends_s is None:
            raise Fault(429, "Rate limit reached for requests", "rate_limit_exceeded", "requests")
        self.holding += 1
        try:
            await self._clock.sleep(ends_s - self._clock.now_s())
        finally:
            self.holding -= 1
        usage = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
        return web.json_response({**Answer(body, "done", is_chat=is_chat).whole(), "usage": usage})
