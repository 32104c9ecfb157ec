"""The engine `openai` at a provider with budgets, over a real socket: all counts are the provider's own."""

import asyncio
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import pytest
from aiohttp import web
from tests.conformance.bench import Recorder, members, started, within_bound
from tests.daemon.scheduling.provider import MINUTE_S, Provider, Request, most_in_a_minute
from tests.fakes.openai.rated import RatedServer, SimulatedClock, prompt_of

from stoker_daemon.engines.openai import OpenAIEngine
from stoker_daemon.engines.openai import engine as engine_module
from stoker_daemon.engines.openai import gate as gate_module
from stoker_daemon.engines.openai.asking import Ask
from stoker_daemon.engines.openai.gate import Gate
from stoker_daemon.jobs.records import EngineFailure
from stoker_daemon.scheduling.concurrency import Ending
from stoker_daemon.scheduling.limits import ServerLimits
from stoker_daemon.scheduling.throttle import Ticket

REQUESTS_PER_MIN, TOKENS_PER_MIN = 60, 32_000
SLOTS = 30
RATED = ServerLimits(concurrency=SLOTS, requests_per_min=REQUESTS_PER_MIN, tokens_per_min=TOKENS_PER_MIN)
LONG_S = 6 * MINUTE_S


class CountingGate(Gate):
    """Knows how many requests it let in that have not ended."""

    inside = 0

    async def enter(self, ask: Ask, on_waiting: Callable[[], None], *, alone: bool = False) -> Ticket | None:
        ticket = await super().enter(ask, on_waiting, alone=alone)
        self.inside += ticket is not None
        return ticket

    def leave(self, ticket: Ticket, ending: Ending | None, latency_s: float) -> None:
        super().leave(ticket, ending, latency_s)
        self.inside -= 1


class Trial:
    """Slots that ask a provider for one answer after the other, as lanes do, in simulated time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, provider: Provider, **defects: Any) -> None:
        self.answered_s: list[float] = []
        self._clock = SimulatedClock()
        self._gate = CountingGate(RATED, self._clock.now_s)
        self._server = RatedServer(provider, self._clock, **defects)
        self._runs = count()
        monkeypatch.setattr(gate_module, "TELL_S", MINUTE_S)
        monkeypatch.setattr(gate_module, "wait_at_most", self._clock.wait_at_most)
        monkeypatch.setattr(engine_module, "Gate", self._the_gate)

    def work(self, requests: Callable[[], Request], until_s: float = LONG_S) -> None:
        """Ask until so much time went by; every request is answered."""
        asyncio.run(within_bound(self._work(requests, until_s)))

    def answers(self, since_s: float, until_s: float) -> int:
        """How many came in that time."""
        return sum(since_s <= at_s < until_s for at_s in self.answered_s)

    async def _work(self, requests: Callable[[], Request], until_s: float) -> None:
        runner = web.AppRunner(self._server.app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        engine = OpenAIEngine("llm", url=url, lane="llm", limits=RATED, streams=False, in_slots=True)
        async with started(engine):
            await engine.load("")
            clock = asyncio.create_task(self._clock.go(lambda: self._gate.inside == self._server.holding))
            await asyncio.gather(*(self._slot(engine, requests, until_s) for _ in range(SLOTS)))
            clock.cancel()
        await runner.cleanup()

    def _the_gate(self, *_: object) -> Gate:
        return self._gate

    async def _slot(self, engine: OpenAIEngine, requests: Callable[[], Request], until_s: float) -> None:
        while self._clock.now_s() < until_s:
            request, recorder = requests(), Recorder()
            item: dict[str, Any] = {"prompt": prompt_of(request)}
            if request.most_tokens is not None:
                item["max_tokens"] = request.most_tokens
            while not await self._ran(engine, item, recorder):
                await self._clock.sleep(self._gate.left_s)
            assert (len(recorder.outputs), recorder.failures) == (1, [])
            self.answered_s.append(self._clock.now_s())

    async def _ran(self, engine: OpenAIEngine, item: dict[str, Any], recorder: Recorder) -> bool:
        """False: the provider takes nothing for long, and the item goes back uncharged."""
        try:
            return await engine.run(f"run {next(self._runs)}", members(item), recorder)
        except EngineFailure as failure:
            if not failure.unavailable:
                raise
            return False


def a_provider(dice: Random) -> Provider:
    """One with both budgets, that needs some seconds for an answer."""
    return Provider(lambda _: dice.uniform(1, 20), requests_per_min=REQUESTS_PER_MIN, tokens_per_min=TOKENS_PER_MIN)


def share_used(provider: Provider, since_s: float, until_s: float) -> float:
    """How much was taken of the budget that is nearer its end, of what the time allows."""
    taken = [tokens for at_s, tokens in provider.taken if since_s <= at_s < until_s]
    most = max(sum(taken) / TOKENS_PER_MIN, len(taken) / REQUESTS_PER_MIN)
    return most * MINUTE_S / (until_s - since_s)


def chats(dice: Random) -> Callable[[], Request]:
    """Requests whose answers are as long as they are, about 540 tokens in all."""

    def request() -> Request:
        asked, answered = dice.randrange(50, 600), min(1500, round(dice.lognormvariate(5.1, 0.6)))
        return Request(round(asked * dice.uniform(3.2, 4.8)), None, asked, answered)

    return request


@pytest.mark.parametrize("tokens", [100, 532, 4000])
def test_no_minute_has_more_than_its_budgets(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Where tokens are known, no sixty seconds at the provider have more requests or tokens, and none is refused."""
    provider = a_provider(Random(1))
    asked = tokens // 4
    known = Request(4 * asked, tokens - asked, asked, tokens - asked)
    Trial(monkeypatch, provider).work(lambda: known)
    assert most_in_a_minute(provider.taken) <= TOKENS_PER_MIN
    assert most_in_a_minute([(at_s, 1) for at_s, _ in provider.taken]) <= REQUESTS_PER_MIN
    assert provider.refused == 0
    fitting = min(REQUESTS_PER_MIN, TOKENS_PER_MIN // tokens)
    assert len(provider.taken) >= 0.95 * fitting * LONG_S / MINUTE_S


def test_most_of_a_budget_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tokens are estimated, 85 % of a budget are used or more, and hardly a request is refused."""
    dice = Random(2)
    provider = a_provider(dice)
    Trial(monkeypatch, provider).work(chats(dice))
    assert share_used(provider, MINUTE_S, LONG_S) >= 0.85
    assert provider.refused <= 0.05 * len(provider.taken)


@pytest.mark.parametrize("retry_after", ["", "5"])
def test_a_storm_of_refusals(monkeypatch: pytest.MonkeyPatch, retry_after: str) -> None:
    """A storm of 429s costs no item anything, little is sent into it, and then the budgets are used again."""
    dice = Random(3)
    provider = a_provider(dice)
    provider.storm = (2 * MINUTE_S, 2.5 * MINUTE_S)
    trial = Trial(monkeypatch, provider, retry_after=retry_after)
    trial.work(chats(dice))
    assert 1 <= provider.refused <= SLOTS
    assert trial.answers(2.1 * MINUTE_S + 20, 2.5 * MINUTE_S) == 0
    assert share_used(provider, 3 * MINUTE_S, LONG_S) >= 0.75
