"""The port `Engine` for an Ollama server: told what to load and unload, then asked as any that speaks OpenAI's API."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from stoker_daemon.engines.fitting import choose_model
from stoker_daemon.engines.ollama.catalogue import Catalogue, whole_name
from stoker_daemon.engines.openai.answers import BUSY
from stoker_daemon.engines.openai.engine import OpenAIEngine
from stoker_daemon.engines.openai.server import Broken, Refusal, Server, Silent, Unreachable
from stoker_daemon.jobs.records import EngineFailure, Resident
from stoker_daemon.scheduling.limits import PRESETS, ServerLimits
from stoker_protocol.errors import ErrorCode, FailureKind, Refused
from stoker_protocol.jobs import ModelFacts

FREED_S, LOOK_AGAIN_S = 20.0, 0.1
"""How long an unloaded model may still be there, and how often that is looked at."""
OUT_OF_MEMORY = ("more system memory", "out of memory")
"""So it says that a model does not fit."""
LIMITS = ServerLimits(**PRESETS["ollama"])

log = structlog.get_logger()


class OllamaEngine(OpenAIEngine):
    """An Ollama server at `url`, without a version.

    A model that was loaded stays for `keep_alive` after its last request, unless it is unloaded before. Loading may
    take `load_timeout_s`. Models that are not there are downloaded only if it `pulls`, each within `pull_timeout_s`.
    """

    kind = "ollama"

    def __init__(
        self,
        name: str,
        *,
        url: str,
        lane: str,
        limits: ServerLimits = LIMITS,
        keep_alive: str = "10m",
        load_timeout_s: float = 600.0,
        pulls: bool = False,
        pull_timeout_s: float = 3600.0,
        silence_s: float = 120.0,
        now_s: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        super().__init__(
            name, url=f"{url.rstrip('/')}/v1", lane=lane, limits=limits, silence_s=silence_s, now_s=now_s, **options
        )
        self._keep_alive = keep_alive
        self._load_timeout_s = load_timeout_s
        self._pulls = pulls
        self._pull_timeout_s = pull_timeout_s
        self._native = Server(url, lambda: self._key, max(silence_s, load_timeout_s))
        self._catalogue = Catalogue(self._native)
        self._loaded: list[Resident] = []

    async def start(self) -> None:
        self._native.open()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await self._native.close()
        self._loaded = []

    # What it holds

    def residents(self) -> list[Resident]:
        """Also what others had it load."""
        return list(self._loaded)

    @property
    def presumed(self) -> str:
        """Nothing: it tells."""
        return ""

    async def load(self, residency: str, /) -> float:
        """Have the model in memory, even if Ollama has thrown it out since the last run."""
        await super().load(residency)
        model = self._whole_name(self._resident)
        with self._explained(f"{model} can't be loaded"):
            await self._look()
            if self._holds(model):
                return 0.0
            began_s = self._now_s()
            if self._pulls and not self._knows(model):
                await self._pull(model)
            async with asyncio.timeout(self._load_timeout_s):
                await self._catalogue.load(model, self._keep_alive)
            await self._look()
            return self._now_s() - began_s

    async def unload(self, residency: str, /) -> None:
        if self._state != "ready":
            return
        model = self._whole_name(residency)
        with self._explained(f"{model or 'what is loaded'} can't be unloaded"):
            await self._look()
            leaving = {each.residency for each in self._loaded if model in ("", each.residency)}
            for each in leaving:
                await self._catalogue.unload(each)
            async with asyncio.timeout(FREED_S):
                while any(self._holds(each) for each in leaving):
                    await asyncio.sleep(LOOK_AGAIN_S)
                    await self._look()

    async def _pull(self, model: str) -> None:
        log.info("a model is downloaded", engine=self.name, model=model)
        async with asyncio.timeout(self._pull_timeout_s):
            await self._catalogue.pull(model)
        self._models = await self._list()

    def _holds(self, model: str) -> bool:
        return any(each.residency == model for each in self._loaded)

    def _knows(self, model: str) -> bool:
        return any(known.name == model for known in self._models)

    async def _look(self) -> None:
        self._loaded = await self._catalogue.loaded()

    @contextmanager
    def _explained(self, what: str) -> Generator[None]:
        """What goes wrong in the block is told as ports have it. Raises EngineFailure."""
        try:
            yield
        except Unreachable as away:
            self._leave(str(away))
            raise EngineFailure(FailureKind.SERVER_ERROR, str(away), unavailable=True) from None
        except (Silent, TimeoutError) as late:
            raise EngineFailure(FailureKind.TIMEOUT, f"{what}: {str(late) or 'it takes too long'}") from None
        except Broken as broken:
            raise EngineFailure(FailureKind.SERVER_ERROR, f"{what}: {broken}") from None
        except Refusal as refusal:
            raise EngineFailure(_kind_of(refusal), f"{what}: {refusal}", unavailable=refusal.status in BUSY) from None

    # What the engine `openai` asks of its server, and Ollama answers in its own way

    async def _list(self) -> list[ModelFacts]:
        """Those on its disk, and, while at it, those in its memory."""
        await self._look()
        return [model.facts for model in await self._catalogue.installed()]

    async def _glance(self) -> None:
        with suppress(Unreachable, Broken, Silent, Refusal):
            await self._look()

    def _leave(self, why: str) -> None:
        super()._leave(why)
        self._loaded = []

    def _whole_name(self, model: str) -> str:
        return whole_name(model)

    def _meant(self, asked: str) -> str:
        model = self._whole_name(asked)
        if model and (self._pulls or self._knows(model)):
            return model
        try:
            return choose_model(self._models, asked)
        except Refused as refused:
            hint = f"{refused.hint}; `ollama pull {model:.80}` brings it, or `pull = true` in the configuration"
            raise Refused(ErrorCode.BAD_REQUEST, refused.message, field="model", hint=hint) from None


def _kind_of(refusal: Refusal) -> FailureKind:
    if refusal.status in BUSY:
        return FailureKind.RATE_LIMIT
    if any(word in refusal.message for word in OUT_OF_MEMORY):
        return FailureKind.OOM
    return FailureKind.INVALID if 400 <= refusal.status < 500 else FailureKind.SERVER_ERROR
