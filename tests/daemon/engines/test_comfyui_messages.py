"""What a ComfyUI server says on its stream is understood as it was recorded, and nothing it may say is too much."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.comfyui.recorded import lines

from stoker_daemon.engines.comfyui.messages import Began, Cached, Ended, Entered, Message, Previewed, Stepped, parse

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = ("execution_start", "execution_cached", "executing", "progress")
FIELDS = ("prompt_id", "node", "display_node", "nodes", "value", "max")
JPEG = b"\xff\xd8\xff\xe0 an image"


def said(kind: str, **data: Any) -> str:
    """A frame of text."""
    return json.dumps({"type": kind, "data": data})


def heard(recording: str) -> list[Message]:
    """All messages in the texts of a recording."""
    texts = (json.dumps(line["msg"]) for line in lines(recording, "ws_recv") if "msg" in line)
    return [message for message in map(parse, texts) if message is not None]


@pytest.mark.parametrize("version", ["", "v0.3.64_"])
def test_a_recorded_run(version: str) -> None:
    """A prompt begins, enters its nodes, steps as its sampler does and ends, once each and in this order."""
    messages = heard(f"{version}03_sd15_ksampler.jsonl")
    first = messages[0].prompt_id
    mine = [message for message in messages if message.prompt_id == first]
    assert isinstance(mine[0], Began)
    assert mine[1] == Cached(first, [])
    assert mine[-1] == Ended(first)
    assert {message.node for message in mine if isinstance(message, Entered)} >= {"3", "4", "9"}
    steps = [message for message in mine if isinstance(message, Stepped)]
    assert [step.value for step in steps] == [n + 1.0 for n in range(int(steps[0].maximum))]


def test_every_recorded_text_is_understood_or_left() -> None:
    """Each kind that matters is understood wherever it was recorded, except what names no prompt."""
    for line in lines("*.jsonl", "ws_recv"):
        message: Any = line.get("msg")
        if message and message["type"] in KINDS:
            understood = parse(json.dumps(message))
            assert (understood is not None) == bool(message["data"].get("prompt_id"))


def test_expanded_nodes_count_as_theirs() -> None:
    """A node that another one expanded to is entered under the name of that one."""
    entered = {message.node for message in heard("20_text_block_expand.jsonl") if isinstance(message, Entered)}
    assert entered
    assert not any("." in node for node in entered)


def test_after_a_reconnect() -> None:
    """What is told right after a connection names no prompt, and says nothing."""
    assert parse(said("executing", node="3")) is None


def test_previews() -> None:
    """Images of both kinds of frames come with their type, and the newer kind with its prompt."""
    place = json.dumps({"prompt_id": "p", "node_id": "3", "image_type": "image/png"}).encode()
    head = (4).to_bytes(4, "big") + len(place).to_bytes(4, "big")
    assert parse(head + place + JPEG) == Previewed("p", "image/png", JPEG)
    assert parse(bytes([0, 0, 0, 1, 0, 0, 0, 1]) + JPEG) == Previewed("", "image/jpeg", JPEG)
    assert parse(bytes([0, 0, 0, 1, 0, 0, 0, 2]) + JPEG) == Previewed("", "image/png", JPEG)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0\4",
        bytes([0, 0, 0, 1, 0, 0, 0, 9]) + JPEG,
        bytes([0, 0, 0, 3, 0, 0, 0, 1]) + b"1text",
        bytes([0, 0, 0, 4, 255, 255, 255, 255]) + b"{}",
        bytes([0, 0, 0, 4, 0, 0, 0, 2]) + b"\xff\xff" + JPEG,
        '{"type": "progress", "data": {"prompt_id": "p", "value": 1e999, "max": 1}}',
        '{"type": "executing", "data": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "null",
    ],
)
def test_broken_frames(frame: str | bytes) -> None:
    """A frame that can't be one is left out."""
    assert parse(frame) is None


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_fields(kind: str, data: dict[str, Any]) -> None:
    """No value of any field raises anything, and what is understood names its prompt."""
    message = parse(json.dumps({"type": kind, "data": data}))
    assert message is None or message.prompt_id


@given(st.text() | st.binary() | st.binary().map(lambda tail: b"\0\0\0\4\0\0\0\2{}" + tail))
def test_any_frame(frame: str | bytes) -> None:
    """No frame at all raises anything."""
    assert parse(frame) is None or isinstance(frame, bytes)
