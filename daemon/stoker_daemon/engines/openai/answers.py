"""What a server answers: streamed pieces put together, errors told apart, and what becomes of an item by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from stoker_daemon.engines.openai.asking import Ask
from stoker_protocol.errors import FailureKind

Answer = dict[str, Any]

BUSY = frozenset({429, 503, 529})
"""The server takes no more just now; 503 while a model loads, 529 at Anthropic."""
BARRED = frozenset({401, 402, 403})
"""The server wants another key, or money: a matter for a person, and no fault of the item."""
LATE = frozenset({408, 504, 524})
"""It did not answer in time, or who stands before it says so."""
_FILTERED = ("content_filter", "content_policy", "moderation")
_GROWING = frozenset({"content", "refusal", "reasoning_content", "reasoning", "arguments", "text"})
"""What comes piece by piece; all else is said once, or again and again."""


@dataclass(frozen=True, slots=True)
class Made:
    """What is kept of an answer."""

    data: bytes
    media_type: str
    suffix: str
    record: dict[str, Any]
    complaint: str = ""
    """Why it is not what was expected."""


class Unusable(Exception):
    """An answer, or a refusal, that fails its item."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Assembly:
    """A streamed answer on its way to the form that it would have had in one piece."""

    def __init__(self) -> None:
        self.tokens = 0
        """Pieces with something in them, which are tokens at most servers."""
        self._head: Answer = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Answer) -> None:
        """Take the next piece. Raises Unusable: it is none."""
        self._head |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for choice in _maps(chunk.get("choices") or []):
            index = _index(choice)
            whole = self._choices.setdefault(index, {"index": index, "finish_reason": None})
            if "message" in choice:
                whole |= choice
                continue
            delta = choice.pop("delta", None)
            _merge(whole, {name: value for name, value in choice.items() if value is not None})
            self.tokens += _says_something(choice if delta is None else _map(delta))
            if delta:
                _merge(whole.setdefault("message", {}), delta)

    def whole(self) -> Answer:
        """The answer. Raises Unusable: it ended too early."""
        choices = [choice for _, choice in sorted(self._choices.items())]
        if not choices or any(choice["finish_reason"] is None for choice in choices):
            raise Unusable(FailureKind.SERVER_ERROR, f"the answer was cut after {self.tokens} tokens")
        kind = str(self._head.get("object", "")).removesuffix(".chunk")
        return {**self._head, **({"object": kind} if kind else {}), "choices": choices}


