"""What a tool answered, as files: texts, pictures, sounds and data."""

import base64
import binascii
import mimetypes
from collections.abc import Iterator
from typing import Any

import msgspec
from mcp.types import AudioContent, BlobResourceContents, CallToolResult, EmbeddedResource, ImageContent, TextContent

from stoker_daemon.jobs.records import Output

MAX_MESSAGE = 300


class Unfit(Exception):
    """An answer can't be kept; the text says why."""


def outputs_of(position: int, tool: str, result: CallToolResult, most: int) -> Iterator[Output]:
    """The parts of an answer, `most` bytes in all.

    Raises:
        Unfit: They are too large, or no pictures though they say so.
    """
    parts = [_part(content) for content in _said_once(result)]
    if result.structured_content is not None and not _wraps_text(result):
        parts.append((msgspec.json.encode(result.structured_content), "application/json", ".json"))
    size = sum(len(data) for data, _, _ in parts)
    if size > most:
        raise Unfit(f"its answer has {size} bytes, and {most} are kept at most")
    for data, media_type, suffix in parts:
        yield Output(position, data, media_type, suffix, {"tool": tool}, more=True, verbatim=True)


def text_of(result: CallToolResult) -> str:
    """An answer as a language model reads it."""
    texts = [content.text for content in result.content if isinstance(content, TextContent)]
    if not texts and result.structured_content is not None:
        return msgspec.json.encode(result.structured_content).decode()
    others = len(result.content) - len(texts)
    return "\n".join([*texts, *([f"[{others} parts that are no text]"] if others else [])])


def reason_of(tool: str, result: CallToolResult) -> str:
    """Why a tool failed, as it says itself, on one line."""
    said = " ".join(text_of(result).split())
    return f"{tool} failed: {said[:MAX_MESSAGE]}" if said else f"{tool} failed and did not say why"


def _wraps_text(result: CallToolResult) -> bool:
    """Whether the data says no more than the text does: servers wrap the result of a tool that gives a text."""
    texts = [content.text for content in result.content if isinstance(content, TextContent)]
    return len(texts) == 1 and result.structured_content == {"result": texts[0]}


def _said_once(result: CallToolResult) -> list[Any]:
    """The parts without a text that is only the data again, as JSON, for clients that know no data."""
    data = result.structured_content
    return [content for content in result.content if data is None or not _is_data(content, data)]


def _is_data(content: Any, data: Any) -> bool:
    try:
        return isinstance(content, TextContent) and msgspec.json.decode(content.text) == data
    except msgspec.DecodeError:
        return False


def _part(content: Any) -> tuple[bytes, str, str]:
    match content:
        case TextContent(text=text):
            return text.encode(), "text/plain", ".txt"
        case ImageContent(data=data, mime_type=kind) | AudioContent(data=data, mime_type=kind):
            return _decoded(data), kind, _suffix(kind)
        case EmbeddedResource(resource=BlobResourceContents(blob=blob, mime_type=kind)):
            return _decoded(blob), kind or "application/octet-stream", _suffix(kind or "")
        case _:
            return content.model_dump_json(by_alias=True, exclude_none=True).encode(), "application/json", ".json"


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise Unfit(f"its answer is no base64: {error}") from None


def _suffix(kind: str) -> str:
    return mimetypes.guess_extension(kind.partition(";")[0]) or ".bin"
