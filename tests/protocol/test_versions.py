"""What happens when one side speaks a later version."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
import zmq
from msgspec import Raw
from tests.fakes.daemon import FakeDaemon
from tests.golden.generate import HERE, as_sent, packed

from stoker_client import Client
from stoker_client.errors import UnsupportedVersion
from stoker_protocol import codec
from stoker_protocol.events import DAEMON_TOPIC, DaemonStarted
from stoker_protocol.replies import PublishedEvent
from stoker_protocol.requests import Ping

FREE = {
    "params",
    "metadata",
    "workflow",
    "limits",
    "outcomes",
    "failures",
    "rates",
    "requests",
    "replies",
    "events",
    "definitions",
}
"""Maps whose keys are data and not fields."""


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    """A fake daemon that ticks often."""
    with FakeDaemon() as running:
        yield running


def golden(folder: str) -> list[Any]:
    """The golden messages of a folder."""
    return [pytest.param(path, id=path.stem) for path in sorted((HERE / folder).glob("*.json"))]


@pytest.mark.parametrize("path", golden("replies"))
def test_replies_of_a_later_minor_version(path: Path) -> None:
    """We expect a client of 1.0 to read a reply with further fields, at every level, as if they were not there."""
    plain, later = packed(as_sent(path)), packed(_with_more(as_sent(path)))
    assert later != plain
    assert codec.encode(codec.decode_reply(later)) == codec.encode(codec.decode_reply(plain))


@pytest.mark.parametrize("path", golden("events"))
def test_events_of_a_later_minor_version(path: Path) -> None:
    """We expect a client of 1.0 to read an event with further fields, at every level, as if they were not there."""
    plain, later = packed(as_sent(path)), packed(_with_more(as_sent(path)))
    assert codec.encode(codec.decode_event(later)) == codec.encode(codec.decode_event(plain))


@pytest.mark.parametrize("path", golden("requests"))
def test_requests_of_a_later_minor_version(path: Path) -> None:
    """We expect a daemon of 1.0 to take a request with further fields for the same request."""
    plain, later = packed(as_sent(path)), packed({**as_sent(path), "from_the_future": [{"a": None}]})
    assert codec.encode(codec.decode_request(later)) == codec.encode(codec.decode_request(plain))


def test_a_later_kind_of_event_makes_no_hole(daemon: FakeDaemon) -> None:
    """We expect a watch to pass over a lifecycle event of a kind that it does not know, and to tell what follows."""
    with Client(daemon.control) as client:
        daemon.add_job("j")
        updates = client.watch()
        assert next(updates).job is not None
        daemon.drop_events()  # as it is
        daemon.tell(DAEMON_TOPIC, DaemonStarted(version="1.1", boot="b", interrupted=0))
        strange = {**cast("dict[str, Any]", msgpack.unpackb(daemon.world.log[-1].body)), "type": "from_the_future"}
        daemon.world.log[-1] = PublishedEvent("daemon/from_the_future", Raw(packed(strange)))
        daemon.publish(b"daemon/from_the_future", packed(strange))
        daemon.finish("j")
        assert next(update.job.state for update in updates if update.job and update.event) == "succeeded"


def test_an_unknown_major_version_is_told(daemon: FakeDaemon) -> None:
    """We expect a client of version 1 to hear from a daemon of version 2 what it supports."""
    refusal = {"v": 2, "re": "error", "code": "unsupported_version", "message": "version 1 is not spoken here"}
    daemon.answer_instead("ping", {**refusal, "retryable": False, "hint": "supported: 2"})
    with Client(daemon.control) as client, pytest.raises(UnsupportedVersion, match="supported: 2"):
        client.ping()


def test_a_request_of_an_unknown_major_version(daemon: FakeDaemon) -> None:
    """We expect it to be refused with its id and what is supported, whatever else it holds."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect(daemon.control)
        socket.send(packed({"id": "mine", "v": 2, "op": "teleport", "where": {}}))
        reply = cast("dict[str, Any]", msgpack.unpackb(socket.recv()))
        assert (reply["id"], reply["code"], reply["hint"]) == ("mine", "unsupported_version", "supported: 1")
        socket.send(codec.encode(Ping(id="still")))
        assert cast("dict[str, Any]", msgpack.unpackb(socket.recv()))["re"] == "pong"


def _with_more(value: Any) -> Any:
    """With a further field in each map that has fields."""
    match value:
        case dict():
            fields = cast("dict[str, Any]", value)
            more = {key: part if key in FREE else _with_more(part) for key, part in fields.items()}
            return {**more, "from_the_future": {"new": [1, None]}}
        case list():
            return [_with_more(part) for part in cast("list[Any]", value)]
        case _:
            return value
