"""Raw TCP connections that are silent, slow, greedy or many, to a daemon that goes on with its work."""

import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import zmq
from tests.system.daemons import REPOSITORY, Rig, a_rig
from tests.system.hostile import (
    GREETING,
    answered_throughout,
    await_sync,
    dial,
    exactly,
    frame,
    greet,
    handles,
    last_words,
    may_open,
    receive,
    resident_mib,
)
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_protocol import codec
from stoker_protocol.replies import Pong
from stoker_protocol.requests import Describe, PauseWork, Ping

SILENT, IDLE = 250, 1_000
OLD_GREETINGS = [b"\1\0", b"\xff" + bytes(8) + b"\x7f\1\5\0\0"]
"""Of ZMTP 1 and 2."""
OPENINGS = [b"", GREETING[:11], GREETING[:40], b"GET / HTTP/1.1\r\n\r\n", b"\x16\3\1\2\0", GREETING, *OLD_GREETINGS]
"""Nothing, parts of a greeting, what is none, and a greeting without the handshake that must follow."""
UNREAD = 5_000
FLOODS, MAX_FLOOD = 10, 1_000_000
STORM = 2_000


def test_a_thousand_idle_connections(tmp_path: Path) -> None:
    """We expect a thousand peers that never say anything to cost little, and work and requests to go on beside them.

    That the daemon was started with few file handles does not matter.
    """
    with may_open(256), a_rig(tmp_path) as rig, may_open(4096), ExitStack() as stack:
        rig.run("before")
        before_mib, before = resident_mib(rig.daemon.pid), handles(rig.daemon.pid)
        with answered_throughout(rig):
            for number in range(IDLE):
                endpoint, kind = (rig.daemon.control, b"DEALER") if number % 2 else (rig.daemon.events, b"SUB")
                stack.enter_context(greet(endpoint, kind))
            wait_for(lambda: handles(rig.daemon.pid) > IDLE)
            assert rig.run("beside").state == "succeeded"
            assert resident_mib(rig.daemon.pid) - before_mib < 64
            stack.close()
            wait_for(lambda: handles(rig.daemon.pid) < before + 10)


def test_half_open_connections_are_ended(rig: Rig) -> None:
    """We expect peers that don't get through a handshake to be dropped, and others to be served meanwhile."""
    with answered_throughout(rig), ExitStack() as stack:
        before = handles(rig.daemon.pid)
        peers = [stack.enter_context(dial(rig.daemon.control)) for _ in range(SILENT)]
        peers += [stack.enter_context(dial(rig.daemon.events)) for _ in range(SILENT)]
        for number, peer in enumerate(peers):
            peer.sendall(OPENINGS[number % len(OPENINGS)])
        for peer in peers:
            last_words(peer)
        wait_for(lambda: handles(rig.daemon.pid) < before + 10)


def test_slow_senders(rig: Rig) -> None:
    """We expect requests that arrive a byte at a time to be answered, and others not to wait for them."""
    message = frame(b"", more=True) + frame(codec.encode(Ping(id="slow")))
    with answered_throughout(rig), ExitStack() as stack:
        peers = [stack.enter_context(greet(rig.daemon.control, b"DEALER")) for _ in range(20)]
        for place in range(len(message)):
            for peer in peers:
                peer.sendall(message[place : place + 1])
        for peer in peers:
            assert exactly(peer, 2) == frame(b"", more=True)
            _flags, size = exactly(peer, 2)
            assert isinstance(codec.decode_reply(exactly(peer, size)), Pong)


def test_replies_that_nobody_reads(rig: Rig) -> None:
    """We expect a bounded amount of replies to wait for a peer that asks and asks and reads none, and others served."""
    before_mib = resident_mib(rig.daemon.pid)
    with answered_throughout(rig), greet(rig.daemon.control, b"DEALER") as peer:
        for request in [*[Describe(id="unread")] * UNREAD, PauseWork(id="last", reason="all came")]:
            peer.sendall(frame(b"", more=True) + frame(codec.encode(request)))
        wait_for(lambda: rig.client.snapshot().queue.paused)
        assert resident_mib(rig.daemon.pid) - before_mib < 128
    rig.client.resume()
    assert rig.run("after").state == "succeeded"


def test_floods_of_subscriptions(rig: Rig, record_property: Callable[[str, object], None]) -> None:
    """We expect a peer that subscribes on and on to be dropped each time, and another to lose nothing."""
    before_mib = resident_mib(rig.daemon.pid)
    with answered_throughout(rig), zmq.Context() as context, context.socket(zmq.SUB) as other:
        other.connect(rig.daemon.events)
        other.subscribe("job/")
        await_sync(other, "other")
        most_mib = max(flood(rig) for _ in range(FLOODS)) - before_mib
        job_id = rig.submit("meanwhile")
        assert receive(other)[0].startswith(f"job/{job_id}/".encode())
    record_property("under floods of subscriptions", f"{most_mib:.1f} MiB more")
    assert most_mib < 64
    assert rig.wait(job_id).state == "succeeded"


def flood(rig: Rig) -> float:
    """Subscribe until the connection is ended; the memory of the daemon then."""
    with greet(rig.daemon.events, b"SUB") as peer, suppress(ConnectionError):
        for start in range(0, MAX_FLOOD, 1_000):
            peer.sendall(b"".join(frame(b"\1job/%050d/" % number) for number in range(start, start + 1_000)))
        pytest.fail("it was never ended")
    return resident_mib(rig.daemon.pid)


def test_a_storm_of_connections(rig: Rig) -> None:
    """We expect connections that come and go by the thousand to leave nothing behind, and others to be served."""
    before, before_mib = handles(rig.daemon.pid), resident_mib(rig.daemon.pid)
    with answered_throughout(rig):
        for number in range(STORM):
            endpoint, kind = (rig.daemon.control, b"DEALER") if number % 2 else (rig.daemon.events, b"SUB")
            peer = greet(endpoint, kind) if number % 3 else dial(endpoint)
            peer.close()
        wait_for(lambda: handles(rig.daemon.pid) < before + 10)
    assert resident_mib(rig.daemon.pid) - before_mib < 32
    assert rig.run("after").state == "succeeded"


def test_connections_take_all_file_handles(rig: Rig) -> None:
    """We expect who is connected to be served while strangers hold all file handles, and all to go on afterwards."""
    rig.run("before")
    soft, hard = resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE)
    most = handles(rig.daemon.pid) + 50
    with answered_throughout(rig), ExitStack() as stack:
        resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (most, hard))
        for _ in range(100):
            stack.enter_context(dial(rig.daemon.control)).sendall(GREETING)
        wait_for(lambda: handles(rig.daemon.pid) == most)
        job_id = rig.submit("meanwhile")
        stack.close()
        with Client(rig.daemon.control, timeout_s=BOUND_S) as newcomer:
            assert newcomer.ping()
        assert rig.wait(job_id).state == "succeeded"
        assert rig.items(job_id)[0].attempts == 1
    resource.prlimit(rig.daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_what_cannot_be_bounded_is_measured() -> None:
    """We expect the script that measures what a hostile peer costs to end with its figures."""
    command = [sys.executable, "-m", "benchmarks.hostile", "million_frames"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "MiB more" in done.stdout
    assert "longest ping" in done.stdout
