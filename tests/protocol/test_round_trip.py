"""Every message that we can make is read back as it was, by our codec and by the reference."""

from collections.abc import Callable
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.protocol.strategies import messages

from stoker_protocol import codec
from stoker_protocol.events import AnyEvent
from stoker_protocol.replies import AnyReply
from stoker_protocol.requests import AnyRequest
from stoker_protocol.worker import AnyCommand, AnySay

DECODERS: list[tuple[Any, Callable[[bytes], Struct]]] = [
    (AnyRequest, codec.decode_request),
    (AnyReply, codec.decode_reply),
    (AnyEvent, codec.decode_event),
    (AnyCommand, codec.decode_command),
    (AnySay, codec.decode_say),
]
CASES = [(kind, decode) for union, decode in DECODERS for kind in get_args(union)]


@pytest.mark.parametrize(("kind", "decode"), CASES, ids=lambda case: case.__name__)
@given(data=st.data())
@settings(max_examples=20)
def test_round_trip(kind: type[Struct], decode: Callable[[bytes], Struct], data: st.DataObject) -> None:
    """A message within its bounds comes back equal to what was sent, and is one map to the reference implementation."""
    message = data.draw(messages(kind))
    body = codec.encode(message)
    assert decode(body) == message
    assert isinstance(msgpack.unpackb(body), dict)
