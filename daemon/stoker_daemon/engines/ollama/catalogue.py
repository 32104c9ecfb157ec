"""What Ollama says of its models: which there are, which are loaded, and how it loads, unloads and pulls them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from stoker_daemon.engines.openai.server import Broken, Refusal, Server
from stoker_daemon.jobs.records import Resident
from stoker_protocol.jobs import ModelFacts

NOT_GENERATING = "does not support generate"
"""So it says of a model that makes only vectors."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A model on the server's disk."""

    name: str
    bytes: int
    details: str

    @property
    def facts(self) -> ModelFacts:
        """As people see it."""
        size = f"{self.bytes / 1e9:.1f} GB"
        return ModelFacts(self.name, f"{self.details}, {size}" if self.details else size)


class Catalogue:
    """The models of the Ollama server behind `server`, whose address has no version. Raises as that does.

    Source: Ollama's API documentation, docs/api.md of github.com/ollama/ollama.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    async def installed(self) -> list[Installed]:
        """Those on its disk, the newest first."""
        return [
            Installed(_name(model), _size(model, "size"), _details(model)) for model in await self._models("/api/tags")
        ]

    async def loaded(self) -> list[Resident]:
        """Those in its memory, with the bytes that each has on the GPU."""
        return [Resident(_name(model), _size(model, "size_vram")) for model in await self._models("/api/ps")]

    async def capabilities(self, model: str) -> list[str]:
        """What a model is good for: `completion`, `embedding`, `vision`, `tools` ..."""
        said = (await self._server.ask("/api/show", {"model": model})).get("capabilities")
        return [str(each) for each in cast("list[Any]", said)] if isinstance(said, list) else []

    async def load(self, model: str, keep_alive: str) -> None:
        """Bring a model into memory, to stay there for so long after each request."""
        try:
            await self._server.ask("/api/generate", {"model": model, "keep_alive": keep_alive, "stream": False})
        except Refusal as refusal:
            if NOT_GENERATING not in refusal.message:
                raise
            await self._server.ask("/api/embed", {"model": model, "input": [], "keep_alive": keep_alive})

    async def unload(self, model: str) -> None:
        """Ask for the memory that a model has."""
        await self._server.ask("/api/generate", {"model": model, "keep_alive": 0, "stream": False})

    async def pull(self, model: str) -> None:
        """Download a model."""
        async for said in self._server.lines("/api/pull", {"model": model}):
            if error := said.get("error"):
                raise Refusal(500, "", str(error))
            if said.get("status") == "success":
                return
        raise Broken(f"the download of {model} ended before it was whole")

    async def _models(self, path: str) -> list[dict[str, Any]]:
        said = (await self._server.look(path)).get("models")
        rows = cast("list[Any]", said) if isinstance(said, list) else []
        return [cast("dict[str, Any]", row) for row in rows if isinstance(row, dict) and "name" in row]


def whole_name(model: str) -> str:
    """A model's name with its tag, which is `latest` where none is said."""
    return model if not model or ":" in model.rpartition("/")[2] else f"{model}:latest"


def _name(model: Mapping[str, Any]) -> str:
    return whole_name(str(model["name"]))


def _size(model: Mapping[str, Any], key: str) -> int:
    size = model.get(key)
    return size if isinstance(size, int) else 0


def _details(model: Mapping[str, Any]) -> str:
    details = model.get("details")
    said = cast("dict[str, Any]", details) if isinstance(details, dict) else {}
    return " ".join(str(said[key]) for key in ("family", "parameter_size", "quantization_level") if said.get(key))