def explain(body: bytes) -> tuple[str, str]:
    """Code and message of an error, in the forms that servers have for it."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", body[:300].decode(errors="replace").strip()
    if not isinstance(said, dict):
        return "", str(said)[:300]
    outer = cast("dict[str, Any]", said)
    error = outer.get("error", outer)
    if not isinstance(error, dict):
        return "", str(error)[:300]
    inner = cast("dict[str, Any]", error)
    message = inner.get("message") or inner.get("detail") or inner
    return str(inner.get("code") or inner.get("type") or ""), str(message)[:300]


def failure_of(status: int, code: str, message: str) -> Unusable:
    """What a refused request means for its item, where the server could have taken another."""
    text = f"HTTP {status}: {message}" if message else f"HTTP {status}"
    if any(word in code for word in _FILTERED):
        return Unusable(FailureKind.REFUSED, text)
    if status in LATE:
        return Unusable(FailureKind.TIMEOUT, text)
    if status >= 500 and "out of memory" in message.lower():
        return Unusable(FailureKind.OOM, text)
    return Unusable(FailureKind.INVALID if 400 <= status < 500 else FailureKind.SERVER_ERROR, text)


def made_of(ask: Ask, answer: Answer) -> Made:
    """What is kept of an answer to an item. Raises Unusable: there is nothing to keep."""
    record = {name: answer[name] for name in ("id", "model", "usage", "system_fingerprint") if name in answer}
    if ask.kind == "embedding":
        vectors = vectors_of(answer)
        kept = answer if ask.is_line else vectors[0] if len(vectors) == 1 else vectors
        return Made(msgspec.json.encode(kept), "application/json", ".json", record)
    choices = list(_maps(answer.get("choices")))
    if not choices:
        raise Unusable(FailureKind.SERVER_ERROR, "the answer has no choices")
    texts = [_text_of(ask, choice) for choice in choices]
    complaint = next((said for text in texts if ask.expects and (said := ask.expects.complaint(text))), "")
    record["finish_reason"] = choices[0].get("finish_reason")
    message = _map(choices[0].get("message") or {})
    if reasoning := message.get("reasoning_content") or message.get("reasoning"):
        record["reasoning"] = reasoning
    if ask.is_line or len(texts) > 1 or message.get("tool_calls") or choices[0].get("logprobs"):
        return Made(msgspec.json.encode(answer), "application/json", ".json", record, complaint)
    if ask.wants_json:
        return Made(texts[0].encode(), "application/json", ".json", record, complaint)
    return Made(texts[0].encode(), "text/plain", ".txt", record, complaint)


def vectors_of(answer: Answer) -> list[Any]:
    """The vectors, in the order of the texts. Raises Unusable: there are none."""
    data = list(_maps(answer.get("data")))
    vectors = [each.get("embedding") for each in sorted(data, key=_index)]
    if not vectors or not all(vectors):
        raise Unusable(FailureKind.SERVER_ERROR, "the answer has no embedding")
    return vectors


def _text_of(ask: Ask, choice: Mapping[str, Any]) -> str:
    """The text of a choice. Raises Unusable: the model would not, or did not do what was asked."""
    message = _map(choice.get("message") or {})
    finish = choice.get("finish_reason")
    if message.get("refusal"):
        raise Unusable(FailureKind.REFUSED, f"the model refuses: {message['refusal']!s:.300}")
    if finish == "content_filter":
        raise Unusable(FailureKind.REFUSED, "the server's content filter stopped the answer")
    if finish == "error":
        raise Unusable(FailureKind.SERVER_ERROR, "the server could not finish the answer")
    text = message.get("content") if ask.kind == "chat" else choice.get("text")
    if text is not None and not isinstance(text, str):
        raise Unusable(FailureKind.SERVER_ERROR, f"the answer is no text but {text!r:.80}")
    if ask.wants_json and not ask.is_line and not message.get("tool_calls"):
        _check_json(text or "", is_cut=finish == "length")
    return text or ""


def _check_json(text: str, *, is_cut: bool) -> None:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        if is_cut:
            message = "the answer was cut by max_tokens before its JSON ended"
            raise Unusable(FailureKind.INVALID, message) from None
        raise Unusable(FailureKind.SERVER_ERROR, f"the answer is not the JSON asked for: {text!r:.80}") from None


def _says_something(piece: Mapping[str, Any]) -> bool:
    return any(piece.get(name) for name in (*_GROWING, "tool_calls"))


def _merge(whole: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lay a piece over what there is: texts grow, lists go by the index of their parts."""
    for name, value in more.items():
        before = whole.get(name)
        if name in _GROWING and isinstance(value, str) and isinstance(before, str):
            whole[name] = before + value
        elif isinstance(value, dict) and isinstance(before, dict):
            _merge(cast("dict[str, Any]", before), cast("dict[str, Any]", value))
        elif name == "tool_calls" and value:
            _merge_calls(whole, value)
        elif value is not None or before is None:
            whole[name] = value


def _merge_calls(whole: dict[str, Any], more: Any) -> None:
    calls: list[dict[str, Any]] = whole.setdefault("tool_calls", [])
    for part in _maps(more):
        index = part.pop("index", len(calls))
        call = next((call for number, call in enumerate(calls) if number == index), None)
        if call is None:
            calls.append(part)
        else:
            _merge(call, part)


def _index(part: Mapping[str, Any]) -> int:
    index = part.get("index", 0)
    if not isinstance(index, int):
        raise Unusable(FailureKind.SERVER_ERROR, f"the answer has a part {index!r:.80}")
    return index


def _maps(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Unusable(FailureKind.SERVER_ERROR, f"the answer makes no sense: {value!r:.80}")
    return [_map(each) for each in cast("list[Any]", value)]


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(FailureKind.SERVER_ERROR, f"the answer makes no sense: {value!r:.80}")
    return cast("dict[str, Any]", value)
