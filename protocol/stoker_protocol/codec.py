"""Bytes to messages and back: the only module that knows msgpack, with the limits that keep garbage cheap."""

import math
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from enum import Enum
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.msgpack import Decoder, Encoder

from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import AnyEvent
from stoker_protocol.jobs import Parameter
from stoker_protocol.replies import AnyReply
from stoker_protocol.requests import AnyRequest, Append, ItemSpec, Submit
from stoker_protocol.worker import AnyCommand, AnySay

VERSION = 1
MAX_BODY = 8 << 20
"""Bytes of one request or reply body."""
MAX_FRAME = 9 << 20
"""Bytes at which ZeroMQ drops the peer; between the two a peer still gets a reply that says why."""
MAX_DEPTH = 32
"""Maps and lists inside each other in a free-form value, itself included."""
MAX_CONTAINERS = 100_000
"""Maps and lists in all free-form values of a request: what a byte can make costly."""
FORMS_A_STEP = 256
BYTES_A_STEP = 64 << 10
"""Free-form values that are checked, and bytes that are read or looked at closely, before others have their turn."""
MAX_METADATA = 64 << 10
MAX_PARAMS = 256 << 10
MAX_WORKFLOW = 1 << 20
MAX_WORKER_FRAME = 256 << 20
"""Bytes of one message on a worker's socketpair: a few large images."""
QUOTABLE = 16 << 10
"""A refused body up to this size is decoded once more so that the error can quote the offending value."""

_NO_UTF8 = "text that is not UTF-8"
JOB_ID_HINT = "up to 64 letters, digits, `_`, `-` and `.`, and the first a letter or digit; for example night-shift-7"


class _Envelope(Struct):
    """What is read first, to find the struct of the rest."""

    v: int = 0
    id: Annotated[str, Meta(max_length=64)] = ""
    op: Annotated[str, Meta(max_length=64)] = ""


class _Id(Struct):
    """What every reply needs, an error too, whatever else of its request is wrong."""

    id: Annotated[str, Meta(max_length=64)] = ""


def _as_given(kind: type[Struct], value: Any, aside: frozenset[str] = frozenset()) -> type[Struct]:
    """A struct with the fields of another, sorted, that takes such a value for each and knows which were given."""
    names = sorted(set(kind.__struct_fields__) - aside)
    return msgspec.defstruct(f"{kind.__name__}AsGiven", [(name, value | UnsetType, UNSET) for name in names])


_FiniteFloat = Annotated[float, Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]
_FlatMap = dict[str, str | int | bool | _FiniteFloat | None]


class _FlatItem(Struct, gc=False):
    """An item whose parameters are plain values."""

    params: _FlatMap = {}


class _FlatJob(Struct):
    """A job, or more items of one, without a map or list inside another: nearly all are like that."""

    params: _FlatMap = {}
    metadata: _FlatMap = {}
    items: list[_FlatItem] = []


_Container = dict[Any, Any] | list[Any]
T = TypeVar("T")
S = TypeVar("S", bound=Struct)

REQUEST_TYPES: dict[str, type[AnyRequest]] = {str(t.__struct_config__.tag): t for t in get_args(AnyRequest)}
_id_decoder = Decoder(_Id)
_any_decoder: Decoder[Any] = Decoder(Any)
_map_decoder = Decoder(dict[str, Any])
_list_decoder = Decoder(list[Raw])
# These are made when they are first needed: a one-shot client needs only one of them.
_reply_decoder = cache(lambda: Decoder(AnyReply))
_event_decoder = cache(lambda: Decoder(AnyEvent))
_command_decoder = cache(lambda: Decoder(AnyCommand))
_say_decoder = cache(lambda: Decoder(AnySay))
_parameters_decoder = cache(lambda: Decoder(list[Parameter]))
_flat_decoder = cache(lambda: Decoder(_FlatJob))
_flat_map_decoder = cache(lambda: Decoder(_FlatMap))
_flat_maps_decoder = cache(lambda: Decoder(list[_FlatMap]))
_given_submit_decoder = cache(lambda: Decoder(_as_given(Submit, Raw, frozenset({"v", "id", "dry_run"}))))
_given_item_decoder = cache(lambda: Decoder(_as_given(ItemSpec, Any)))
_encoder = Encoder()
_canonical_encoder = Encoder(order="sorted")
_CONTAINERS = frozenset({dict, list})
_PLAIN = _CONTAINERS | {str, int, float, bool, type(None)}
"""What JSON can say too, so that every client can show what another one stored."""


def encode(message: Struct) -> bytes:
    """Encode any message."""
    return _encoder.encode(message)


