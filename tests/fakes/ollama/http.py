"""The fake's own routes, as Ollama's API documentation describes them; under `/v1` it is as any server of OpenAI's."""

import asyncio
import json
from typing import Any

from aiohttp import web
from tests.fakes.nvml.shared import Full, SharedCard
from tests.fakes.ollama.defects import OllamaDefects
from tests.fakes.openai.http import Body, Fault, Server

SIZES = {
    "tiny:latest": 2_019_393_189,
    "other:3b": 5_137_025_024,
    "embed:latest": 45_960_996,
    "giant:70b": 40_000_000_000,
}
"""Bytes of the models that are there at first; `giant` does not fit into memory."""
PULLABLE = "fresh:latest"
ROOM = 2
"""Models that are in memory at a time; for one more the oldest has to go."""


class NativeFault(Exception):
    """An error as Ollama tells it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Ollama(Server):
    """All that the fake knows.

    It is held to docs/api.md of github.com/ollama/ollama, and where that is silent (what an embedding model answers to
    `/api/generate`, what `/api/embed` does without texts) to the server's source as of August 2026.
    """

    def __init__(self, defects: OllamaDefects, key: str = "") -> None:
        super().__init__(defects, key)
        self._switches = defects
        self._installed = dict(SIZES)
        self._memory: dict[str, str | int] = {}
        """What is loaded, and for how long, the oldest first."""

    def app(self) -> web.Application:
        app = super().app()
        app.middlewares.append(self._tell_faults)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/generate", self._generate)
        app.router.add_post("/api/embed", self._embed)
        app.router.add_post("/api/pull", self._pull)
        app.router.add_post("/fake/evict", self._evict)
        return app

    # The tests' side

    def seen(self) -> Body:
        return {**super().seen(), "memory": self._memory}

    async def _evict(self, _: web.Request) -> web.Response:
        """As when a model of somebody else needs the room."""
        self._memory.clear()
        self._let_go()
        return web.json_response({})

    # The API

    @web.middleware
    async def _tell_faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)
        except NativeFault as fault:
            return web.json_response({"error": str(fault)}, status=fault.status)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.13.3"})

    async def _tags(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [self._model(name) for name in self._installed]})

    async def _ps(self, _: web.Request) -> web.Response:
        more = {"expires_at": "2026-06-04T14:38:31.83753-07:00", "context_length": 4096}
        models = [{**self._model(name), **more, "size_vram": self._installed[name]} for name in self._memory]
        return web.json_response({"models": models})

    def _model(self, name: str) -> Body:
        details = {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"]}
        details |= {"parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
        facts = {"name": name, "model": name, "size": self._installed[name], "digest": f"{hash(name) & 0xFFFF:064x}"}
        return {**facts, "modified_at": "2026-05-04T17:37:44.706015396-07:00", "details": details}

    async def _show(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = self.known(body["model"])
        info = {"general.architecture": "llama", "llama.context_length": 8192}
        capabilities = ["embedding"] if name.startswith("embed") else ["completion", "tools"]
        details = self._model(name)["details"]
        said = {"modelfile": "", "parameters": "", "template": "", "details": details, "model_info": info}
        return web.json_response({**said, "capabilities": capabilities})

    async def _generate(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = self.known(body["model"])
        head = {"model": body["model"], "created_at": "2026-12-18T19:52:07.071755Z", "response": "", "done": True}
        if body.get("keep_alive") == 0:
            if not self._switches.keeps:
                self._memory.pop(name, None)
                self._let_go()
            return web.json_response({**head, "done_reason": "unload"})
        if name.startswith("embed"):
            raise NativeFault(400, f'"{body["model"]}" does not support generate')
        await self.load(name, body.get("keep_alive", "5m"))
        return web.json_response({**head, "done_reason": "load"})

    async def _embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self.load(self.known(body["model"]), body.get("keep_alive", "5m"))
        assert not body.get("input"), "the fake makes vectors under /v1 only"
        return web.json_response({"model": body["model"], "embeddings": []})

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        name = _whole((await request.json())["model"])
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)

        async def say(**line: Any) -> None:
            await response.write(json.dumps(line).encode() + b"\n")

        await say(status="pulling manifest")
        if name != PULLABLE:
            await say(error="pull model manifest: file does not exist")
            return response
        for completed in (0, 500, 1000):
            await say(status="pulling 2ae6f6dd7a3d", digest="sha256:2ae6f6dd7a3d", total=1000, completed=completed)
        if self._switches.drops:
            return response
        self._installed[name] = 1000
        for status in ("verifying sha256 digest", "writing manifest", "removing any unused layers", "success"):
            await say(status=status)
        return response

    # What it does beneath both

    def known(self, model: str) -> str:
        """The whole name of a model that is there."""
        name = _whole(model)
        if name not in self._installed:
            raise NativeFault(404, f"model '{model}' not found")
        return name

    async def load(self, model: str, keep_alive: str | int | None = None) -> None:
        """Bring a model into memory, where it is not; `keep_alive` stays as it was if it is not said."""
        name = self.known(model)
        async with self.loading:
            if name not in self._memory:
                if name.startswith("giant"):
                    raise NativeFault(500, "model requires more system memory (40.0 GiB) than is available (8.0 GiB)")
                await asyncio.sleep(self._switches.load_s)
                self.loads.append(name)
                while len(self._memory) >= ROOM:
                    self._memory.pop(next(iter(self._memory)))
                self._take_room(name)
                self._memory[name] = "5m"
            self._memory[name] = self._memory[name] if keep_alive is None else keep_alive

    def _take_room(self, name: str) -> None:
        """On a simulated card: what was loaded before goes as far as there is no room beside it."""
        self._let_go()
        card = SharedCard(self._switches.card) if self._switches.card else None
        while card is not None and card.free < self._installed[name] and self._memory:
            self._memory.pop(next(iter(self._memory)))
            self._let_go()
        try:
            if card is not None:
                card.put(name, self._installed[name])
        except Full as full:
            raise NativeFault(500, f"model requires more system memory: {full}") from None

    def _let_go(self) -> None:
        """Give back on the card what is not loaded any more."""
        if not self._switches.card:
            return
        card = SharedCard(self._switches.card)
        for name in [each for each in card.held() if each not in self._memory]:
            card.take(name)

    def offered(self) -> list[str]:
        return list(self._installed)

    def admit_model(self, model: str) -> None:
        try:
            self.known(model)
        except NativeFault as fault:
            raise Fault(404, str(fault), "model_not_found") from None


def _whole(name: str) -> str:
    return name if ":" in name else f"{name}:latest"
