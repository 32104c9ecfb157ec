"""The plugin's conversation with a daemon that loses, doubles, lies and restarts."""

import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zmq
from PIL import Image
from tests.clients.godot.editor import Script, needs_godot, new_project
from tests.fakes.daemon import FakeDaemon
from tests.golden.generate import packed

from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import Preview

pytestmark = needs_godot

ORDER: dict[str, Any] = {
    "job_id": "dragons-01",
    "instance_id": "",
    "request": {"items": [{"params": {"prompt": "a red dragon"}}], "name": "dragons"},
    "title": "dragons",
    "folder": "res://sprites/dragons",
    "frames": 1,
    "animation": "default",
    "fps": 8.0,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the plugin."""
    return new_project(tmp_path / "game")


@contextmanager
def following(project: Path, endpoint: str, **wanted: Any) -> Generator[Script]:
    """The plugin's link, that says its news; at the end it must close without an error."""
    (project / "end").unlink(missing_ok=True)
    with Script(project, "follow.gd", FOLLOW=json.dumps({"endpoint": endpoint, **wanted})) as script:
        yield script
        (project / "end").touch()
        script.wait_for_end()


def is_live(told: dict[str, Any]) -> bool:
    """Whether the link says that it follows."""
    return told.get("link", {}).get("state") == "live"


def test_lost_events(project: Path, daemon: FakeDaemon) -> None:
    """We expect each job to be known as it is in the end, though most of its events were lost."""
    with following(project, daemon.control) as script:
        script.wait_until(is_live)
        for number in range(10):
            daemon.add_job(f"job-{number}")
        daemon.drop_events(19)
        for number in range(10):
            daemon.start_run(f"job-{number}")
        known: dict[str, str] = {}
        for number in range(10):
            daemon.finish(f"job-{number}")
        wanted = {f"job-{number}": "succeeded" for number in range(10)}
        told = script.wait_until(lambda told: (known.update(told.get("jobs", {})) or known) == wanted)
        told = script.wait_until(lambda told: told.get("counts", {}).get("through") == 30)
    assert told["counts"]["caught_up"] >= 19


def test_the_last_event_lost(project: Path, daemon: FakeDaemon) -> None:
    """We expect silence to be seen through: ticks tell of an event that no later one does."""
    daemon.add_job("quiet")
    with following(project, daemon.control) as script:
        script.wait_until(is_live)
        daemon.drop_events()
        daemon.finish("quiet")
        script.wait_until(lambda told: told.get("jobs", {}).get("quiet") == "succeeded")


def test_another_database_on_another_port(project: Path, daemon: FakeDaemon) -> None:
    """We expect a snapshot of the new daemon, whose events are elsewhere, and none of what the old one had."""
    daemon.add_job("old")
    with following(project, daemon.control) as script:
        script.wait_until(lambda told: told.get("jobs") == {"old": "queued"})
        daemon.stop()
        script.wait_until(lambda told: told.get("link", {}).get("state") == "away")
        daemon.restart(instance_id="db-2", moved=True)
        daemon.add_job("new")
        known: dict[str, str] = {}
        script.wait_until(lambda told: told.get("is_snapshot") and (known.update(told.get("jobs", {})) or True))
        if "new" not in known:  # it came after the snapshot
            script.wait_until(lambda told: "new" in told.get("jobs", {}))
    assert "old" not in known


def test_events_that_are_gone(project: Path, daemon: FakeDaemon) -> None:
    """We expect a snapshot where events can't be caught up on."""
    with following(project, daemon.control) as script:
        script.wait_until(is_live)
        daemon.drop_events()
        daemon.add_job("missed")
        daemon.world.forgotten = 1
        told = script.wait_until(lambda told: "missed" in told.get("jobs", {}))
    assert told["is_snapshot"]


def test_an_order_is_submitted_until_it_is_accepted(project: Path, daemon: FakeDaemon) -> None:
    """We expect the same bytes again after a lost reply, one job, and its file in the project, checked."""
    daemon.lose_replies("submit")
    with following(project, daemon.control, order=ORDER) as script:
        script.wait_until(lambda told: told.get("jobs") == {"dragons-01": "queued"})
        daemon.restart()  # ends the wait for the reply that was lost
        daemon.add_artifact("dragons-01", "0.png", b"a picture" * 100_000)
        script.wait_until(lambda told: told and len(daemon.asked("submit")) == 2)
        daemon.finish("dragons-01")
        told = script.wait_until(lambda told: "fetched" in told)
    (fetched,) = told["fetched"]
    assert [file["path"] for file in fetched["files"]] == ["res://sprites/dragons/00000_0.png"]
    assert (project / "sprites/dragons/00000_0.png").read_bytes() == b"a picture" * 100_000
    assert not list(project.glob("sprites/dragons/*.part"))
    first, second = daemon.asked("submit")
    assert first == second
    assert list(daemon.world.jobs) == ["dragons-01"]


def test_an_order_outlives_the_editor(project: Path, daemon: FakeDaemon) -> None:
    """We expect what was ordered while nobody listened to be submitted by the next editor, and done work fetched."""
    daemon.stop()
    with following(project, daemon.control, order=ORDER) as script:
        script.wait_until(lambda told: told.get("link", {}).get("state") == "away")
    daemon.start()
    with following(project, daemon.control) as script:
        script.wait_until(lambda told: "dragons-01" in told.get("jobs", {}))
    daemon.add_artifact("dragons-01", "0.png", b"a picture")
    daemon.finish("dragons-01")
    with following(project, daemon.control) as script:
        script.wait_until(lambda told: "fetched" in told)
    assert len(daemon.asked("submit")) == 1


def test_a_refused_order_is_told_and_forgotten(project: Path, daemon: FakeDaemon) -> None:
    """We expect the daemon's words in the dock, and nothing to be submitted again."""
    daemon.refuse("submit", Refused(ErrorCode.BAD_REQUEST, "no such model", hint="did you mean plain?"))
    with following(project, daemon.control, order=ORDER) as script:
        told = script.wait_until(lambda told: "said" in told)
        daemon.restart()
        script.wait_until(is_live)
    assert told["said"] == ["dragons was refused: no such model (did you mean plain?)"]
    assert len(daemon.asked("submit")) == 1


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        ({"sha256": "0" * 64}, "res://sprites/dragons/00000_0.png came with other bytes than were made"),
        ({"path": "outputs/../../../escape.png/..x/y"}, None),
    ],
)
def test_files_that_are_not_what_they_should_be(
    project: Path, daemon: FakeDaemon, lies: dict[str, Any], said: str | None
) -> None:
    """We expect other bytes to be refused, and no name of the daemon's to lead out of the folder."""
    with following(project, daemon.control, order=ORDER) as script:
        script.wait_until(lambda told: "dragons-01" in told.get("jobs", {}))
        daemon.add_artifact("dragons-01", "0.png", b"a picture", **lies)
        daemon.finish("dragons-01")
        told = script.wait_until(lambda told: "said" in told or "fetched" in told)
    made = [path.relative_to(project).as_posix() for path in project.rglob("*") if path.suffix in (".png", ".x", "")]
    assert [path for path in made if path.startswith("sprites/dragons/0")] == []
    assert told.get("said") == ([f"dragons: {said}"] if said else None)
    assert not (project / "escape.png").exists()


