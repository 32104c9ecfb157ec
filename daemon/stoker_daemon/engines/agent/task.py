"""One task: a conversation with a model that calls tools, loop after loop, until it is done or given up."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from stoker_daemon.engines.agent.toolbox import Toolbox
from stoker_daemon.engines.openai.answers import Answer, Unusable
from stoker_protocol.errors import FailureKind

Ask = Callable[[Mapping[str, Any]], Awaitable[Answer]]
"""Asks the model: the body of a chat request, without the model's name."""
Validate = Callable[[], Awaitable[str]]
"""Says what is wrong with what was done so far; nothing if the task is done."""


@dataclass(slots=True)
class Task:
    """The conversation so far; `options` go into each request, `max_loops` bounds how many there are."""

    messages: list[dict[str, Any]]
    options: Mapping[str, Any]
    max_loops: int
    loops: int = 0
    is_done: bool = False
    complaint: str = ""
    """What the validation said last."""
    usage: dict[str, int] = field(default_factory=dict[str, int])

    async def carry_out(self, ask: Ask, toolbox: Toolbox, validate: Validate, on_loop: Callable[[], None]) -> None:
        """Ask, call, ask again ... until the model has no more to do and the validation finds nothing wrong.

        Raises:
            Unusable: The model's answer can't be used.
        """
        tools = toolbox.described()
        while self.loops < self.max_loops and not self.is_done:
            body = {**self.options, "messages": self.messages, **({"tools": tools} if tools else {})}
            message = self._take(await ask(body))
            self.loops += 1
            on_loop()
            if calls := cast("list[Any]", message.get("tool_calls") or []):
                for call in calls:
                    await self._call(call, toolbox)
                    on_loop()
                continue
            self.complaint = await validate()
            self.is_done = not self.complaint
            if not self.is_done:
                self.messages.append({"role": "user", "content": f"The task is not done yet. {self.complaint}"})

    @property
    def answer(self) -> str:
        """The last text of the model."""
        said = [m["content"] for m in self.messages if m["role"] == "assistant" and isinstance(m.get("content"), str)]
        return said[-1] if said else ""

    def transcript(self) -> bytes:
        """All of it, as JSON that begins with the answer."""
        facts = {
            "answer": self.answer,
            "loops": self.loops,
            "max_loops": self.max_loops,
            "is_done": self.is_done,
            "usage": self.usage,
        }
        whole = {**facts, "complaint": self.complaint, "options": self.options, "messages": self.messages}
        return msgspec.json.format(msgspec.json.encode(whole), indent=2)

    def _take(self, answer: Answer) -> Mapping[str, Any]:
        """The model's message, now part of the conversation."""
        try:
            choice = answer["choices"][0]
            message = cast("dict[str, Any]", choice["message"])
            reason = choice.get("finish_reason")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise Unusable(FailureKind.SERVER_ERROR, f"the answer is none of a chat: {answer!r:.200}") from None
        if reason == "content_filter":
            raise Unusable(FailureKind.REFUSED, "a content filter took the answer")
        if refusal := message.get("refusal"):
            raise Unusable(FailureKind.REFUSED, f"the model refused: {refusal:.300}")
        kept = {name: message[name] for name in ("content", "tool_calls") if message.get(name)}
        self.messages.append({"role": "assistant", "content": None, **kept})
        for name, count in cast("dict[str, Any]", answer.get("usage") or {}).items():
            if isinstance(count, int):
                self.usage[name] = self.usage.get(name, 0) + count
        return message

    async def _call(self, call: Any, toolbox: Toolbox) -> None:
        function: Mapping[str, Any] = call.get("function") or {}
        said = await toolbox.call(str(function.get("name", "")), str(function.get("arguments") or ""))
        self.messages.append({"role": "tool", "tool_call_id": call.get("id", ""), "content": said})