def decode_request(body: bytes) -> AnyRequest:
    """Decode and check one request.

    Raises:
        Refused: `too_large`, `bad_request`, `unsupported_version` or `unknown_op`, naming field and value.
    """
    steps = decode_in_steps(body)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def decode_in_steps(body: bytes) -> Generator[None, None, AnyRequest]:
    """Decode and check one request as `decode_request` does, pausing where others should have their turn."""
    if len(body) > MAX_BODY:
        raise Refused(
            ErrorCode.TOO_LARGE, f"the body has {len(body)} bytes", hint=f"at most {MAX_BODY} bytes; split the request"
        )
    is_large = len(body) > BYTES_A_STEP
    if is_large:  # to receive it was a step already
        yield
    envelope = _decode_or_refuse(body, _Envelope)
    if envelope.v != VERSION:
        raise _unknown_version(envelope.v)
    if (kind := REQUEST_TYPES.get(envelope.op)) is None:
        raise _unknown_op(envelope.op)
    if is_large:
        yield
    request = _decode_or_refuse(body, kind)
    if isinstance(request, Submit | Append) and not _is_flat(body, request):
        yield from _check_free_forms(request)
    return request


def request_id_of(body: bytes) -> str:
    """The id of a request, whatever else of it is wrong, or an empty string."""
    try:
        return _decode(_id_decoder, body).id
    except msgspec.DecodeError:
        return ""


def decode_reply(body: bytes) -> AnyReply:
    """Decode a reply.

    Raises:
        msgspec.DecodeError: It is none of the replies of this version.
    """
    return _decode(_reply_decoder(), body)


def decode_event(body: bytes | Raw) -> AnyEvent:
    """Decode an event.

    Raises:
        msgspec.DecodeError: It is none of the events of this version.
    """
    return _decode(_event_decoder(), body)


def decode_command(body: bytes) -> AnyCommand:
    """Decode what the daemon tells a worker. Raises msgspec.DecodeError."""
    return _decode(_command_decoder(), body)


def decode_say(body: bytes) -> AnySay:
    """Decode what a worker tells the daemon. Raises msgspec.DecodeError."""
    return _decode(_say_decoder(), body)


def pack(value: Any) -> Raw:
    """A free-form value from plain Python objects."""
    return Raw(_encoder.encode(value))


def unpack(value: Raw | bytes | UnsetType) -> Any:
    """The plain Python objects of a free-form value; of an absent one, an empty map. Raises msgspec.DecodeError."""
    return {} if value is UNSET else _decode(_any_decoder, value)


def unpack_map(value: Raw | bytes | UnsetType) -> dict[str, Any]:
    """The plain map of a free-form value with text keys.

    Raises:
        msgspec.DecodeError: It is something else.
    """
    return {} if value is UNSET else _decode(_map_decoder, value)


def decode_parameters(value: bytes | Raw) -> list[Parameter]:
    """Parameters that were packed. Raises msgspec.DecodeError."""
    return _decode(_parameters_decoder(), value)


def taker(kinds: Mapping[str, Any], required: Set[str]) -> Callable[[Sequence[Raw]], bool]:
    """A quick test whether free-form values are all maps with all required keys, no others, and values of these kinds.

    The kinds are types as msgspec knows them.
    """
    names = {f"p{number}": name for number, name in enumerate(kinds)}
    fields = [
        (field, kinds[name]) if name in required else (field, kinds[name] | UnsetType, UNSET)
        for field, name in names.items()
    ]
    fields.sort(key=len)  # those without a default come first
    kind = msgspec.defstruct("Taken", fields, rename=names, forbid_unknown_fields=True, gc=False)
    decoder: Decoder[Any] = Decoder(GenericAlias(list, kind))
    return lambda values: _can_decode(decoder, _as_list(values))


def fingerprint(body: bytes) -> bytes:
    """SHA-256 of what a submit asked for, whatever the order of its keys and before any default is filled in.

    The body is one that `decode_request` took. What is not known here is left out, as are `id` and `dry_run`.
    """
    import hashlib  # loads OpenSSL, which a client that moves no file can do without

    digest = hashlib.sha256()
    for name, value in _given(_given_submit_decoder().decode(body)):
        digest.update(_encoder.encode(name))
        if name == "items":
            # One by one, so that no more than one item's free-form values are built up at a time.
            decode = _given_item_decoder().decode
            for item in _list_decoder.decode(value):
                digest.update(_canonical_encoder.encode(list(_given(decode(item)))))
        else:
            digest.update(_canonical_encoder.encode(unpack(value)))
    return digest.digest()


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
            with memoryview(self._bytes) as view:  # a slice of the array itself would be one more copy
                body = bytes(view[4 : 4 + size])
            del self._bytes[: 4 + size]
            yield body


