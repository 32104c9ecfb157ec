"""The frames on a worker's byte stream, however the stream is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from tests.protocol.strategies import messages

from stoker_protocol.codec import MAX_WORKER_FRAME, FrameBuffer, decode_say, frame
from stoker_protocol.worker import Loaded, Produced, Unloaded

says = st.one_of(messages(Loaded), messages(Unloaded), messages(Produced))


@given(st.lists(says, max_size=6), st.lists(st.floats(0, 1), max_size=20))
def test_any_cut_gives_the_same_messages(sent: list[Struct], places: list[float]) -> None:
    """A stream of frames gives back its messages in order, each once, wherever it is cut."""
    stream = b"".join(frame(message) for message in sent)
    cuts = [0, *sorted(round(place * len(stream)) for place in places), len(stream)]
    buffer = FrameBuffer()
    received = [body for start, end in pairwise(cuts) for body in buffer.feed(stream[start:end])]
    assert [decode_say(body) for body in received] == sent


def test_nothing_comes_before_the_last_byte() -> None:
    """A frame is given out with its last byte and not before."""
    data, buffer = frame(Unloaded()), FrameBuffer()
    assert [list(buffer.feed(data[i : i + 1])) for i in range(len(data))] == [[]] * (len(data) - 1) + [[data[4:]]]


def test_another_stream_is_noticed() -> None:
    """A length beyond the largest frame is an error at once, so that no one waits for a gigabyte."""
    largest = MAX_WORKER_FRAME.to_bytes(4, "big")
    assert list(FrameBuffer().feed(largest)) == []
    with pytest.raises(ValueError, match="a frame of 268435457 bytes"):
        list(FrameBuffer().feed((MAX_WORKER_FRAME + 1).to_bytes(4, "big")))
