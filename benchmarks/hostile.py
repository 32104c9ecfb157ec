"""What a peer that may connect can cost the daemon: its memory, and the longest that another client's ping waited."""

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import zmq
from tests.system.daemons import FAULTS
from tests.system.hostile import frame, greet, resident_mib

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.codec import MAX_BODY, MAX_FRAME
from stoker_protocol.replies import ErrorReply

SECONDS = 5.0
HALVES = 50
MILLION = 1_000_000
PEERS, REQUESTS = 5, 1_500
PREVIEWS, PREVIEW_KIB = 5_000, 200
SLEEPER = """\
import sys, zmq
sub = zmq.Context().socket(zmq.SUB)
sub.connect(sys.argv[1])
for topic in ("preview/", "sync/1"):
    sub.subscribe(topic)
sub.recv_multipart()
print(flush=True)
while True:
    sub.recv_multipart()
"""

Attack = Callable[[PrivateDaemon, ExitStack], str]


def subscriptions(daemon: PrivateDaemon, _stack: ExitStack) -> str:
    """Subscribe to ever new topics, and come again when dropped."""
    sent, times, until_s = 0, 0, time.monotonic() + SECONDS
    while time.monotonic() < until_s:
        with greet(daemon.events, b"SUB") as peer, suppress(ConnectionError):
            times += 1
            while time.monotonic() < until_s:
                peer.sendall(b"".join(frame(b"\1job/%d/" % number) for number in range(sent, sent + 1_000)))
                sent += 1_000
    return f"{sent:,} sent over {times} connections"


def endless_message(daemon: PrivateDaemon, stack: ExitStack) -> str:
    """Send the frames of a message that never ends."""
    peer, block, sent = stack.enter_context(greet(daemon.control, b"DEALER")), frame(b"x", more=True) * 50_000, 0
    until_s = time.monotonic() + SECONDS
    while time.monotonic() < until_s:
        peer.sendall(block)
        sent += 50_000
    return f"{sent:,} frames"


def million_frames(daemon: PrivateDaemon, stack: ExitStack) -> str:
    """Send one message of a million frames."""
    peer = stack.enter_context(greet(daemon.control, b"DEALER"))
    peer.sendall(frame(b"x", more=True) * MILLION + frame(b"x"))
    peer.recv(1)
    return "one message"


def halves(daemon: PrivateDaemon, stack: ExitStack) -> str:
    """Send messages of the largest size but for their last byte."""
    for _ in range(HALVES):
        peer = stack.enter_context(greet(daemon.control, b"DEALER"))
        peer.sendall(frame(b"", more=True) + frame(bytes(MAX_FRAME))[:-1])
    return f"{HALVES} connections"


def nonsense(daemon: PrivateDaemon, _stack: ExitStack) -> str:
    """Send bodies of the largest size that promise millions of maps and lists, deep or wide."""
    bodies = [
        b"\x91" * MAX_BODY,
        b"\xdd\x00\x7f\xff\xfa" + b"\x90" * (MAX_BODY - 5),
        b"\xdf\xff\xff\xff\xff" + b"\xa0\x90" * MILLION,
    ]
    sent, until_s = 0, time.monotonic() + SECONDS
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.connect(daemon.control)
        while time.monotonic() < until_s:
            peer.send_multipart([b"", bodies[sent % len(bodies)]])
            sent += 1
            peer.recv_multipart()
    return f"{sent} bodies of up to 8 MiB, each refused"


def in_flight(daemon: PrivateDaemon, _stack: ExitStack) -> str:
    """Send thousands of slow requests at once, over several connections."""
    body = bytes(codec.pack({"v": 1, "id": "1", "op": "check"}))
    with zmq.Context() as context, ExitStack() as sockets:
        peers = [sockets.enter_context(context.socket(zmq.DEALER)) for _ in range(PEERS)]
        for peer in peers:
            peer.connect(daemon.control)
            for _ in range(REQUESTS):
                peer.send_multipart([b"", body])
        replies = [codec.decode_reply(peer.recv_multipart()[-1]) for peer in peers for _ in range(REQUESTS)]
    refused = sum(isinstance(reply, ErrorReply) for reply in replies)
    return f"{len(replies):,}, each answered, {refused:,} refused"


def unread_previews(daemon: PrivateDaemon, stack: ExitStack) -> str:
    """Subscribe to previews, and stop reading while thousands of them are made."""
    sleeper = subprocess.Popen([sys.executable, "-c", SLEEPER, daemon.events], stdout=subprocess.PIPE)
    stack.callback(sleeper.kill)
    assert sleeper.stdout is not None
    sleeper.stdout.read(1)
    sleeper.send_signal(signal.SIGSTOP)
    params = {"prompt": "x", "preview_kib": PREVIEW_KIB}
    with Client(daemon.control, timeout_s=120) as client:
        jobs = [client.submit([{"params": params}], engine="faults").job_id for _ in range(PREVIEWS)]
        client.wait(jobs[-1], 300)
    return f"{PREVIEWS:,} of {PREVIEW_KIB} KiB"


@contextmanager
def _pings(daemon: PrivateDaemon) -> Generator[list[float]]:
    """How long each ping takes meanwhile, in seconds."""
    done, took = threading.Event(), list[float]()

    def ask() -> None:
        with Client(daemon.control, timeout_s=120) as client:
            while not done.wait(0.01):
                start_s = time.monotonic()
                client.ping()
                took.append(time.monotonic() - start_s)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        done.set()
        thread.join()


def _daemon(folder: Path) -> PrivateDaemon:
    config = folder / "stokerd.toml"
    config.write_text(f"{FAULTS}options = {{ max_batch = 1 }}\n")
    return PrivateDaemon(folder, args=["--config", str(config)])


def _measure(attack: Attack) -> None:
    with tempfile.TemporaryDirectory() as folder, _daemon(Path(folder)) as daemon:
        before_mib = resident_mib(daemon.pid)
        with _pings(daemon) as took, ExitStack() as stack:
            what = attack(daemon, stack)
            more_mib = resident_mib(daemon.pid) - before_mib
        longest_ms = max(took) * 1000
    print(f"{attack.__name__:16} {what:40} {more_mib:6.0f} MiB more   longest ping {longest_ms:6.0f} ms")


ATTACKS: list[Attack] = [subscriptions, endless_message, million_frames, halves, nonsense, in_flight, unread_previews]

if __name__ == "__main__":
    for each in ATTACKS:
        if not sys.argv[1:] or each.__name__ in sys.argv[1:]:
            _measure(each)
