"""Whatever bytes arrive, the codec answers with a message or a typed error, soon and without building them up."""

import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden.generate import HERE, as_sent, packed
from tests.protocol.strategies import json_values

from stoker_protocol import codec
from stoker_protocol.codec import MAX_BODY
from stoker_protocol.errors import Refused
from stoker_protocol.requests import AnyRequest, Append, Submit

GOLDEN = [path.read_bytes() for path in sorted(HERE.glob("*/*.msgpack"))]
PATHS = sorted((HERE / "requests").glob("*.json"))
REQUESTS = [as_sent(path) for path in PATHS]
HEADERS = [bytes([first]) for first in (0x00, 0x80, 0x91, 0xA1, *range(0xC0, 0xE0), 0xFF)]
"""First bytes of each kind of msgpack value."""
SUBMIT: dict[str, Any] = {"v": 1, "id": "c1-7", "op": "submit", "job_id": "dragons", "items": [{}]}

wild_values = st.recursive(
    json_values
    | st.binary(max_size=8)
    | st.floats()
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4))
    | st.builds(msgpack.Timestamp, st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.integers(-9, 9) | st.text() | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)

wild_items = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(["params", "custom_id", "color"], wild_values)), max_size=3
)


@st.composite
def mangled(draw: st.DrawFn, bodies: list[bytes]) -> bytes:
    """One of these messages in which some bytes were changed, lost or doubled."""
    body = bytearray(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(start + 4, len(body))))
        body[start:end] = draw(st.sampled_from(HEADERS) | st.binary(max_size=4) | st.just(bytes(body[start:end] * 2)))
    return bytes(body)


@st.composite
def tampered(draw: st.DrawFn) -> bytes:
    """A golden request with something else in some of its fields."""
    request = dict(draw(st.sampled_from(REQUESTS)))
    for field in draw(st.lists(st.sampled_from(sorted(request)), max_size=3)):
        request[field] = draw(wild_values)
    return packed(request)


@given(st.binary(max_size=64) | mangled([packed(request) for request in REQUESTS]) | tampered())
@settings(max_examples=1000)
def test_a_request_is_decoded_or_refused(body: bytes) -> None:
    """Any bytes are a request or refused with a reason in a few words, and a request is sound in all its parts."""
    assert_sound_or_refused(body)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
@given(data=st.data())
@settings(max_examples=50)
def test_each_request_with_wild_fields(path: Path, data: st.DataObject) -> None:
    """Whatever a request has in its fields, one or several, it is refused with a reason or sound in all its parts."""
    request = as_sent(path)
    fields = data.draw(st.lists(st.sampled_from([*sorted(request), "color"]), min_size=1, max_size=3, unique=True))
    wild = {field: data.draw(wild_values | wild_items if field == "items" else wild_values) for field in fields}
    assert_sound_or_refused(packed({**request, **wild}))


def assert_sound_or_refused(body: bytes) -> None:
    """A body is a request that all rooms can work with and that is encoded as it was, or refused in a few words."""
    request_id = codec.request_id_of(body)
    outcome = decoded_or_refused(body)
    if isinstance(outcome, Refused):
        assert 0 < len(outcome.message) < 300
        assert len(outcome.field) + len(outcome.hint) < 300
    else:
        assert isinstance(outcome, get_args(AnyRequest))
        assert outcome.id == request_id
        encoded = codec.encode(outcome)
        assert codec.decode_request(encoded) == outcome
        assert codec.encode(codec.decode_request(encoded)) == encoded
        if isinstance(outcome, Submit | Append):
            assert_readable(outcome)
        if isinstance(outcome, Submit):
            assert len(codec.fingerprint(body)) == 32


def decoded_or_refused(body: bytes) -> AnyRequest | Refused:
    """What the codec makes of a body; any other exception than its own fails the test."""
    try:
        return codec.decode_request(body)
    except Refused as refused:
        return refused


