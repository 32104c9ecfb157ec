"""A watch across kill -9 of a real daemon tells every event of its log, once and in order."""

import pytest
from tests.clients.both import Connect, both
from tests.clients.watching import kinds, seqs
from tests.fakes.daemon import PATIENCE_S

from stoker_client import Client
from stoker_client.operations import watching
from stoker_client.operations.watching import Update
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.events import AnyEvent, JobEvent
from stoker_protocol.jobs import JobState
from stoker_protocol.replies import EventsPage
from stoker_protocol.requests import EventsSince

ITEMS = 4


@both
@pytest.mark.parametrize("is_named", [True, False], ids=["one job", "everything"])
def test_killed_and_back_at_once(stokerd: PrivateDaemon, connect: Connect, is_named: bool) -> None:
    """We expect that a watch during which the daemon is killed and restarted at once tells all that its log tells."""
    with connect(stokerd.control) as client:
        job_id = _submit(client)
        told: list[Update] = []
        for update in client.watch([job_id] if is_named else None, progress=False):
            told.append(update)
            if len(seqs(told)) == 2 and update.event is not None:
                stokerd.restart()
            if update.job is not None and update.job.state.is_final:
                break
        assert kinds(told).count("away") == 0
        _assert_complete(told, _log(stokerd, f"job/{job_id}/" if is_named else ""))
        assert told[-1].job == client.job(job_id)


@both
def test_killed_and_away_for_a_while(stokerd: PrivateDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that a watch says when the daemon is away and when it is back, and misses nothing between."""
    monkeypatch.setattr(watching, "SILENCE_S", 1.5)
    with connect(stokerd.control, timeout_s=1.0) as client:
        job_id = _submit(client)
        told: list[Update] = []
        for update in client.watch([job_id], progress=False):
            told.append(update)
            if len(seqs(told)) == 2 and "away" not in kinds(told):
                stokerd.kill()
            if update.link == "away":
                stokerd.start()
        assert [word for word in kinds(told) if word in ("away", "back")] == ["away", "back"]
        _assert_complete(told, _log(stokerd, f"job/{job_id}/"))


@both
def test_waiting_over_a_kill(stokerd: PrivateDaemon, connect: Connect) -> None:
    """We expect that each item of a job has exactly one outcome although its daemon was killed, as `wait` tells."""
    with connect(stokerd.control) as client:
        job_id = _submit(client)
        stokerd.restart()
        job = client.wait(job_id, PATIENCE_S)
        items = list(client.items(job_id))
    assert (job.state, job.items.succeeded) == (JobState.SUCCEEDED, ITEMS)
    assert [(item.state, len(item.artifacts)) for item in items] == [("succeeded", 1)] * ITEMS


def _submit(client: Client) -> str:
    """A job of some runs that take a moment each."""
    return client.submit(["a dragon"] * ITEMS, engine="slow", batch_size=1, params={"steps": 3}).job_id


def _assert_complete(told: list[Update], log: list[AnyEvent]) -> None:
    """What was told is the log, from the state that the watch began with to the last event told."""
    events = [update.event for update in told if update.event is not None and update.event.seq is not None]
    log = log[: log.index(events[-1]) + 1]
    before, after = log[: -len(events)], log[-len(events) :]
    assert after == events
    assert told[0].job == [event.job for event in before if isinstance(event, JobEvent)][-1]


def _log(daemon: PrivateDaemon, topic: str) -> list[AnyEvent]:
    with Client(daemon.control) as client:
        request = EventsSince(id="log", seq=0, topic=topic, limit=1000)
        page = client._run(client._caller.call(request, EventsPage))
    return [codec.decode_event(published.body) for published in page.events]
