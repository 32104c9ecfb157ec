"""One request gets one reply or one error, whatever is lost, doubled, late or strange."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.clients.both import Connect, both
from tests.fakes.daemon import FakeDaemon

from stoker_client.errors import BadReply, BadRequest, DaemonUnavailable, Internal, InvalidState, QueueFull, TooLarge
from stoker_protocol.codec import MAX_BODY
from stoker_protocol.errors import ErrorCode, Refused

NOBODY = "tcp://127.0.0.1:9"
"""The port for discarding, where nobody listens."""


@both
@pytest.mark.parametrize("lost", [1, 2])
def test_lost_replies(daemon: FakeDaemon, connect: Connect, lost: int) -> None:
    """We expect that a submit whose reply is lost is sent again byte for byte, and is one job."""
    daemon.lose_replies("submit", lost)
    with connect(daemon.control, timeout_s=1.0) as client:
        assert client.submit(["a dragon"], job_id="a").items == 1
        assert [job.job_id for job in client.jobs()] == ["a"]
    assert len(daemon.asked("submit")) > lost
    assert len(set(daemon.asked("submit"))) == 1


@both
def test_all_replies_lost(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that after three tries the daemon counts as unavailable, and that the next call is a new chance."""
    daemon.lose_replies("ping", 3)
    with connect(daemon.control, timeout_s=0.6) as client:
        with pytest.raises(DaemonUnavailable, match=daemon.control) as caught:
            client.ping()
        assert client.ping() >= 0
    assert len(daemon.asked("ping")) > 3
    assert (caught.value.exit_code, "stokerd" in caught.value.hint) == (5, True)


@both
def test_nobody_there(connect: Connect) -> None:
    """We expect that an endpoint where nobody listens is unavailable when the time is over."""
    with connect(NOBODY, timeout_s=0.1) as client, pytest.raises(DaemonUnavailable, match=NOBODY):
        client.hello()


@both
def test_nothing_is_sent_after_giving_up(connect: Connect) -> None:
    """We expect that what could not be asked in time is not asked when the daemon appears later."""
    with FakeDaemon() as daemon:
        daemon.stop()
        with connect(daemon.control, timeout_s=0.1) as client:
            with pytest.raises(DaemonUnavailable):
                client.submit(["a dragon"], job_id="a")
            daemon.start()
            with connect(daemon.control) as other:
                other.ping()
            assert client.ping() >= 0
        assert daemon.world.jobs == {}


@both
def test_doubles(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that the second reply to a question is not taken for the reply to the next one."""
    for job_id in "abc":
        daemon.add_job(job_id)
    daemon.answer_twice("job", times=3)
    with connect(daemon.control) as client:
        assert [client.job(job_id).job_id for job_id in "abc"] == ["a", "b", "c"]
    assert len(daemon.asked("job")) == 3


@both
def test_a_late_reply(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that a reply which comes after its question was repeated disturbs nobody."""
    daemon.add_job("a")
    daemon.add_job("b")
    daemon.hold_replies("job")
    with connect(daemon.control, timeout_s=1.0) as client:
        assert client.job("a").job_id == "a"
        assert client.job("b").job_id == "b"
    assert len(daemon.asked("job")) > 2


@both
@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa2id\xc0"])
def test_garbage(daemon: FakeDaemon, connect: Connect, garbage: bytes) -> None:
    """We expect that what names no request is passed over, and the question asked again."""
    daemon.answer_instead("ping", garbage)
    with connect(daemon.control, timeout_s=0.6) as client:
        assert client.ping() >= 0
    assert len(daemon.asked("ping")) > 1


@both
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"re": "from_the_future"}, "from_the_future"),
        ({"re": "welcome"}, "missing required field"),
        ({"re": "pong", "server_time_ms": 1}, "pong came in answer to hello"),
        ({}, "re"),
    ],
)
def test_strange_replies(daemon: FakeDaemon, connect: Connect, reply: Mapping[str, Any], words: str) -> None:
    """We expect that a reply which this version can't read, or which is no answer to the question, is a BadReply."""
    daemon.answer_instead("hello", reply)
    with connect(daemon.control) as client:
        with pytest.raises(BadReply, match=words):
            client.hello()
        assert client.hello().name == "local"


