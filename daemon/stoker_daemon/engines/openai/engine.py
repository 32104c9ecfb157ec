"""The port `Engine` for a server that speaks OpenAI's API."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from msgspec import structs

from stoker_daemon.engines.fitting import as_map, choose_model, refuse_recipes
from stoker_daemon.engines.openai.answers import BARRED, BUSY
from stoker_daemon.engines.openai.asking import (
    PARAMETERS,
    PATHS,
    SUMMARIES,
    Template,
    check_items,
    kind_of,
    named_model,
)
from stoker_daemon.engines.openai.batch import Batch, Bench
from stoker_daemon.engines.openai.gate import Gate
from stoker_daemon.engines.openai.server import Broken, Refusal, Server, Silent, Unreachable
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Member, Placement, Resident, Signature
from stoker_daemon.ports import RunObserver
from stoker_daemon.scheduling.limits import ServerLimits
from stoker_protocol import jobs as words
from stoker_protocol.codec import nearest
from stoker_protocol.errors import ErrorCode, FailureKind, Refused
from stoker_protocol.requests import Submit

ATTEND_S, LEARN_S = 5.0, 60.0
"""Between two looks at a server that is away, and at one that is there."""

EMBEDDING, MERGED = "embedding", 64
"""The kind whose items share requests, and so many of them at most."""
MOST_SUSPECTS = 1000
"""Items remembered that were at a server when it died."""
NO_LIMITS = ServerLimits()

log = structlog.get_logger()


class KeyMissing(Exception):
    """There is no key where one was said to be."""


class OpenAIEngine:
    """Sends requests to the server at `url`, as many as its `limits` allow.

    Jobs that name no model mean `default_model` or the server's first. The key is in the environment variable
    `key_env` or in `key_file`, read anew with each look at the server. That may be silent for `silence_s` in the middle
    of a request; if it `streams` not, it is asked for whole answers. `in_slots`: several runs are at work at a time.
    """

    remembers = False
    kind = "openai"

    def __init__(
        self,
        name: str,
        *,
        url: str,
        lane: str,
        default_model: str = "",
        key_env: str = "",
        key_file: Path | None = None,
        limits: ServerLimits = NO_LIMITS,
        streams: bool = True,
        silence_s: float = 120.0,
        in_slots: bool = False,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._lane = lane
        self._default_model = default_model
        self._key_env = key_env
        self._key_file = key_file
        self._streams = streams
        self._in_slots = in_slots
        self._now_s = now_s
        self._key = ""
        self._server = Server(url, lambda: self._key, silence_s)
        self._gate = Gate(limits, now_s)
        self._told_limit = self._gate.limit
        self._models: list[words.ModelFacts] = []
        self._state, self._detail = "starting", ""
        self._resident, self._presumed = "", ""
        self._learned_s = float("-inf")
        self._listeners: list[Callable[[], None]] = []
        self._watching: asyncio.Task[None] | None = None
        self._batches: dict[str, Batch] = {}
        self._suspects: dict[tuple[str, int], None] = {}

    def facts(self) -> words.Engine:
        held_s = self._gate.left_s if self._state == "ready" else 0.0
        return words.Engine(
            name=self.name,
            kind=self.kind,
            state=self._state,
            lane=self._lane,
            default_model=self._default_model or choose_model(self._models, ""),
            models=self._models,
            parameters=PARAMETERS,
            max_batch=self._gate.limit,
            detail=f"takes no requests for {held_s:.0f} s: {self._gate.reason}" if held_s else self._detail,
            server=words.Server(url=self._server.url, version=""),
        )

    async def start(self) -> None:
        self._state, self._detail = "starting", ""
        self._server.open()
        await self._attend()
        self._watching = asyncio.create_task(self._watch(), name=f"{self.name} watch")

    async def stop(self) -> None:
        for batch in list(self._batches.values()):
            await self._give_up(batch, "the daemon stops")
        if self._watching is not None:
            await end_tasks([self._watching])
        await self._server.close()
        self._state, self._detail = "down", "stopped"

    def subscribe(self, listener: Callable[[], None], /) -> None:
        self._listeners.append(listener)

    # What jobs are checked against

    def recipes(self) -> list[words.Recipe]:
        return [words.Recipe(kind, self.name, summary, PARAMETERS) for kind, summary in SUMMARIES.items()]

    def place(self, request: Submit) -> Placement:
        if request.recipe and request.recipe not in PATHS:
            near = nearest(request.recipe, PATHS) or list(PATHS)
            raise Refused(
                ErrorCode.BAD_REQUEST,
                f"there is no recipe {request.recipe!r:.80}",
                field="recipe",
                hint=f"did you mean {' or '.join(near)}?",
            )
        refuse_recipes(structs.replace(request, recipe=""), self.name)
        first = {**as_map(request.params, "params"), **as_map(request.items[0].params, "items[0].params")}
        model = self._meant(request.model or named_model(first) or self._default_model)
        merge = f"{model}\n{EMBEDDING}" if kind_of(first, request.recipe) == EMBEDDING else model
        signature = Signature(engine=self.name, residency=model, merge=merge)
        return Placement(model, signature, request.recipe, Template(request.recipe, model).encoded())

    async def check(self, request: Submit, placement: Placement, /) -> None:
        recipe = Template.decoded(placement.template).recipe
        await check_items(request, recipe, placement.model, self._whole_name)

    def _meant(self, asked: str) -> str:
        """The model that is meant by a name. Raises Refused: `bad_request`."""
        return choose_model(self._models, self._whole_name(asked))

    def _whole_name(self, model: str) -> str:
        """A model's name as the server lists it."""
        return model

    # Runs

    def max_batch(self, signature: Signature, /) -> int:
        """Texts that want a vector share requests; other items a run only where there is but one at a time."""
        if signature.merge.endswith(f"\n{EMBEDDING}"):
            return MERGED
        return 1 if self._in_slots else self._gate.limit

    @property
    def limit(self) -> int:
        """Requests that may be under way now: as many runs can be at work."""
        return self._gate.limit

    async def load(self, residency: str, /) -> float:
        """The server loads with the first request: it only has to be there."""
        if self._state != "ready" and not await self._attend():
            raise EngineFailure(FailureKind.SERVER_ERROR, self._detail, unavailable=True)
        if self._gate.is_long:
            raise EngineFailure(FailureKind.RATE_LIMIT, self._gate.reason, unavailable=True)
        self._resident, self._presumed = residency or self.facts().default_model, residency
        return 0.0

    def residents(self) -> list[Resident]:
        return []

    @property
    def presumed(self) -> str:
        """The model that the server is taken to hold: the last that it was asked for, since it tells nothing of it."""
        return self._presumed

    async def unload(self, _residency: str, /) -> None:
        """The protocol has no word for it."""

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        alone = any(_item(member) in self._suspects for member in members)
        batch = self._batches[run_id] = Batch(self._bench(alone=alone), members, observer)
        work = asyncio.create_task(batch.run())
        try:
            await asyncio.wait([work, batch.given_up], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise EngineFailure(FailureKind.CRASH, batch.given_up.result(), died=True)
            is_whole = work.result()
        except EngineFailure as failure:
            if failure.died and not batch.given_up.done():
                self._look_for_blame(batch, failure, alone=alone)
            if failure.kind is not FailureKind.RATE_LIMIT and failure.unavailable:
                self._leave(failure.message)
            raise
        else:
            for member in members:
                self._suspects.pop(_item(member), None)
            return is_whole
        finally:
            await end_tasks([work])
            del self._batches[run_id]
            self._tell_if_more()

    def _look_for_blame(self, batch: Batch, failure: EngineFailure, *, alone: bool) -> None:
        """The server died. Where several runs were there, it costs none anything, and each is tried again alone.

        Raises:
            EngineFailure: It is not known whose fault it is.
        """
        if len(self._batches) > 1 and not alone:
            for each in self._batches.values():
                each.had_company = True
        for member in batch.members:
            self._suspects[_item(member)] = None
        while len(self._suspects) > MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        if batch.had_company:
            self._leave(failure.message)
            raise EngineFailure(FailureKind.SERVER_ERROR, failure.message, unavailable=True) from None

    def asking(self, members: Sequence[Member], observer: RunObserver) -> Batch:
        """What asks the server for another engine's members, within the same limits as all requests."""
        return Batch(self._bench(), members, observer)

    def _bench(self, *, alone: bool = False) -> Bench:
        return Bench(self._server, self._gate, self._resident, self._streams, self._now_s, alone)

    async def holds(self, _run: Interrupted, /) -> bool:
        return False

    async def interrupt(self, run_id: str) -> None:
        if run_id in self._batches:
            self._batches[run_id].stop()

    async def terminate(self, *, force: bool) -> None:
        """The server's process is not ours: what does not stop although it was asked to is left alone."""
        batches = self._batches.values()
        stubborn = [batch for batch in batches if batch.is_asked_to_stop] or list(batches)
        for batch in stubborn:
            if force:
                await self._give_up(batch, "a request does not end, and is given up")
            else:
                batch.stop()

    async def _give_up(self, batch: Batch, reason: str) -> None:
        if not batch.given_up.done():
            batch.given_up.set_result(reason)
            await asyncio.sleep(0)

    # The server, watched

    async def _watch(self) -> None:
        """Keep what is known of the server fresh, and say when it takes work again."""
        while True:
            was_long = self._gate.is_long
            await asyncio.sleep(min(ATTEND_S, self._gate.left_s) if was_long else ATTEND_S)
            if self._state != "ready" or self._now_s() - self._learned_s > LEARN_S:
                await self._attend()
            else:
                await self._glance()
            if was_long and not self._gate.is_long:
                self._tell()

    async def _attend(self) -> bool:
        """Look whether the server is there, and what it offers; True: it is."""
        was_away = self._state == "down"
        trouble = await self._learn()
        if trouble:
            self._leave(trouble)
            return False
        if self._state != "ready":
            log.info("a server is there", engine=self.name, url=self._server.url, models=len(self._models))
        self._state, self._detail = "ready", ""
        if was_away:
            self._tell()
        return True

    async def _learn(self) -> str:
        """Ask which models there are; what keeps the server from working, if anything does."""
        try:
            self._key = await asyncio.to_thread(self._read_key)
            self._models = await self._list()
        except Refusal as refusal:
            if refusal.status in BARRED:
                key = self._key_env or self._key_file or "api_key_env or api_key_file, which say where it is"
                return f"{self._server.url} does not let us in: {refusal}; correct the key ({key})"
            if refusal.status >= 500:
                return f"{self._server.url} fails: {refusal}"
            if refusal.status not in BUSY:
                self._models = []  # some servers keep no list
        except (KeyMissing, Unreachable, Broken, Silent) as error:
            return str(error)
        self._learned_s = self._now_s()
        return ""

    async def _list(self) -> list[words.ModelFacts]:
        """The server's models. Raises Refusal, Unreachable, Broken, Silent."""
        return [words.ModelFacts(name) for name in await self._server.models()]

    async def _glance(self) -> None:
        """Look at what may change at any time, at a server that was there a moment ago."""

    def _leave(self, why: str) -> None:
        if self._state != "down":
            log.warning("a server is away", engine=self.name, why=why)
        self._state, self._detail, self._presumed = "down", why, ""

    def _tell_if_more(self) -> None:
        """Say when more runs can be at work than could be."""
        if self._gate.limit > self._told_limit:
            self._tell()
        self._told_limit = self._gate.limit

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _read_key(self) -> str:
        """The key as it is now. Raises KeyMissing."""
        if self._key_env:
            key = os.environ.get(self._key_env, "").strip()
            if not key:
                raise KeyMissing(f"the environment variable {self._key_env} has no key")
            return key
        if self._key_file is None:
            return ""
        try:
            return self._key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KeyMissing(f"no key can be read from {self._key_file}: {error}") from None


def _item(member: Member) -> tuple[str, int]:
    return (member.job_id, member.index)
