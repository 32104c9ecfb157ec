"""Twenty thousand messages mutated from the golden ones, to both sockets of a daemon at work."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import zmq
from tests.golden.generate import HERE, as_sent, packed
from tests.system.daemons import Rig
from tests.system.hostile import answered_throughout, await_sync, frame, greet, last_words, receive, resident_mib

from stoker_protocol import codec
from stoker_protocol.events import Synced

REQUESTS = 20_000
BATCH = 100
"""Requests under way at a time."""
SUBSCRIBERS, SUBSCRIPTIONS = 9, 1_000
"""Connections to the events socket, and what each sends."""
PUBLISHERS = 1_000
"""Connections to the events socket that send something else."""
WARM_UP = 10
"""Of so many parts of all that is sent, the first may make memory grow."""
MAX_GROWTH_MIB = 10

LENGTHS = [bytes([kind]) + b"\xff" * size for kind, size in [(0xDB, 4), (0xDD, 4), (0xDF, 4), (0xC6, 4), (0xDC, 2)]]
"""Headers of text, lists, maps and bytes that say that there is more than anyone could send."""
TOPICS = [b"job/dragons-01/", b"job/", b"preview/dragons-01/", b"queue/", b"daemon/tick", b"sync/n", b""]

WORK: dict[str, Any] = {
    "v": 1,
    "op": "submit",
    "job_id": "dragons-01",
    "engine": "faults",
    "items": [{"params": {"prompt": "a red dragon"}}],
}
"""A request that makes work here; those of the golden files name an engine that this daemon lacks."""


EXAMPLES = [path for path in sorted(HERE.glob("*/*.json")) if path.stem != "shutdown"]
"""All messages, except the one that ends the daemon."""
GOLDEN = [WORK, *map(as_sent, EXAMPLES), *(as_sent(path) for path in EXAMPLES if path.parent.name == "requests")]
"""All of them, requests twice."""
ODD: list[Any] = [None, True, -1, 2**64 - 1, 1.5, "", "x" * 300, b"\0", [], {}, [[[]]], {"a": {}}]


def test_requests(rig: Rig, record_property: Callable[[str, object], None]) -> None:
    """We expect one reply to each message, with the id that it had, others to be served, and no growth."""
    dice = random.Random(1)
    with answered_throughout(rig), zmq.Context() as context, context.socket(zmq.DEALER) as rude:
        rude.set(zmq.LINGER, 0)
        rude.connect(rig.daemon.control)
        kinds = Counter[str]()
        before_mib = 0.0
        for start in range(0, REQUESTS, BATCH):
            if start == REQUESTS // WARM_UP:
                before_mib = resident_mib(rig.daemon.pid)
            sent = [damaged_message(dice, f"g{start + number}") for number in range(BATCH)]
            for frames in sent:
                rude.send_multipart(frames)
            replies = [codec.decode_reply(receive(rude)[-1]) for _ in sent]
            assert Counter(reply.id for reply in replies) == Counter(codec.request_id_of(f[-1]) for f in sent)
            kinds.update(str(getattr(reply, "code", "answered")) for reply in replies)
        assert not rude.poll(0)
        growth_mib = resident_mib(rig.daemon.pid) - before_mib
    record_property("replies to mutated requests", f"{dict(kinds)}, {growth_mib:.1f} MiB more")
    assert growth_mib <= MAX_GROWTH_MIB
    assert min(kinds["answered"], kinds["bad_request"], kinds["unknown_op"], kinds["not_found"]) > 10
    rig.client.resume()
    assert rig.run("after").state == "succeeded"


def test_subscriptions(rig: Rig, record_property: Callable[[str, object], None]) -> None:
    """We expect one answer to each `sync` among them, silence to all else, who publishes to be dropped, no growth."""
    dice = random.Random(2)
    with answered_throughout(rig), zmq.Context() as context, context.socket(zmq.SUB) as other:
        other.connect(rig.daemon.events)
        other.subscribe("job/")
        await_sync(other, "other")
        subscribe_nonsense(context, rig, dice, 0)
        before_mib = resident_mib(rig.daemon.pid)
        for number in range(1, SUBSCRIBERS):
            subscribe_nonsense(context, rig, dice, number)
        for _ in range(PUBLISHERS):
            publish_nonsense(rig, dice)
        growth_mib = resident_mib(rig.daemon.pid) - before_mib
        job_id = rig.submit("after")
        assert receive(other)[0].startswith(f"job/{job_id}/".encode())
    record_property("after mutated subscriptions", f"{growth_mib:.1f} MiB more")
    assert growth_mib <= MAX_GROWTH_MIB
    assert rig.wait(job_id).state == "succeeded"


def subscribe_nonsense(context: zmq.Context[zmq.Socket[bytes]], rig: Rig, dice: random.Random, number: int) -> None:
    """Subscribe and unsubscribe at random, and to a sync at every fiftieth; each must be answered once."""
    with context.socket(zmq.XSUB) as rude:
        rude.set(zmq.LINGER, 0)
        rude.set(zmq.RCVHWM, 0)
        rude.connect(rig.daemon.events)
        topics = [f"sync/{number}.{place}".encode() for place in range(0, SUBSCRIPTIONS, 50)]
        for place in range(SUBSCRIPTIONS):
            topic = damaged(dice, dice.choice(TOPICS))[:100]
            rude.send(b"\1" + topics[place // 50] if place % 50 == 49 else dice.choice([b"\0", b"\1"]) + topic)
        answers = Counter[bytes]()
        while topics[-1] not in answers:
            topic, body = receive(rude)
            event = codec.decode_event(body)
            answers.update([topic] if isinstance(event, Synced) else [])
        assert {topic: answers[topic] for topic in topics} == dict.fromkeys(topics, 1)


def publish_nonsense(rig: Rig, dice: random.Random) -> None:
    """Send what is no subscription; it must end the connection, without a word."""
    with greet(rig.daemon.events, b"XSUB") as peer:
        body = damaged(dice, packed(dice.choice(GOLDEN)))[:400]
        peer.sendall(frame(b"\2" + body) if dice.randrange(2) else frame(b"\1", more=True) + frame(body))
        assert last_words(peer) == b""


def damaged_message(dice: random.Random, request_id: str) -> list[bytes]:
    """The frames of a golden message with this id, damaged somewhere: a value, some bytes, or the frames around it."""
    message = {**dice.choice(GOLDEN), "id": request_id}
    if dice.randrange(3) == 0:
        message[dice.choice(list(message))] = dice.choice([*ODD, *message.values()])
    body = packed(message)
    if dice.randrange(2):
        body = damaged(dice, body)
    if dice.randrange(5):
        return [b"", body]
    frames = [dice.choice([b"", body, dice.randbytes(9), bytes(300)]) for _ in range(dice.randint(0, 4))]
    return [*frames, body]


def damaged(dice: random.Random, data: bytes) -> bytes:
    """These bytes with bits flipped, the end cut off, parts inserted, doubled, or said to be longer than they are."""
    body = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(body) + 1)
        match dice.randrange(5):
            case 0:
                body[at : at + 1] = bytes(byte ^ 1 << dice.randrange(8) for byte in body[at : at + 1])
            case 1:
                del body[at:]
            case 2:
                body[at:at] = dice.randbytes(dice.randint(1, 8))
            case 3:
                body[at:at] = body[at : at + dice.randint(1, 16)]
            case _:
                body[at : at + 1] = dice.choice(LENGTHS)
    return bytes(body)