@both
def test_a_reason_from_a_newer_daemon(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that a refusal for a reason that this version does not know says what the daemon says."""
    reply = {"re": "error", "code": "moon_phase", "message": "not before full moon", "retryable": True, "more": [1]}
    daemon.answer_instead("ping", reply)
    with connect(daemon.control) as client, pytest.raises(Internal, match="not before full moon"):
        client.ping()


@both
def test_a_refusal_in_full(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that all that the daemon says about a refusal arrives, and that it is asked once only."""
    refused = Refused(ErrorCode.QUEUE_FULL, "too many", field="items", hint="wait", retry_after_s=2.5)
    daemon.refuse("submit", refused)
    with connect(daemon.control) as client, pytest.raises(QueueFull) as caught:
        client.submit(["a dragon"])
    error = caught.value
    assert (error.code, error.message, error.field, error.hint) == ("queue_full", "too many", "items", "wait")
    assert (error.retry_after_s, str(error)) == (2.5, "too many (wait)")
    assert len(daemon.asked("submit")) == 1


@both
def test_too_large(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that a request which the daemon would not even read is refused before it is sent."""
    with connect(daemon.control) as client, pytest.raises(TooLarge, match="split the job"):
        client.submit(["x" * MAX_BODY])
    assert daemon.asked("submit") == []


@both
@pytest.mark.parametrize(
    ("options", "field", "hint"),
    [
        ({"priority": "hgih"}, "priority", "urgent"),
        ({"on_interrupt": "shrug"}, "on_interrupt", "requeue"),
        ({"params": {"prompt": object()}}, "params", "text"),
        ({"metadata": {"n": 1 << 80}}, "metadata", "numbers"),
        ({"items": ["fine", {"promt": "a dragon"}]}, "items[1].promt", "custom_id"),
        ({"items": [{"params": {"a set"}}]}, "items[0].params", "maps"),
        ({"items": ["\udcff"]}, "items[0].params", "text"),
        ({"name": "\udcff"}, "", ""),
    ],
)
def test_what_can_not_be_said(
    daemon: FakeDaemon, connect: Connect, options: dict[str, Any], field: str, hint: str
) -> None:
    """We expect that values which can't be sent, or are none of a closed list, are refused by field, with a hint."""
    arguments: dict[str, Any] = {"items": ["a dragon"], **options}
    with connect(daemon.control) as client, pytest.raises(BadRequest) as caught:
        client.submit(**arguments)
    assert caught.value.field == field
    assert hint in caught.value.hint
    assert daemon.asked("submit") == []


@both
def test_states_that_there_are_not(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that asking for a state that there is not names those that there are."""
    with connect(daemon.control) as client:
        with pytest.raises(BadRequest, match="one of: waiting, queued"):
            list(client.jobs(["asleep"]))
        with pytest.raises(BadRequest, match="one of: pending, running"):
            list(client.items("a", ["asleep"]))
        with pytest.raises(BadRequest, match="'asleep'"):
            client.retry("a", ["asleep"])


@both
@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1", "carrier-pigeon://home"])
def test_no_endpoint(connect: Connect, endpoint: str) -> None:
    """We expect that what can't be an endpoint is refused, each time, with an example of one."""
    with connect(endpoint) as client:
        for _ in range(2):
            with pytest.raises(BadRequest, match="for example tcp") as caught:
                client.ping()
            assert caught.value.field == "endpoint"


@both
def test_a_closed_client(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that a closed client says so."""
    with connect(daemon.control) as client:
        client.ping()
        client.close()
        with pytest.raises(InvalidState, match="closed"):
            client.ping()


@both
def test_the_endpoint_of_the_environment(daemon: FakeDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that without an endpoint the environment's is used."""
    monkeypatch.setenv("STOKER_ENDPOINT", daemon.control)
    with connect() as client:
        assert client.ping() >= 0