def assert_readable(request: Submit | Append) -> None:
    """What later rooms rely on: the free-form values can be read and shown."""
    of_job = (request.metadata, request.params) if isinstance(request, Submit) else ()
    for value in (*of_job, *(item.params for item in request.items)):
        json.dumps(codec.unpack_map(value), allow_nan=False)


@pytest.mark.parametrize(
    "decode",
    [codec.decode_reply, codec.decode_event, codec.decode_command, codec.decode_say, codec.unpack, codec.unpack_map],
)
@given(body=st.binary(max_size=64) | mangled(GOLDEN))
@settings(max_examples=300)
def test_other_messages_are_decoded_or_refused(decode: Callable[[bytes], object], body: bytes) -> None:
    """Any bytes from a daemon or a worker are a message or one kind of error."""
    with suppress(msgspec.DecodeError):
        decode(body)


EIGHT_MILLION = (8_000_000).to_bytes(4, "big")
NONSENSE = {
    "a list of lists, half a gigabyte if built up": b"\xdd" + EIGHT_MILLION + b"\x90" * 8_000_000,
    "a map of four million": b"\xdf" + (4_000_000).to_bytes(4, "big") + b"\xa0\xc0" * 4_000_000,
    "a deep list": b"\x91" * 8_000_000 + b"\xc0",
    "bytes": b"\xc6" + EIGHT_MILLION + b"\0" * 8_000_000,
    "an extension": b"\xc9" + EIGHT_MILLION + b"\x2a" + b"\0" * 8_000_000,
    "a list that says it is longer": b"\xdd\xff\xff\xff\xff" + b"\x90" * 8_000_000,
    "a map that says it is longer": b"\xdf\xff\xff\xff\xff" + b"\xa0\x90" * 4_000_000,
    "text that says it is longer": b"\xdb\xff\xff\xff\xff" + b"x" * 8_000_000,
    "no msgpack": b"\xc1" * 8_000_000,
}
PLACES: dict[str, dict[str, Any]] = {
    "version": {"v": b"?"},
    "id": {"id": b"?"},
    "op": {"op": b"?"},
    "text": {"name": b"?"},
    "job id": {"job_id": b"?"},
    "closed list": {"priority": b"?"},
    "number": {"batch_size": b"?"},
    "duration": {"timeout_s": b"?"},
    "truth value": {"dry_run": b"?"},
    "metadata": {"metadata": b"?"},
    "items": {"items": b"?"},
    "item": {"items": [b"?"]},
    "params": {"items": [{"params": b"?"}]},
    "custom id": {"items": [{"custom_id": b"?"}]},
    "unknown": {"color": b"?"},
    "unknown in an item": {"items": [{"color": b"?"}]},
    "appended items": {"op": "append", "at": 1, "items": b"?"},
    "appended params": {"op": "append", "at": 1, "items": [{"params": b"?"}]},
    "place": {"op": "append", "at": b"?"},
    "window": {"op": "stats", "window_s": b"?"},
    "age": {"op": "clean_outputs", "older_than_ms": b"?"},
    "job ids": {"op": "cancel", "job_ids": b"?"},
    "states": {"op": "jobs", "states": b"?"},
}


WELL_FORMED = [*list(NONSENSE)[:2], "bytes", "an extension"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_eight_megabytes_of_nonsense_are_not_built_up(nonsense: str, place: str) -> None:
    """A body full of nonsense, wherever it is, is dealt with in less than a further MiB of memory."""
    head, _, tail = packed({**SUBMIT, **PLACES[place]}).partition(packed(b"?"))
    body = head + NONSENSE[nonsense] + tail
    assert len(body) < MAX_BODY
    tracemalloc.start()
    outcome = decoded_or_refused(body)
    codec.request_id_of(body)
    if isinstance(outcome, Submit):
        codec.fingerprint(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    if place.startswith("unknown") and nonsense in WELL_FORMED:
        assert isinstance(outcome, Submit)
    elif place != "item":
        assert isinstance(outcome, Refused)
