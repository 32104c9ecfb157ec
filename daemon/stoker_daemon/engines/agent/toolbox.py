"""The tools that a model may call, of several servers, under names that are told apart."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from mcp import MCPError

from stoker_daemon.engines.mcp.answers import text_of
from stoker_daemon.engines.mcp.engine import MCPEngine
from stoker_daemon.engines.mcp.server import Gone

MAX_TEXT = 50_000
"""Characters of an answer that a model is given: more would only fill its context."""


class Toolbox:
    """What the engines of kind `mcp` offer now, as a chat model knows functions; source: OpenAI's API reference."""

    def __init__(self, engines: Sequence[MCPEngine]) -> None:
        offers = [(engine, tool) for engine in engines for tool in engine.tools()]
        often = Counter(tool.name for _, tool in offers)
        self._offers = {
            tool.name if often[tool.name] == 1 else f"{engine.name}_{tool.name}": (engine, tool)
            for engine, tool in offers
        }

    def described(self) -> list[dict[str, Any]]:
        """The tools as a request for a chat lists them."""
        return [
            {
                "type": "function",
                "function": {"name": name, "description": tool.description or "", "parameters": tool.input_schema},
            }
            for name, (_, tool) in self._offers.items()
        ]

    async def call(self, name: str, arguments: str) -> str:
        """What a tool says to arguments in JSON, or what is wrong: either is for the model to make something of."""
        if name not in self._offers:
            return f"There is no tool {name}. There are: {', '.join(self._offers) or 'none'}."
        try:
            given: Any = json.loads(arguments or "{}")
        except ValueError as error:
            return f"The arguments are no JSON: {error}."
        if not isinstance(given, dict):
            return f"The arguments are no object: {arguments:.200}."
        engine, tool = self._offers[name]
        try:
            await engine.server.open()
            result = await engine.server.call(tool.name, cast("dict[str, Any]", given), _unheard)
        except MCPError as error:
            return f"The call was refused: {error}."
        except Gone as gone:
            return f"The call got no answer: {gone}. It may be tried again."
        text = text_of(result)
        cut = "" if len(text) <= MAX_TEXT else f"\n[{len(text) - MAX_TEXT} characters are left out here]"
        return f"{'The tool failed: ' if result.is_error else ''}{text[:MAX_TEXT]}{cut}"


def _unheard(_done: float, _of: float | None) -> None:
    """How far a call is says little of how far the task is."""
