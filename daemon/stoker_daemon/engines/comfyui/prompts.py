"""Prompts of ours on a server: sent once, followed to their end by the stream and by asking, stopped when told."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from stoker_daemon.engines.comfyui.answers import Entry, Posted
from stoker_daemon.engines.comfyui.messages import Began, Cached, Ended, Entered, Message, Previewed, Stepped
from stoker_daemon.engines.comfyui.progress import Advance, NodeTimes, PromptProgress
from stoker_daemon.engines.comfyui.server import Faulty, Server, Unreachable
from stoker_daemon.engines.comfyui.stream import Stream
from stoker_daemon.jobs.records import EngineFailure
from stoker_daemon.recipes.template import Graph
from stoker_protocol.errors import FailureKind

POLL_S = 0.5
"""Between two questions about a prompt whose stream is silent."""
QUIET_POLL_S = 2.0
"""The same while the stream tells of it."""
SURE_S = 4.0
"""A prompt that is nowhere is looked for once more after this; only then it is lost: servers look at one late."""
AWAY_S = 5.0
"""A server that does not answer for so long is away."""
IDLE_S = 5.0
"""A server with prompts that wait and none at work for so long does not work any more."""
HISTORY_S = 0.02
"""Until the first look for the entry of a prompt that has ended but is not in the history yet."""
INTERRUPT_S = 1.0
"""An interrupt is repeated this often until the prompt is gone: it may have come before the prompt was at work."""


R = TypeVar("R")


class Lost(Exception):
    """The server has nothing of a prompt: it was restarted, or somebody removed it."""


class Stuck(EngineFailure):
    """The server takes prompts and works on none."""

    def __init__(self) -> None:
        message = "ComfyUI takes prompts but works on none: its worker has died; restart it"
        super().__init__(FailureKind.SERVER_ERROR, message, unavailable=True, adrift=True)


class Whereabouts(NamedTuple):
    """Where a prompt is; `is_idle`: prompts wait and none is at work; `is_behind`: somebody else's is at work."""

    place: Literal["pending", "running", "nowhere"]
    is_idle: bool
    is_behind: bool


@dataclass(eq=False, slots=True)
class Prompt:
    """One prompt; `on_advance` and `on_preview` are told how it goes on, `on_waiting` that its time has yet to come.

    One that is not `is_wanted` any more is stopped, and so is one that `is_unwanted` by who follows it.
    """

    prompt_id: str
    graph: Graph
    progress: PromptProgress
    on_advance: Callable[[Advance], None]
    on_preview: Callable[[Previewed], None]
    on_waiting: Callable[[], None]
    is_wanted: Callable[[], bool]
    news: asyncio.Event = field(default_factory=asyncio.Event)
    client_id: str = ""
    is_behind: bool = False
    has_begun: bool = False
    has_ended: bool = False
    is_unwanted: bool = False