def nearest(word: str, words: Mapping[str, Any] | list[str]) -> list[str]:
    """Up to three of `words` that a person may have meant by `word`."""
    import difflib  # only refusals need it, and it costs a one-shot client some milliseconds

    return difflib.get_close_matches(word[:64], list(words), n=3)


def did_you_mean(word: str, words: Mapping[str, Any] | list[str]) -> str:
    """A question after those of `words` that a person may have meant, for a hint; empty: none is near."""
    near = nearest(word, words)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _decode(decoder: Decoder[T], body: bytes | Raw) -> T:
    """Decode with one kind of error for all that can be wrong with bytes."""
    try:
        return decoder.decode(body)
    except UnicodeDecodeError:  # msgspec before 0.23
        raise msgspec.DecodeError(_NO_UTF8) from None
    except msgspec.DecodeError as error:
        if str(error).startswith("Invalid UTF-8"):
            raise msgspec.DecodeError(_NO_UTF8) from None
        raise
    except RecursionError:
        raise msgspec.DecodeError(f"nested too deeply; at most {MAX_DEPTH} levels") from None


def _can_decode(decoder: Decoder[Any], body: bytes) -> bool:
    try:
        _decode(decoder, body)
    except msgspec.DecodeError:
        return False
    return True


def _as_list(values: Sequence[Raw]) -> bytes:
    """The list of up to 65 535 values that were packed; as such they are read in one call, which is far quicker."""
    return b"\xdc" + len(values).to_bytes(2, "big") + b"".join(values)


@cache
def _decoder(kind: type[S]) -> Decoder[S]:
    """The decoder of a struct, made when it is first needed: a client needs few."""
    return Decoder(kind)


def _decode_or_refuse(body: bytes, kind: type[S]) -> S:
    try:
        return _decode(_decoder(kind), body)
    except msgspec.DecodeError as error:
        raise _explain(error, body, kind) from None


def _unknown_version(version: int) -> Refused:
    return Refused(
        ErrorCode.UNSUPPORTED_VERSION,
        f"protocol version {version} is not spoken here",
        field="v",
        hint=f"supported: {VERSION}",
    )


def _unknown_op(op: str) -> Refused:
    hint = did_you_mean(op, REQUEST_TYPES) or f"ops: {', '.join(sorted(REQUEST_TYPES))}"
    return Refused(ErrorCode.UNKNOWN_OP, f"there is no op {op!r}", field="op", hint=hint)


def _explain(error: msgspec.DecodeError, body: bytes, kind: type[Struct]) -> Refused:
    """Turn msgspec's words into a refusal that names the field, quotes the value and says what would do."""
    text = str(error).removeprefix("MessagePack data is ")
    what, at, path = text.rpartition(" - at `$")
    what, field = (what, path.strip("`.")) if at else (text, "")
    quoted = "" if "enum value" in what else _quote(body, field)
    if "missing required field" in what:
        field = f"{field}.{what.split('`')[1]}".lstrip(".")
    message = f"{field or 'body'}: {what[:1].lower()}{what[1:]:.100}{quoted}"
    hint = "" if field else 'one msgpack map: {"v": 1, "id": ..., "op": ...}'
    if "matching regex" in what:  # which is nothing for people, and only job ids have one
        message, hint = f"{field}: expected a job id{quoted}", JOB_ID_HINT
    if choices := _choices(kind, field):
        hint = f"one of: {', '.join(choices)}"
    return Refused(ErrorCode.BAD_REQUEST, message, field=field, hint=hint)


def _quote(body: bytes, field: str) -> str:
    """The offending value, shortened, where it is cheap to find and says more than its type."""
    if len(body) > QUOTABLE or not field:
        return ""
    try:
        value = _decode(_any_decoder, body)
        for step in re.findall(r"[^.\[\]]+", field):
            value = value[int(step) if step.isdigit() else step]
    except (msgspec.DecodeError, KeyError, IndexError, TypeError):
        return ""
    return f" ({value!r:.80})" if isinstance(value, str | int | float) else ""


def _choices(kind: type[Struct], field: str) -> list[str]:
    """What a field from a closed list would accept."""
    types = [info.type for info in msgspec.structs.fields(kind) if info.name == field.split("[")[0]]
    while types:
        hint = types.pop()
        if isinstance(hint, type) and issubclass(hint, Enum):
            return [str(member.value) for member in hint]
        if get_origin(hint) is Literal:
            return [str(choice) for choice in get_args(hint)]
        types += get_args(hint)
    return []


