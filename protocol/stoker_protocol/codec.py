"""Bytes to messages and back: the only module that knows msgpack, with the limits that keep garbage cheap."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, get_args

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.msgpack import Decoder, Encoder

from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import AnyEvent
from stoker_protocol.replies import AnyReply
from stoker_protocol.requests import AnyRequest, Submit
from stoker_protocol.worker import AnyCommand, AnySay

VERSION = 1
MAX_BODY = 8 << 20
"""Bytes of one request or reply body."""
MAX_FRAME = 9 << 20
"""Bytes at which ZeroMQ drops the peer; between the two a peer still gets a reply that says why."""
MAX_DEPTH = 32
"""Levels of nesting in a free-form value."""
MAX_METADATA = 64 << 10
MAX_PARAMS = 256 << 10
MAX_WORKER_FRAME = 256 << 20
"""Bytes of one message on a worker's socketpair: a few large images."""
QUOTABLE = 64 << 10
"""A refused body up to this size is decoded once more so that the error can quote the offending value."""

# Each container costs one header byte, so a value with no more of these bytes than MAX_DEPTH can't be deeper than that.
_CONTAINER_HEADERS = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
_NOT_CONTAINERS = bytes(sorted(set(range(256)) - set(_CONTAINER_HEADERS)))
_MAP_HEADERS = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])


class _Envelope(Struct):
    """What is read first, so that every refusal can name the request that it answers."""

    v: int = 0
    id: Annotated[str, Meta(max_length=64)] = ""
    op: Annotated[str, Meta(max_length=64)] = ""


REQUEST_TYPES: dict[str, type[AnyRequest]] = {str(t.__struct_config__.tag): t for t in get_args(AnyRequest)}
_request_decoders = {op: Decoder(t) for op, t in REQUEST_TYPES.items()}
_envelope_decoder = Decoder(_Envelope)
_reply_decoder = Decoder(AnyReply)
_event_decoder = Decoder(AnyEvent)
_command_decoder = Decoder(AnyCommand)
_say_decoder = Decoder(AnySay)
_any_decoder: Decoder[Any] = Decoder(Any)
_map_decoder = Decoder(dict[str, Any])
_encoder = Encoder()
_canonical_encoder = Encoder(order="sorted")


def encode(message: Struct) -> bytes:
    """Encode any message."""
    return _encoder.encode(message)


def decode_request(body: bytes) -> AnyRequest:
    """Decode and check one request.

    Raises:
        Refused: `too_large`, `bad_request`, `unsupported_version` or `unknown_op`, naming field and value.
    """
    if len(body) > MAX_BODY:
        raise Refused(
            ErrorCode.TOO_LARGE, f"the body has {len(body)} bytes", hint=f"at most {MAX_BODY} bytes; split the request"
        )
    envelope = _decode_envelope(body)
    decoder = _request_decoders.get(envelope.op)
    if decoder is None:
        raise _unknown_op(envelope.op)
    try:
        request = decoder.decode(body)
    except msgspec.DecodeError as error:
        raise _explain(error, body, REQUEST_TYPES[envelope.op]) from None
    except RecursionError:
        raise _too_deep("") from None
    if isinstance(request, Submit):
        _check_free_forms(request)
    return request


def request_id_of(body: bytes) -> str:
    """The id of a request however wrong the rest is, or an empty string."""
    try:
        return _envelope_decoder.decode(body).id
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""


def decode_reply(body: bytes) -> AnyReply:
    """Decode a reply.

    Raises:
        msgspec.DecodeError: It is none of the replies of this version.
    """
    return _reply_decoder.decode(body)


def decode_event(body: bytes | Raw) -> AnyEvent:
    """Decode an event.

    Raises:
        msgspec.DecodeError: It is none of the events of this version.
    """
    return _event_decoder.decode(body)


def decode_command(body: bytes) -> AnyCommand:
    """Decode what the daemon tells a worker. Raises msgspec.DecodeError."""
    return _command_decoder.decode(body)


def decode_say(body: bytes) -> AnySay:
    """Decode what a worker tells the daemon. Raises msgspec.DecodeError."""
    return _say_decoder.decode(body)


def pack(value: Any) -> Raw:
    """A free-form value from plain Python objects."""
    return Raw(_encoder.encode(value))


def unpack(value: Raw | bytes | UnsetType) -> Any:
    """The plain Python objects of a free-form value; of an absent one, an empty map."""
    return {} if value is UNSET else _any_decoder.decode(value)


def unpack_map(value: Raw | bytes | UnsetType) -> dict[str, Any]:
    """The plain map of a free-form value with text keys.

    Raises:
        msgspec.DecodeError: It is something else.
    """
    return {} if value is UNSET else _map_decoder.decode(value)


def fingerprint(body: bytes) -> bytes:
    """SHA-256 of what a client asked for, whatever the order of its keys and before any default is filled in.

    Raises:
        Refused: `bad_request`: maps whose keys can't be ordered.
    """
    asked = _any_decoder.decode(body)
    for envelope_key in ("v", "id", "dry_run"):
        asked.pop(envelope_key, None)
    try:
        return hashlib.sha256(_canonical_encoder.encode(asked)).digest()
    except (TypeError, ValueError):
        raise Refused(ErrorCode.BAD_REQUEST, "a map mixes kinds of keys", hint="use text as keys") from None


