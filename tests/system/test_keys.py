"""Who has no key, a wrong one, one of a lower role, or one that was revoked, against a daemon that asks for keys."""

import socket
import threading
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
import zmq
from msgspec.structs import replace
from tests.system.hostile import await_sync, last_words, receive
from tests.system.locked import Locked, a_locked_daemon
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_client.errors import Forbidden, QueueFull, StokerError
from stoker_daemon.admin import keys
from stoker_protocol import codec
from stoker_protocol.keys import ClientKey
from stoker_protocol.replies import ErrorReply
from stoker_protocol.requests import Ping

HURRY_S = 1.0
"""For those who won't get an answer."""


@pytest.fixture
def locked(tmp_path: Path) -> Generator[Locked]:
    """A daemon that asks for keys."""
    with a_locked_daemon(tmp_path) as locked:
        yield locked


def a_pair() -> dict[str, str]:
    """A key pair that nobody knows."""
    public, secret = zmq.curve_keypair()
    return {"public_key": public.decode(), "secret_key": secret.decode()}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("plain", "takes only clients with a key"),
        ("only the daemon's public key", "does not know this key"),
        ("somebody's public key without the secret", "does not know this key|is not the daemon"),
        ("of another daemon", "is not the daemon that this key is for"),
    ],
)
def test_who_is_not_let_in(locked: Locked, kind: str, says: str) -> None:
    """We expect those without a fitting key to get no reply and no event on either socket, and to be told why."""
    wrong: dict[str, ClientKey | None] = {
        "plain": None,
        "only the daemon's public key": replace(locked.ann, **a_pair()),
        "somebody's public key without the secret": replace(locked.ann, secret_key=a_pair()["secret_key"]),
        "of another daemon": replace(locked.ann, server_key=a_pair()["public_key"]),
    }
    key = wrong[kind]
    with locked.client(locked.ann) as admitted, zmq.Context[zmq.Socket[bytes]]() as context, ExitStack() as stack:
        control, events = (stack.enter_context(made(context, key)) for made in (locked.control, locked.events))
        control.send_multipart([b"", codec.encode(Ping(id="1"))])
        job_id = admitted.submit(["a"]).job_id
        assert admitted.wait(job_id, BOUND_S).state == "succeeded"
        assert not control.poll(100)
        assert not events.poll(100)
        with Client(locked.daemon.control, key=key, timeout_s=HURRY_S) as client, pytest.raises(Forbidden, match=says):
            client.ping()


def test_roles_come_with_the_key(locked: Locked) -> None:
    """We expect a `view` client to see jobs and events and to change nothing, and `hello` to say who one is."""
    with (
        locked.client(locked.viewer) as looks,
        locked.client(locked.ann) as makes,
        zmq.Context[zmq.Socket[bytes]]() as context,
        locked.events(context, locked.viewer) as events,
    ):
        assert (looks.hello().name, looks.hello().role) == ("viewer", "view")
        await_sync(events, "1")
        for change in (lambda: looks.submit(["a"]), looks.pause, looks.shutdown):
            with pytest.raises(Forbidden, match="viewer may not"):
                change()
        job_id = makes.submit(["a"]).job_id
        assert receive(events)[0].startswith(f"job/{job_id}/".encode())
        assert looks.job(job_id).client == "ann"
        with pytest.raises(Forbidden):
            makes.shutdown()


def test_each_changes_only_their_own(locked: Locked) -> None:
    """We expect a `submit` client to change its own jobs alone, a scope to mean its own, and an admin to change all."""
    with locked.client(locked.ann) as ann, locked.client(locked.bob) as bob, locked.client(locked.chief) as chief:
        chief.pause()
        mine, hers = bob.submit(["a"], more=True).job_id, ann.submit(["b"], more=True).job_id
        for change in (
            lambda: bob.cancel(mine, hers),
            lambda: bob.retry(hers),
            lambda: bob.move(hers, "urgent"),
            lambda: bob.pause(hers),
            lambda: bob.resume(hers),
            lambda: bob.append(hers, 1, ["c"]),
            lambda: bob.seal(hers),
        ):
            with pytest.raises(Forbidden, match=f"job {hers} is ann's, not bob's"):
                change()
        for change in (bob.pause, bob.resume):
            with pytest.raises(Forbidden, match="only an admin"):
                change()
        assert bob.job(mine).state == "queued"
        assert bob.append(mine, 1, ["c"]).total == 2
        assert [one.job_id for one in bob.cancel_all().jobs] == [mine]
        assert ann.job(hers).state == "queued"
        assert [one.job_id for one in chief.cancel(hers).jobs] == [hers]
        chief.resume()