def _given(asked: Struct) -> Iterator[tuple[str, Any]]:
    """The fields that a map had, in the order of their names."""
    for name in asked.__struct_fields__:
        value = getattr(asked, name)
        if value is not UNSET:
            yield name, value


def _is_flat(body: bytes, request: Submit | Append) -> bool:
    """Whether all free-form values are small maps of plain values, which one pass over a small body sees soonest."""
    if len(body) > MAX_METADATA or (isinstance(request, Submit) and request.workflow is not UNSET):
        return False
    return _can_decode(_flat_decoder(), body)


def _check_free_forms(request: Submit | Append) -> Generator[None, None, None]:
    left = yield from _check_each(_forms_of_job(request), MAX_CONTAINERS)
    for start in range(0, len(request.items), FORMS_A_STEP):
        some = request.items[start : start + FORMS_A_STEP]
        given = [item.params for item in some if item.params is not UNSET]
        if len(given) <= left and _are_flat(given):
            left -= len(given)
        else:
            left = yield from _check_each(_forms_of_items(some, start), left)
        if len(some) == FORMS_A_STEP:
            yield


def _are_flat(values: list[Raw]) -> bool:
    """Whether parameters, together no more than those of one item may be, are all maps of plain values."""
    if sum(map(len, values)) > MAX_PARAMS:
        return False
    return _can_decode(_flat_maps_decoder(), _as_list(values))


def _check_each(forms: Iterator[tuple[str, Raw, int]], left: int) -> Generator[None, None, int]:
    """Check free-form values that may hold so many maps and lists in all; how many are left."""
    size = 0
    for field, value, max_bytes in forms:
        left -= _check_free_form(field, value, max_bytes)
        if left < 0:
            raise Refused(
                ErrorCode.TOO_LARGE,
                f"more than {MAX_CONTAINERS} maps and lists in params and metadata",
                field=field,
                hint="split the request",
            )
        size += len(value)
        if size >= BYTES_A_STEP:
            size = 0
            yield
    return left


def _forms_of_job(request: Submit | Append) -> Iterator[tuple[str, Raw, int]]:
    """The free-form values that were given beside the items: field, value, and the bytes that it may have."""
    if isinstance(request, Append):
        return
    if request.metadata is not UNSET:
        yield "metadata", request.metadata, MAX_METADATA
    if request.params is not UNSET:
        yield "params", request.params, MAX_PARAMS
    if request.workflow is not UNSET:
        yield "workflow", request.workflow, MAX_WORKFLOW


def _forms_of_items(items: list[ItemSpec], start: int) -> Iterator[tuple[str, Raw, int]]:
    """The same of items, of which the first has such an index."""
    for index, item in enumerate(items, start):
        if item.params is not UNSET:
            yield f"items[{index}].params", item.params, MAX_PARAMS


def _check_free_form(field: str, value: Raw, max_bytes: int) -> int:
    """A free-form value is a map of what JSON can say too, not too large and not too deep; its maps and lists."""
    size = memoryview(value).nbytes
    if size > max_bytes:
        raise Refused(ErrorCode.TOO_LARGE, f"{field} has {size} bytes", field=field, hint=f"at most {max_bytes} bytes")
    with suppress(msgspec.DecodeError):
        _decode(_flat_map_decoder(), value)
        return 1  # nearly all are like that
    try:
        level: list[_Container] = [_decode(_map_decoder, value)]
    except msgspec.DecodeError as error:
        raise _not_free_form(field, f"what can't be read: {error}") from None
    containers = 0
    for _ in range(MAX_DEPTH):
        containers += len(level)
        level = _inner_containers(level, field)
        if not level:
            return containers
    raise Refused(
        ErrorCode.BAD_REQUEST, f"{field} is nested too deeply", field=field, hint=f"at most {MAX_DEPTH} levels"
    )


def _inner_containers(level: list[_Container], field: str) -> list[_Container]:
    """The maps and lists that these maps and lists hold."""
    keys = [key for outer in level if isinstance(outer, dict) for key in outer]
    values = [value for outer in level for value in (outer.values() if isinstance(outer, dict) else outer)]
    kinds = {*map(type, values)}
    if strange := {*map(type, keys)} - {str} or kinds - _PLAIN:
        raise _not_free_form(field, strange.pop().__name__)
    if float in kinds and not all(math.isfinite(value) for value in values if type(value) is float):
        raise _not_free_form(field, "a number that is not finite")
    return [value for value in values if type(value) in _CONTAINERS] if kinds & _CONTAINERS else []


def _not_free_form(field: str, what: str) -> Refused:
    hint = "a map with text keys; text, finite numbers, true, false, nil, lists and maps as values"
    return Refused(ErrorCode.BAD_REQUEST, f"{field} holds {what}", field=field, hint=hint)