class Prompts:
    """The prompts of ours that a server has; `hear` is the listener of its stream. `now_s` never jumps."""

    def __init__(self, server: Server, stream: Stream, times: NodeTimes, now_s: Callable[[], float]) -> None:
        self._server = server
        self._stream = stream
        self._times = times
        self._now_s = now_s
        self._prompts: dict[str, Prompt] = {}
        self._at_work: Prompt | None = None

    @property
    def ids(self) -> set[str]:
        """Those that are followed."""
        return set(self._prompts)

    def new(
        self,
        prompt_id: str,
        graph: Graph,
        *,
        on_advance: Callable[[Advance], None],
        on_preview: Callable[[Previewed], None],
        on_waiting: Callable[[], None],
        is_wanted: Callable[[], bool],
    ) -> Prompt:
        """A prompt that is to be sent, or found again; `forget` it at its end."""
        progress = PromptProgress(graph, self._times)
        prompt = Prompt(prompt_id, graph, progress, on_advance, on_preview, on_waiting, is_wanted)
        self._prompts[prompt_id] = prompt
        return prompt

    def forget(self, prompt: Prompt) -> None:
        """Nobody follows it any more."""
        self._prompts.pop(prompt.prompt_id, None)
        if self._at_work is prompt:
            self._at_work = None

    def hear(self, message: Message) -> None:
        """Take what the stream says."""
        prompt = self._prompts.get(message.prompt_id) if message.prompt_id else self._at_work
        if prompt is None:
            return
        match message:
            case Began():
                prompt.has_begun, self._at_work = True, prompt
                if prompt.is_behind:
                    prompt.on_waiting()
            case Cached():
                prompt.progress.cached(message.nodes)
            case Entered():
                prompt.on_advance(prompt.progress.enter(message.node, self._now_s()))
            case Stepped():
                prompt.on_advance(prompt.progress.step(message.value, message.maximum))
            case Previewed():
                prompt.on_preview(message)
            case Ended():
                prompt.progress.end(self._now_s())
                prompt.has_ended, self._at_work = True, None
        prompt.news.set()

    async def send(self, prompt: Prompt, info: Mapping[str, Any], *, previews: bool) -> Posted | None:
        """Send it, once: when the reply is lost it is looked for. None: it is there, but what was said to it is lost.

        Raises:
            Lost: It did not get there.
            Unreachable: The server does not answer; `untouched`: and it has got nothing.
            Faulty: The server can't take it.
        """
        prompt.client_id, why = self._stream.client_id, Lost("the server did not take the prompt")
        try:
            posted = await self._server.post(prompt.graph, prompt.prompt_id, prompt.client_id, info, previews=previews)
        except Unreachable as error:
            if error.untouched:
                raise
        except Faulty as error:  # may be said by somebody between us and the server, who has passed the prompt on
            why = error
        else:
            return await self._own(prompt, posted)
        if await self.find([prompt.prompt_id]):
            return None
        raise why

    async def find(self, prompt_ids: Collection[str]) -> set[str]:
        """Those of which the server has anything; what is missing is looked for twice.

        Raises:
            Unreachable, Faulty: It can't be asked.
        """
        found = await self._outlast(lambda: self._find(prompt_ids))
        if missing := set(prompt_ids) - found:
            await asyncio.sleep(SURE_S)
            found |= await self._outlast(lambda: self._find(missing))
        return found

    async def end(self, prompt: Prompt) -> Entry:
        """Wait for the end of a prompt; what the history has of it.

        Raises:
            Lost: The server has nothing of it.
            Stuck: The server has it and works on nothing.
            Unreachable: The server does not answer.
        """
        idle_since_s: float | None = None
        while True:
            await self._news(prompt)
            prompt.is_unwanted = prompt.is_unwanted or not prompt.is_wanted()
            if prompt.has_ended and (entry := await self._entry(prompt)) is not None:
                return entry
            where = await self._outlast(lambda: self._where(prompt))
            if where.place == "nowhere":
                entry = await self._entry(prompt)
                if entry is not None:
                    return entry
                if prompt.is_unwanted or not await self.find([prompt.prompt_id]):
                    raise Lost("the server has lost the prompt")
            self._tell(prompt, where)
            idle_since_s = (idle_since_s or self._now_s()) if where.is_idle else None
            if idle_since_s is not None and self._now_s() - idle_since_s > IDLE_S:
                raise Stuck

    async def stop(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, or stop it if it is at work. Nobody else's is touched."""
        if await self._server.cancel(prompt_id):
            return
        queue = await self._server.queue()
        if prompt_id in queue.pending:
            await self._server.drop([prompt_id])
        elif prompt_id in queue.running:
            await self._server.interrupt(prompt_id)

    async def _news(self, prompt: Prompt) -> None:
        """Until something is told of the prompt, or it is time to ask."""
        quiet = prompt.has_begun and self._is_told_of(prompt)
        wait_s = INTERRUPT_S if prompt.is_unwanted else QUIET_POLL_S if quiet else POLL_S
        until_s = self._now_s() + wait_s
        while not prompt.has_ended and (left_s := until_s - self._now_s()) > 0:
            prompt.news.clear()
            try:
                async with asyncio.timeout(left_s):
                    await prompt.news.wait()
            except TimeoutError:
                return
            if not prompt.is_unwanted:
                until_s = self._now_s() + QUIET_POLL_S

    async def _entry(self, prompt: Prompt) -> Entry | None:
        """Its entry in the history; when it has just ended, that may take a moment."""
        pause_s = HISTORY_S
        while True:
            entry = await self._outlast(lambda: self._server.entry(prompt.prompt_id))
            if entry is not None or not prompt.has_ended or pause_s > POLL_S:
                return entry
            await asyncio.sleep(pause_s)
            pause_s *= 2

    async def _where(self, prompt: Prompt) -> Whereabouts:
        queue = await self._server.queue()
        if prompt.is_unwanted:
            await self.stop(prompt.prompt_id)
        running, pending = queue.running, queue.pending
        place = "running" if prompt.prompt_id in running else "pending" if prompt.prompt_id in pending else "nowhere"
        is_behind = place == "pending" and bool(running) and running.isdisjoint(self._prompts)
        return Whereabouts(place, bool(pending) and not running, is_behind)

    def _tell(self, prompt: Prompt, where: Whereabouts) -> None:
        """Pass on that a prompt is alive, where the stream can't tell: it is down, or a model is being loaded."""
        is_silent = not prompt.has_begun or not self._is_told_of(prompt) or prompt.progress.phase == "loading"
        if where.is_behind or prompt.is_behind:
            prompt.on_waiting()
        elif where.place == "running" and is_silent:
            prompt.on_advance(prompt.progress.now())
        prompt.is_behind = where.is_behind

    def _is_told_of(self, prompt: Prompt) -> bool:
        """Whether the stream says how a prompt goes on: what was sent before it was connected is told to nobody."""
        return self._stream.is_connected and prompt.client_id == self._stream.client_id

    async def _own(self, prompt: Prompt, posted: Posted) -> Posted:
        """What was said to a prompt, if the server has it under our id. Raises Faulty."""
        if posted.error is None and posted.prompt_id != prompt.prompt_id:
            await self.stop(posted.prompt_id)
            raise Faulty("it gives prompts other ids than ours; ComfyUI 0.3.45 or newer is needed")
        return posted

    async def _find(self, prompt_ids: Collection[str]) -> set[str]:
        queue = await self._server.queue()
        there = queue.running | queue.pending
        return {one for one in prompt_ids if one in there or await self._server.entry(one) is not None}

    async def _outlast(self, ask: Callable[[], Awaitable[R]]) -> R:
        """Ask until there is an answer. Raises Unreachable, Faulty: there was none for too long."""
        since_s = self._now_s()
        while True:
            try:
                return await ask()
            except (Unreachable, Faulty):
                if self._now_s() - since_s > AWAY_S:
                    raise
            await asyncio.sleep(POLL_S)