def test_a_cancel(project: Path, daemon: FakeDaemon) -> None:
    """We expect the job to be cancelled, and that of a job which is not there to be told."""
    daemon.add_job("unwanted")
    with following(project, daemon.control, cancel="unwanted") as script:
        known: dict[str, str] = {}
        script.wait_until(lambda told: known.update(told.get("jobs", {})) or known.get("unwanted") == "cancelled")
    with following(project, daemon.control, cancel="nobody") as script:
        told = script.wait_until(lambda told: "said" in told)
    assert told["said"] == ["not cancelled: there is no job nobody (stoker status)"]


def test_previews_become_small(project: Path, daemon: FakeDaemon) -> None:
    """We expect a preview as a thumbnail, and one whose header promises a picture of gigabytes as none."""
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2 + bytes(9)
    with following(project, daemon.control) as script:
        script.wait_until(is_live)
        for index, image in enumerate([bomb, _png(320, 160)]):
            preview = Preview(job_id=f"j{index}", index=0, step=1, steps=2, media_type="image/png", image=image)
            daemon.announce(f"preview/j{index}/preview", preview)
        told = script.wait_until(lambda told: "preview" in told)
    assert told["preview"] == ["j1", 64, 32]


def test_a_pause(project: Path, daemon: FakeDaemon) -> None:
    """We expect a pause of the queue and its end to be told."""
    with following(project, daemon.control) as script:
        script.wait_until(is_live)
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.connect(daemon.control)
            for op, reason in (("pause", "lunch"), ("resume", None)):
                socket.send(packed({"v": 1, "id": "1", "op": op, **({"reason": reason} if reason else {})}))
                socket.recv()
                told = script.wait_until(lambda told: "pause" in told)
                assert told["pause"].get("reason") == reason


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64), "that is no ZeroMQ socket of version 4 or later"),
        (b"", "the connection ended"),
        (b"\xff" + bytes(8) + b"\x7f\3\1CURVE" + bytes(47), "it wants CURVE, which this client can't"),
        (b"\xff" + bytes(8) + b"\x7f\3\1NULL" + bytes(48) + b"\6\xff" + b"\x7f" * 8, "a frame of "),
        (b"\xff" + bytes(8) + b"\x7f\3\1NULL" + bytes(48) + b"\4\6\5ERROR", "refused by the other side"),
    ],
    ids=["HTTP", "closes", "CURVE", "huge frame", "error"],
)
def test_strange_peers(project: Path, answer: bytes, why: str) -> None:
    """We expect who is no daemon to be named for what it is, tried again, and to do no harm."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        dials = threading.Semaphore(0)
        peer = threading.Thread(target=_answer, args=(server, answer, dials))
        peer.start()
        with following(project, f"tcp://127.0.0.1:{server.getsockname()[1]}") as script:
            told = script.wait_until(lambda told: told.get("link", {}).get("detail"))
            assert told["link"]["detail"].startswith(why)
            assert dials.acquire(timeout=60)
            assert dials.acquire(timeout=60)
        peer.join(60)


def test_heartbeats(project: Path) -> None:
    """We expect a peer that pings and waits for pongs to keep the connection while it thinks about an answer."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.set(zmq.HEARTBEAT_IVL, 30)
        router.set(zmq.HEARTBEAT_TIMEOUT, 300)
        router.set(zmq.ROUTER_MANDATORY, 1)  # a reply to who is gone is an error
        port = router.bind_to_random_port("tcp://127.0.0.1")
        with following(project, f"tcp://127.0.0.1:{port}") as script:
            assert router.poll(60_000)
            identity, empty, body = router.recv_multipart()
            assert empty == b""
            assert not router.poll(1_500)
            router.send_multipart([identity, b"", body.replace(b"\xa2op\xa5hello", b"\xa2re\xa5error")])
            told = script.wait_until(lambda told: told.get("link", {}).get("detail"))
        assert told["link"]["detail"].startswith("error: ")


def _answer(server: socket.socket, answer: bytes, dials: threading.Semaphore) -> None:
    """Say the same to the first two that come."""
    for _ in range(2):
        connection, _address = server.accept()
        with connection, suppress(ConnectionError):
            connection.settimeout(60)
            connection.sendall(answer)
            dials.release()
            while answer and connection.recv(4096):
                pass


def _png(width: int, height: int) -> bytes:
    out = BytesIO()
    Image.new("RGBA", (width, height), "red").save(out, "PNG")
    return out.getvalue()
