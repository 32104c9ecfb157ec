"""What a ComfyUI server says on its stream, as far as it matters here."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw, Struct

_PREVIEW, _PREVIEW_WITH_PLACE = 1, 4
_IMAGE_TYPES = {1: "image/jpeg", 2: "image/png"}


@dataclass(frozen=True, slots=True)
class Began:
    """A prompt is at work."""

    prompt_id: str


@dataclass(frozen=True, slots=True)
class Cached:
    """These nodes need not run."""

    prompt_id: str
    nodes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Entered:
    """A node began; `node` is the one of the submitted graph that it belongs to."""

    prompt_id: str
    node: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """The node at work has done `value` of `maximum` steps."""

    prompt_id: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A prompt is over, however it ended, and its entry is in the history."""

    prompt_id: str


@dataclass(frozen=True, slots=True)
class Previewed:
    """An image of work in progress; without `prompt_id` it is of the prompt at work."""

    prompt_id: str
    media_type: str
    image: bytes


Message = Began | Cached | Entered | Stepped | Ended | Previewed


class _Envelope(Struct):
    type: str
    data: Raw = Raw(b"{}")


class _Data(Struct):
    """The fields of all kinds of messages together. A server without a node at work says `null`."""

    prompt_id: str | None = None
    node: str | None = None
    display_node: str | None = None
    nodes: list[str] = []
    value: float = 0.0
    max: float = 0.0


class _Place(Struct):
    prompt_id: str = ""
    image_type: str = "image/jpeg"


_envelopes = msgspec.json.Decoder(_Envelope)
_datas = msgspec.json.Decoder(_Data)
_places = msgspec.json.Decoder(_Place)
_KINDS = frozenset({"execution_start", "execution_cached", "executing", "progress"})


def parse(frame: str | bytes) -> Message | None:
    """A message from one frame of the stream, or None: nothing that matters here, or nothing that can be read.

    Source: recordings of ComfyUI 0.3.64 and 0.12.1.
    """
    try:
        return _parse_text(frame) if isinstance(frame, str) else _parse_binary(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _parse_text(frame: str) -> Message | None:
    envelope = _envelopes.decode(frame)
    if envelope.type not in _KINDS:
        return None
    data = _datas.decode(envelope.data)
    if not data.prompt_id:  # what is told after a reconnect says only that something runs
        return None
    match envelope.type:
        case "execution_start":
            return Began(data.prompt_id)
        case "execution_cached":
            return Cached(data.prompt_id, data.nodes)
        case "progress":
            return Stepped(data.prompt_id, data.value, data.max)
        case _:
            node = data.display_node or data.node
            return Ended(data.prompt_id) if node is None else Entered(data.prompt_id, node)


def _parse_binary(frame: bytes) -> Previewed | None:
    """Big-endian: the kind, then the type of image and the image, or the length of a JSON text, that, and the image."""
    kind, second = int.from_bytes(frame[:4], "big"), int.from_bytes(frame[4:8], "big")
    if kind == _PREVIEW and second in _IMAGE_TYPES:
        return Previewed("", _IMAGE_TYPES[second], frame[8:])
    if kind == _PREVIEW_WITH_PLACE and 8 + second < len(frame):
        place = _places.decode(frame[8 : 8 + second])
        return Previewed(place.prompt_id, place.image_type, frame[8 + second :])
    return None
