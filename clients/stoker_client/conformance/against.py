"""Plays the client against a server, and checks what it answers: `stoker conformance --against`."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stoker_client.conformance.checking import Finding, NotSo, expect
from stoker_client.conformance.wire import Wire, pack
from stoker_client.errors import StokerError
from stoker_protocol import codec
from stoker_protocol.events import JobEvent, Tick
from stoker_protocol.jobs import Job
from stoker_protocol.replies import (
    ArtifactBytes,
    ArtifactsPage,
    Cancelled,
    Description,
    EventsPage,
    HealthReport,
    ItemsPage,
    JobReply,
    Pong,
    SnapshotPage,
    Submitted,
    Welcome,
)
from stoker_protocol.requests import MAX_READ

IN_FLIGHT = 50
Params = Mapping[str, Any]


def play(endpoint: str, patience_s: float, params: Params, *, make: bool) -> Iterator[Finding]:
    """Check after check, each as it is done; with `make` also those that let the server make something of `params`."""
    checks = [*_TALK, *(_WORK if make else ())]
    with Wire(endpoint, patience_s) as wire:
        for check in checks:
            expected = " ".join((check.__doc__ or "").split())
            try:
                check(wire, params)
            except (NotSo, StokerError) as error:
                yield Finding(expected, ok=False, seen=str(error))
                if check is _hello:
                    return  # nobody is there
            else:
                yield Finding(expected, ok=True)


def _hello(wire: Wire, _params: Params) -> None:
    """`hello` says who answers, that version 1 is spoken, and where events are."""
    welcome = wire.ask("hello", Welcome)
    expect(codec.VERSION in welcome.versions, f"it speaks {welcome.versions}")
    expect(welcome.daemon.instance_id and welcome.daemon.boot, "it has no instance_id or no boot")
    expect(welcome.events, "it offers no events")


def _ping(wire: Wire, _params: Params) -> None:
    """`ping` and `health` are answered, each under the id of its request."""
    wire.ask("ping", Pong)
    wire.ask("health", HealthReport)


def _envelope(wire: Wire, _params: Params) -> None:
    """Frames in front of the empty one come back in front of the reply."""
    wire.exchange(pack({"v": 1, "id": "e", "op": "ping"}), b"a correlation id")


def _in_flight(wire: Wire, _params: Params) -> None:
    """Many requests may be under way on one connection, and each has one reply."""
    ids = [wire.new_id() for _ in range(IN_FLIGHT)]
    for request_id in ids:
        wire.send(b"", pack({"v": 1, "id": request_id, "op": "ping"}))
    came = [codec.request_id_of(frames[-1]) for _ in ids if (frames := wire.receive()) is not None]
    expect(sorted(came) == sorted(ids), f"{len(came)} replies to {IN_FLIGHT} requests, for {len({*came})} ids")
    expect(wire.receive(patience_s=0.2) is None, "a reply too many")


def _unknown_fields(wire: Wire, _params: Params) -> None:
    """Fields that are not known are ignored."""
    wire.ask("ping", Pong, from_the_future={"a": [1, None]})


def _unknown_op(wire: Wire, _params: Params) -> None:
    """An op that is not known is `unknown_op`, under the id of its request."""
    refusal = wire.refusal({"v": 1, "id": "mine", "op": "pingg"})
    expect((refusal.code, refusal.id) == ("unknown_op", "mine"), f"{refusal.code} for {refusal.id!r}")


def _other_version(wire: Wire, _params: Params) -> None:
    """Another version is `unsupported_version`, whatever else the request has."""
    refusal = wire.refusal({"op": "teleport", "id": "mine", "v": 99})
    expect((refusal.code, refusal.id) == ("unsupported_version", "mine"), f"{refusal.code} for {refusal.id!r}")


def _garbage(wire: Wire, _params: Params) -> None:
    """What is not one map is refused as `bad_request`, and the connection goes on."""
    for body in (b"", b"\xc1", b"\x93\1\2\3", b"\xdf\xff\xff\xff\xff", b"hello"):
        refusal = wire.refusal(body)
        expect(refusal.code == "bad_request", f"{body!r} is {refusal.code}")
    wire.ask("ping", Pong)


def _names_the_field(wire: Wire, _params: Params) -> None:
    """A refusal names the field that is wrong."""
    refusal = wire.refusal({"v": 1, "id": "f", "op": "items", "job_id": "j", "limit": "many"})
    expect((refusal.code, refusal.field) == ("bad_request", "limit"), f"{refusal.code} of {refusal.field!r}")


def _too_large(wire: Wire, _params: Params) -> None:
    """A body of more than 8 MiB is `too_large`."""
    refusal = wire.refusal(pack({"v": 1, "id": "l", "op": "ping", "more": bytes(codec.MAX_BODY)}))
    expect(refusal.code == "too_large", str(refusal.code))


def _too_deep(wire: Wire, params: Params) -> None:
    """Parameters of more than 32 levels are refused as `bad_request`."""
    nested: dict[str, Any] = {}
    for _ in range(codec.MAX_DEPTH):
        nested = {"in": nested}
    item = {"params": {**params, "deep": nested}}
    request = {"v": 1, "id": "d", "op": "submit", "job_id": wire.new_id("deep"), "items": [item], "dry_run": True}
    expect((code := wire.refusal(request).code) == "bad_request", str(code))


def _not_found(wire: Wire, _params: Params) -> None:
    """A job that is not there is `not_found`."""
    refusal = wire.refusal({"v": 1, "id": "n", "op": "job", "job_id": wire.new_id("nobody")})
    expect(refusal.code == "not_found", str(refusal.code))


def _describe(wire: Wire, _params: Params) -> None:
    """`describe` has a schema of each op, reply and event that this version knows."""
    described = wire.ask("describe", Description)
    missing = codec.REQUEST_TYPES.keys() - described.requests.keys()
    expect(not missing, f"there is none of {', '.join(sorted(missing))}")


def _sync_and_tick(wire: Wire, _params: Params) -> None:
    """A subscription of `sync/...` is answered, and ticks tell of the head, instance and boot that `hello` names."""
    daemon = wire.ask("hello", Welcome).daemon
    stream = wire.subscribe("daemon/")
    _, event = stream.next()
    while not isinstance(event, Tick):
        _, event = stream.next()
    expect(event.seq is None, "a tick is ephemeral, and has no seq")
    expect((event.instance_id, event.boot) == (daemon.instance_id, daemon.boot), f"{event.instance_id}, {event.boot}")
    expect(event.head >= 0, f"the head is {event.head}")


def _dry_run(wire: Wire, params: Params) -> None:
    """A submit with `dry_run` is answered and makes no job."""
    job_id = wire.new_id("dry")
    wire.ask("submit", Submitted, job_id=job_id, items=[{"params": params}], dry_run=True)
    refusal = wire.refusal({"v": 1, "id": "dry", "op": "job", "job_id": job_id})
    expect(refusal.code == "not_found", str(refusal.code))


def _submit_twice(wire: Wire, params: Params) -> None:
    """The same submit again is the same job with the same reply, and another under its id is a `conflict`."""
    job_id = wire.new_id("twice")
    first = wire.ask("submit", Submitted, job_id=job_id, items=[{"params": params}])
    second = wire.ask("submit", Submitted, items=[{"params": params}], job_id=job_id)
    expect(
        (first.job_id, first.items, first.model) == (second.job_id, second.items, second.model), "the replies differ"
    )
    another = {"v": 1, "id": "t", "op": "submit", "job_id": job_id, "items": [{"params": params}] * 2}
    expect((code := wire.refusal(another).code) == "conflict", str(code))
    wire.ask("cancel", Cancelled, job_ids=[job_id])


def _cancel_twice(wire: Wire, params: Params) -> None:
    """A cancel may be repeated, and the job ends."""
    job_id = wire.new_id("cancel")
    stream = wire.subscribe(f"job/{job_id}/", "daemon/")
    wire.ask("submit", Submitted, job_id=job_id, items=[{"params": params}])
    for _ in range(2):
        cancelled = wire.ask("cancel", Cancelled, job_ids=[job_id])
        expect([job.job_id for job in cancelled.jobs] == [job_id], f"{cancelled.jobs}")
    job = wire.ask("job", JobReply, job_id=job_id).job
    while not job.state.is_final:
        _, event = stream.next()
        job = event.job if isinstance(event, JobEvent) else job


def _follow(wire: Wire, params: Params) -> None:
    """The events of a job come in order, each with the seq before it on its topic, until the job has ended.

    `events_since` then has the same ones, byte by byte.
    """
    job_id = wire.new_id("follow")
    topic = f"job/{job_id}/"
    stream = wire.subscribe(topic)
    begin = wire.ask("snapshot", SnapshotPage, limit=1).seq
    wire.ask("submit", Submitted, job_id=job_id, items=[{"params": params}] * 2)
    before, job = 0, None
    while job is None or not job.state.is_final:
        where, event = stream.next()
        if isinstance(event, JobEvent):
            expect(where.startswith(topic), f"an event of {topic} on {where}")
            expect(event.prev == before, f"the event {event.seq} names {event.prev} as the one before, not {before}")
            before, job = event.seq or 0, event.job
    page = wire.ask("events_since", EventsPage, seq=begin, topic=topic, limit=1000)
    replayed = [(one.topic, bytes(one.body)) for one in page.events]
    expect(replayed == stream.bodies, f"{len(replayed)} events instead of the {len(stream.bodies)} that came")
    _look_at(wire, job)


def _look_at(wire: Wire, job: Job) -> None:
    """What the last event said is what is asked for, and files are what their hashes say."""
    asked = wire.ask("job", JobReply, job_id=job.job_id).job
    expect((asked.state, asked.items) == (job.state, job.items), f"`job` says {asked.state}, {asked.items}")
    expect(job.state == "succeeded", f"the job {job.state}: {job.error.message if job.error else ''}")
    items = wire.ask("items", ItemsPage, job_id=job.job_id).items
    expect([item.index for item in items] == list(range(job.items.total)), f"the items are {items}")
    for artifact in wire.ask("artifacts", ArtifactsPage, job_id=job.job_id).artifacts:
        data = b""
        while len(data) < artifact.bytes:
            fields = {"artifact_id": artifact.artifact_id, "offset": len(data), "length": MAX_READ}
            part = wire.ask("read_artifact", ArtifactBytes, **fields).data
            expect(part, f"{artifact.path} ends after {len(data)} of {artifact.bytes} bytes")
            data += part
        expect(hashlib.sha256(data).hexdigest() == artifact.sha256, f"{artifact.path} has another hash")


Check = Callable[[Wire, Params], None]
_TALK: tuple[Check, ...] = (
    _hello,
    _ping,
    _envelope,
    _in_flight,
    _unknown_fields,
    _unknown_op,
    _other_version,
    _garbage,
    _names_the_field,
    _too_large,
    _too_deep,
    _not_found,
    _describe,
    _sync_and_tick,
)
_WORK: tuple[Check, ...] = (_dry_run, _submit_twice, _cancel_twice, _follow)