def frame(message: Struct) -> bytes:
    """A message for a worker's byte stream: four bytes of length, most significant first, then the body."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


class FrameBuffer:
    """Cuts a byte stream into the bodies that `frame` put in."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what arrived and yield each complete body.

        Raises:
            ValueError: A length beyond MAX_WORKER_FRAME, so the stream is not ours.
        """
        self._bytes += data
        while len(self._bytes) >= 4:
            size = int.from_bytes(self._bytes[:4], "big")
            if size > MAX_WORKER_FRAME:
                raise ValueError(f"a frame of {size} bytes")
            if len(self._bytes) < 4 + size:
                return
            body = bytes(self._bytes[4 : 4 + size])
            del self._bytes[: 4 + size]
            yield body


def _decode_envelope(body: bytes) -> _Envelope:
    try:
        envelope = _envelope_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _explain(error, body, _Envelope) from None
    except RecursionError:
        raise _too_deep("") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(
            ErrorCode.BAD_REQUEST, "the body is not one msgpack map", hint='send {"v": 1, "id": ..., "op": ...}'
        ) from None
    if envelope.v != VERSION:
        raise Refused(
            ErrorCode.UNSUPPORTED_VERSION,
            f"protocol version {envelope.v} is not spoken here",
            field="v",
            hint=f"supported: {VERSION}",
        )
    return envelope


def _unknown_op(op: str) -> Refused:
    hint = "ops: " + ", ".join(sorted(REQUEST_TYPES))
    if near := nearest(op, REQUEST_TYPES):
        hint = "did you mean " + " or ".join(near) + "?"
    return Refused(ErrorCode.UNKNOWN_OP, f"there is no op {op!r}", field="op", hint=hint)


def nearest(word: str, words: Mapping[str, Any] | list[str]) -> list[str]:
    """Up to three of `words` that a person may have meant by `word`."""
    import difflib  # only refusals need it, and it costs a one-shot client some milliseconds

    return difflib.get_close_matches(word, list(words), n=3)


_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?$", re.DOTALL)


def _explain(error: msgspec.DecodeError, body: bytes, kind: type[Struct]) -> Refused:
    """Turn msgspec's words into a refusal that names the field, quotes the value and says what would do."""
    match = _AT.match(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    field = path.removeprefix("$").removeprefix(".")
    if "missing required field" in what:
        field = ".".join(filter(None, [field, what.split("`")[1]]))
    quoted = _quote(body, path)
    message = f"{field or 'body'}: {what[:1].lower()}{what[1:]}" + (f" ({quoted})" if quoted else "")
    choices = _choices(kind, field) if "enum" in what else []
    return Refused(ErrorCode.BAD_REQUEST, message, field=field, hint=f"one of: {', '.join(choices)}" if choices else "")


def _quote(body: bytes, path: str) -> str:
    """The offending value, shortened, where it is cheap to find."""
    if len(body) > QUOTABLE or path == "$":
        return ""
    try:
        value = _any_decoder.decode(body)
        for step in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
            value = value[step[0]] if step[0] else value[int(step[1])]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, KeyError, IndexError, TypeError):
        return ""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _choices(kind: type[Struct], field: str) -> list[str]:
    """What an enum field of a request would accept."""
    name = field.split("[")[0]
    for info in msgspec.structs.fields(kind):
        if info.name == name:
            enums = [t for t in (info.type, *get_args(info.type)) if isinstance(t, type) and issubclass(t, Enum)]
            enums += [
                e for t in get_args(info.type) for e in get_args(t) if isinstance(e, type) and issubclass(e, Enum)
            ]
            return [str(member.value) for enum in enums[:1] for member in enum]
    return []


def _too_deep(field: str) -> Refused:
    return Refused(ErrorCode.BAD_REQUEST, "nested too deeply", field=field, hint=f"at most {MAX_DEPTH} levels")


def _check_free_forms(request: Submit) -> None:
    _check_free_form(request.metadata, "metadata", MAX_METADATA)
    _check_free_form(request.params, "params", MAX_PARAMS)
    for index, item in enumerate(request.items):
        if item.params is not UNSET:
            _check_free_form(item.params, f"items[{index}].params", MAX_PARAMS)


def _check_free_form(value: Raw | UnsetType, field: str, max_bytes: int) -> None:
    """A free-form value is a map, not too large and not too deep."""
    if value is UNSET:
        return
    raw = bytes(value)
    if raw[0] not in _MAP_HEADERS:
        raise Refused(ErrorCode.BAD_REQUEST, f"{field} is not a map", field=field, hint="a map with text keys")
    if len(raw) > max_bytes:
        raise Refused(
            ErrorCode.TOO_LARGE, f"{field} has {len(raw)} bytes", field=field, hint=f"at most {max_bytes} bytes"
        )
    if len(raw.translate(None, _NOT_CONTAINERS)) > MAX_DEPTH and _is_deep(raw):
        raise _too_deep(field)


def _is_deep(raw: bytes) -> bool:
    """Whether a value is nested deeper than MAX_DEPTH."""
    try:
        level = [_any_decoder.decode(raw)]
    except RecursionError:
        return True
    for _ in range(MAX_DEPTH + 1):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]  # pyright: ignore[reportUnknownVariableType]  # free-form by nature
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  # free-form by nature