def test_revoked_with_an_open_subscription(locked: Locked) -> None:
    """We expect one who is revoked to be refused at the next message and to hear nothing more, and another to stay on.

    The same name with a new key does not let the old key in again.
    """
    with (
        locked.client(locked.ann) as asks,
        locked.client(locked.bob),
        zmq.Context[zmq.Socket[bytes]]() as context,
        locked.events(context, locked.ann) as hers,
        locked.events(context, locked.bob) as his,
    ):
        for number, events in enumerate((hers, his)):
            await_sync(events, str(number))
        unbroken = his.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        ended = hers.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        assert asks.ping()
        keys.revoke(locked.data_dir, "ann")
        anew = locked.key("ann")
        assert ended.poll(int(BOUND_S * 1000))
        with pytest.raises(Forbidden, match="let in no more"):
            asks.ping()
        with locked.client(anew) as newcomer:
            wait_for(lambda: is_let_in(newcomer))
            job_id = newcomer.submit(["a"]).job_id
        assert any(receive(his)[0].startswith(f"job/{job_id}/".encode()) for _ in range(100))
        while hers.poll(200):
            assert not hers.recv_multipart()[0].startswith(f"job/{job_id}/".encode())
        assert not unbroken.poll(0)
        for events, monitor in ((hers, ended), (his, unbroken)):
            events.disable_monitor()
            monitor.close()


def test_a_replayed_stream_does_nothing(locked: Locked) -> None:
    """We expect the recorded bytes of a client's whole conversation, sent again, to end the connection unanswered."""
    with locked.client(locked.chief) as client:
        with Recorder(locked.daemon.control) as recorder, Client(recorder.endpoint, key=locked.chief) as heard:
            heard.pause(reason="once")
        client.resume()
        with recorder.dial() as peer:
            peer.sendall(bytes(recorder.said))
            peer.shutdown(socket.SHUT_WR)
            answer = last_words(peer)
        assert len(recorder.said) > 500
        assert len(answer) < len(recorder.heard)
        assert client.snapshot().queue.paused is None


class Recorder:
    """Stands between a client and the daemon, and keeps what the client said and heard."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("tcp://").split(":")
        self._address = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.said, self.heard = bytearray(), bytearray()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(BOUND_S)
        self._listener.close()

    def dial(self) -> socket.socket:
        """A connection to the daemon itself."""
        return socket.create_connection(self._address, BOUND_S)

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, self.dial() as daemon:
            back = threading.Thread(target=self._copy, args=(daemon, client, self.heard))
            back.start()
            self._copy(client, daemon, self.said)
            daemon.shutdown(socket.SHUT_RDWR)
            back.join(BOUND_S)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                kept += chunk
                target.sendall(chunk)


def test_too_many_requests_a_second(tmp_path: Path) -> None:
    """We expect a client with a key to be told how long to wait when it asks too often, and another to be served."""
    with (
        a_locked_daemon(tmp_path, tail="\n[limits]\nrequests_per_s = 10\n") as locked,
        locked.client(locked.ann) as eager,
        locked.client(locked.bob) as patient,
    ):
        with pytest.raises(QueueFull, match="more than 10 requests a second") as refused:
            deque((eager.ping() for _ in range(1000)), maxlen=0)
        assert refused.value.retry_after_s is not None
        assert 0 < refused.value.retry_after_s <= 0.1
        assert patient.ping()
        wait_for(lambda: is_let_in(eager))


def test_a_share_of_the_daemon(locked: Locked) -> None:
    """We expect a client that sends a thousand slow requests over several connections to get refusals, and no more."""
    with locked.client(locked.bob) as client, zmq.Context[zmq.Socket[bytes]]() as context, ExitStack() as stack:
        sockets = [stack.enter_context(locked.control(context, locked.ann)) for _ in range(3)]
        for number in range(3000):
            sockets[number % 3].send_multipart([b"", bytes(codec.pack({"v": 1, "id": "1", "op": "check"}))])
        assert client.ping()
        replies = [codec.decode_reply(receive(one)[-1]) for one in sockets for _ in range(1000)]
        codes = [reply.code for reply in replies if isinstance(reply, ErrorReply)]
        assert set(codes) <= {"queue_full"}
        assert len(codes) > 900


def test_users_of_this_machine_over_ipc(tmp_path: Path) -> None:
    """We expect the system's word for who connects over IPC to be taken, with the role that is written for them."""
    import getpass

    user = getpass.getuser()
    ends = [f"ipc://{tmp_path / name}" for name in ("control.sock", "events.sock")]
    locked = Locked(tmp_path, f'require_keys = true\nusers = {{ {user} = "view" }}\n')
    locked.daemon.control, locked.daemon.events = ends
    with closing(ExitStack()) as stack:
        stack.enter_context(locked.daemon)
        with locked.client(None) as client:
            assert (client.hello().name, client.hello().role) == (user, "view")
            with pytest.raises(Forbidden, match=f"{user} may not submit"):
                client.submit(["a"])


def is_let_in(client: Client) -> bool:
    """Whether a client is known by now."""
    try:
        return client.ping() >= 0
    except StokerError:
        return False
