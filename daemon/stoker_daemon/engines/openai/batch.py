"""One run on a server: a request for each member, all of them at once, and one for all texts that want a vector."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from stoker_daemon.engines.openai.answers import (
    BARRED,
    BUSY,
    LATE,
    Answer,
    Assembly,
    Unusable,
    failure_of,
    made_of,
    vectors_of,
)
from stoker_daemon.engines.openai.asking import PATHS, Ask, Template, ask_of
from stoker_daemon.engines.openai.gate import Gate
from stoker_daemon.engines.openai.server import Broken, Refusal, Server, Silent, Unreachable
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import EngineFailure, Member, Output
from stoker_daemon.ports import RunObserver
from stoker_daemon.scheduling.concurrency import Ending
from stoker_daemon.scheduling.throttle import Ticket
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.jobs import ItemState

OUT_OF_MONEY = "insufficient_quota"
OUT_OF_MONEY_S = 600.0
"""So long nothing is asked of a server that wants money first; OpenAI says so with a 429."""
LOOKS, LOOK_AGAIN_S = 5, 0.1
"""How often it is looked whether a server is there that broke off, and when again."""
TELL_S = 0.05
"""Between two reports of progress."""
USUAL_TOKENS = 256
"""How long an answer is guessed to be."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a run works with; `model` is that of members whose jobs did not know theirs.

    Requests of a run that is `alone` are at the server one by one.
    """

    server: Server
    gate: Gate
    model: str
    streams: bool
    now_s: Callable[[], float]
    alone: bool = False


class Pulse:
    """How a request goes: when its answer began, and how it ended."""

    def __init__(self, ticket: Ticket, gate: Gate, now_s: Callable[[], float]) -> None:
        self.ending: Ending | None = None
        self._ticket = ticket
        self._gate = gate
        self._now_s = now_s
        self._sent_s = now_s()
        self._began_s: float | None = None

    def began(self) -> None:
        """A piece of the answer is there; the first one counts."""
        if self._began_s is None:
            self._began_s = self._now_s()
            self._gate.answered(self._ticket)

    @property
    def latency_s(self) -> float:
        """How long the answer was waited for; all of it, if it did not come piece by piece."""
        return (self._began_s or self._now_s()) - self._sent_s


class Batch:
    """Call `run` once; `stop` ends it early."""

    def __init__(self, bench: Bench, members: Sequence[Member], observer: RunObserver) -> None:
        self.members = members
        self.is_asked_to_stop = False
        self.given_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, when nobody waits any more for it to end."""
        self.had_company = False
        """Whether the server died when other runs were there, too."""
        self._bench = bench
        self._observer = observer
        self._told_s = float("-inf")
        self._tokens: dict[int, int] = {}
        self._parts: dict[int, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> bool:
        """True: to its end; False: it was stopped. Raises EngineFailure."""
        self._tasks = [asyncio.create_task(self._serve(group)) for group in self._groups()]
        try:
            self._tell()
            ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            await end_tasks(self._tasks)
        failures = [end for end in ends if isinstance(end, Exception)]
        if failures and not self.is_asked_to_stop:
            raise next((each for each in failures if isinstance(each, EngineFailure) and each.died), failures[0])
        return not self.is_asked_to_stop

    def stop(self) -> None:
        """Give up what is under way; the server notices that nobody listens any more."""
        self.is_asked_to_stop = True
        for task in self._tasks:
            task.cancel()

    def _groups(self) -> list[list[tuple[Member, Ask]]]:
        """The members that share a request: texts that want a vector made in the same way."""
        groups: defaultdict[object, list[tuple[Member, Ask]]] = defaultdict(list)
        for member in self.members:
            try:
                ask = ask_of(member.params, Template.decoded(member.template).recipe)
            except Refused as refused:
                self._fail(member, Unusable(FailureKind.INVALID, f"{refused.message}; {refused.hint}"))
                continue
            is_text = ask.kind == "embedding" and not ask.is_line and isinstance(ask.body["input"], str)
            groups[_options_of(ask) if is_text else member.position].append((member, ask))
        return list(groups.values())

    async def _serve(self, group: Sequence[tuple[Member, Ask]]) -> None:
        """Get an answer for each of a group; who spoils it for the others is found by asking for halves."""
        try:
            if len(group) == 1:
                self._keep(*group[0], await self.answer(*group[0]))
            else:
                await self._serve_texts(group)
        except Unusable as unusable:
            if len(group) == 1:
                self._fail(group[0][0], unusable)
                return
            half = len(group) // 2
            await self._serve(group[:half])
            await self._serve(group[half:])

    async def _serve_texts(self, group: Sequence[tuple[Member, Ask]]) -> None:
        """Get the vectors of several texts with one request."""
        first, ask = group[0]
        together = Ask(ask.kind, {**ask.body, "input": [ask.body["input"] for _, ask in group]})
        answer = await self.answer(first, together)
        vectors = vectors_of(answer)
        if len(vectors) != len(group):
            raise Unusable(FailureKind.SERVER_ERROR, f"{len(vectors)} vectors for {len(group)} texts")
        for (member, ask), vector in zip(group, vectors, strict=True):
            self._keep(member, ask, {**answer, "data": [{"embedding": vector}]}, texts=len(group))

    async def answer(self, member: Member, ask: Ask) -> Answer:
        """The server's answer, as soon as it takes the request. Raises Unusable, EngineFailure."""
        gate = self._bench.gate
        while True:
            ticket = await gate.enter(ask, self._observer.on_waiting, alone=self._bench.alone)
            if ticket is None:
                raise EngineFailure(FailureKind.RATE_LIMIT, gate.reason, unavailable=True)
            pulse = Pulse(ticket, gate, self._bench.now_s)
            try:
                answer = await self._request(member, ask, pulse)
                pulse.ending = Ending.GOOD
                gate.count(ticket, *_tokens_of(answer))
                return answer
            except Refusal as refusal:
                pulse.ending = _ending_of(refusal)
                self._judge(refusal)
            except Unreachable as away:
                raise EngineFailure(FailureKind.SERVER_ERROR, str(away), unavailable=True) from None
            except Silent as silent:
                pulse.ending = Ending.REFUSED
                raise Unusable(FailureKind.TIMEOUT, str(silent)) from None
            except Broken as broken:
                pulse.ending = Ending.FAILED
                await self._look_after(broken)
                raise Unusable(FailureKind.SERVER_ERROR, str(broken)) from None
            finally:
                gate.leave(ticket, pulse.ending, pulse.latency_s)

    async def _request(self, member: Member, ask: Ask, pulse: "Pulse") -> Answer:
        model = Template.decoded(member.template).model or self._bench.model
        body = {"model": model, **ask.body} if model else ask.body
        if ask.kind == "embedding" or not self._bench.streams:
            return await self._bench.server.ask(PATHS[ask.kind], body)
        assembly = Assembly()
        expected = ask.most_tokens or USUAL_TOKENS
        async with aclosing(self._bench.server.stream(PATHS[ask.kind], body)) as pieces:
            async for piece in pieces:
                pulse.began()
                assembly.add(piece)
                self._move(member, assembly.tokens, min(0.99, assembly.tokens / expected))
        return {"usage": {"completion_tokens": assembly.tokens}, **assembly.whole()}  # some servers do not count

    def _judge(self, refusal: Refusal) -> None:
        """What a refusal means: wait and ask again, or an end. Raises Unusable, EngineFailure."""
        if refusal.status in BARRED:
            raise EngineFailure(FailureKind.SERVER_ERROR, f"the server does not let us in: {refusal}", unavailable=True)
        if refusal.status not in BUSY:
            raise failure_of(refusal.status, refusal.code, refusal.message)
        is_broke = refusal.code == OUT_OF_MONEY
        self._bench.gate.shut(str(refusal), OUT_OF_MONEY_S if is_broke else refusal.retry_after_s)

    async def _look_after(self, broken: Broken) -> None:
        """A server that is gone in the middle of a run may have died of it. Raises EngineFailure."""
        for _ in range(LOOKS):
            try:
                await self._bench.server.models()
            except Unreachable:
                raise EngineFailure(FailureKind.CRASH, f"the server is gone: {broken}", died=True) from None
            except Broken:  # one that is just ending may still take a connection
                await asyncio.sleep(LOOK_AGAIN_S)
            except (Refusal, Silent):
                return
            else:
                return

    def _keep(self, member: Member, ask: Ask, answer: Answer, **more: Any) -> None:
        made = made_of(ask, answer)
        self._move(member, self._tokens.get(member.position, 0), 1.0)
        record = {"server": self._bench.server.url, "kind": ask.kind, **made.record, **more}
        self._observer.on_output(
            Output(member.position, made.data, made.media_type, made.suffix, record, verbatim=True)
        )
        if made.complaint:
            self._observer.on_item_ended(member.position, ItemState.REJECTED, made.complaint)

    def _fail(self, member: Member, unusable: Unusable) -> None:
        self._parts[member.position] = 1.0
        self._observer.on_item_failed(member.position, unusable.kind, unusable.message)

    def _move(self, member: Member, tokens: int, part: float) -> None:
        self._tokens[member.position] = tokens
        self._parts[member.position] = part
        if self._bench.now_s() - self._told_s >= TELL_S:
            self._tell()

    def _tell(self) -> None:
        """Say how far the run is: a step is a token."""
        self._told_s = self._bench.now_s()
        fraction = sum(self._parts.values()) / len(self.members)
        step = sum(self._tokens.values())
        self._observer.on_progress("running", step, max(step, round(step / fraction) if fraction else 1), fraction)


def _options_of(ask: Ask) -> bytes:
    return msgspec.json.encode({name: value for name, value in ask.body.items() if name != "input"}, order="sorted")


def _ending_of(refusal: Refusal) -> Ending | None:
    """What a refusal says of the server: that of a bad request, or for want of money, says nothing."""
    if refusal.status in BARRED or refusal.code == OUT_OF_MONEY:
        return None
    if refusal.status in BUSY or refusal.status in LATE:
        return Ending.REFUSED
    return Ending.FAILED if refusal.status >= 500 else None


def _tokens_of(answer: Answer) -> tuple[int, int]:
    """How many tokens were asked and answered, as the server counts; 0 where it does not."""
    usage = answer.get("usage")
    counted = cast("dict[str, Any]", usage) if isinstance(usage, dict) else {}
    asked, answered = counted.get("prompt_tokens"), counted.get("completion_tokens")
    return asked if isinstance(asked, int) else 0, answered if isinstance(answered, int) else 0
