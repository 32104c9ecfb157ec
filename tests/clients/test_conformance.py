"""`stoker conformance`, which plays either side: beside ours, and beside such that do not keep to the protocol."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from tests.clients.cli.running import PATIENCE_S, command, environment, run_process
from tests.clients.godot.editor import Script, needs_godot, new_project
from tests.clients.godot.test_session import ORDER
from tests.fakes.daemon import FakeDaemon
from tests.golden.generate import packed

from stoker_client import Client
from stoker_client.conformance.against import play
from stoker_client.conformance.serve import Server
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id
from stoker_protocol.errors import ErrorCode, Refused

QUICK_S = 0.3


def test_the_daemon_keeps_to_the_protocol(stokerd: PrivateDaemon) -> None:
    """We expect every check of a server to find our daemon as it should be."""
    ran = run_process("conformance", "--against", stokerd.control, "--json")
    findings = ran.json["findings"]
    assert [finding for finding in findings if not finding["ok"]] == []
    assert (ran.code, ran.json["ok"]) == (0, True)
    assert len(findings) == 18


def test_a_server_is_left_alone(stokerd: PrivateDaemon) -> None:
    """We expect checks without a job to make none."""
    with Client(stokerd.control) as client:
        before = len(list(client.jobs()))
        ran = run_process("conformance", "--against", stokerd.control, "--no-job")
        assert ran.code == 0
        assert ran.out.endswith("All is as expected.\n")
        assert len(list(client.jobs())) == before


FAULTS: dict[str, tuple[Callable[[FakeDaemon], object], str]] = {
    "no reply": (lambda daemon: daemon.lose_replies("describe", 9), "`describe` has a schema"),
    "a reply too many": (lambda daemon: daemon.answer_twice("ping", 99), "Many requests"),
    "another reply": (
        lambda daemon: daemon.answer_instead("health", {"re": "pong", "server_time_ms": 1}),
        "`ping` and",
    ),
    "garbage": (lambda daemon: daemon.answer_instead("health", b"\xc1"), "`ping` and"),
    "no such code": (
        lambda daemon: daemon.refuse("job", Refused(ErrorCode.INTERNAL, "oops"), 9),
        "A job that is not there",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_server_does_wrong_is_told(daemon: FakeDaemon, fault: str) -> None:
    """We expect the check that a fault breaks to fail, with what was seen."""
    break_it, expected = FAULTS[fault]
    break_it(daemon)
    findings = list(play(daemon.control, QUICK_S, {}, make=False))
    failed = [finding for finding in findings if not finding.ok]
    assert any(finding.expected.startswith(expected) and finding.seen for finding in failed)


def test_nobody_is_there() -> None:
    """We expect one finding, and no wait for each of the others."""
    (finding,) = play("tcp://127.0.0.1:1", QUICK_S, {}, make=True)
    assert (finding.ok, finding.seen) == (False, "no reply")


def test_neither_or_both_sides(tmp_path: Path) -> None:
    """We expect to be asked which side was written, and parameters to be a map."""
    assert tmp_path.exists()
    assert "Say which side you wrote" in run_process("conformance").err
    assert "Say which side you wrote" in run_process("conformance", "--serve", "--against", "tcp://x:1").err
    assert "--params is no JSON" in run_process("conformance", "--against", "tcp://127.0.0.1:1", "--params", "{").err


def test_our_client_keeps_to_the_protocol(tmp_path: Path) -> None:
    """We expect the Python client to do what every check of a client expects, over a lost reply and a restart."""
    with subprocess.Popen(
        command("conformance", "--serve", "--bind", "tcp://127.0.0.1:0"),
        env=environment("", {}),
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        endpoint = serving.stdout.readline().split()[2].rstrip(".")
        with Client(endpoint) as client:
            job = client.submit(["a red dragon"])
            (update,) = [u for u in client.watch([job.job_id]) if u.job and u.job.state.is_final]
            assert update.job is not None
            (path,) = client.fetch(job.job_id, tmp_path)
        told = serving.communicate(timeout=PATIENCE_S)[0]
    assert "!!" not in told
    assert (serving.returncode, path.stat().st_size) == (0, 1_520_000)
    assert told.count("ok  ") == 7


@needs_godot
def test_the_godot_plugin_keeps_to_the_protocol(tmp_path: Path) -> None:
    """We expect the plugin to do what every check of a client expects."""
    project = new_project(tmp_path / "game")
    with Server() as server:
        follow = json.dumps({"endpoint": server.control, "order": ORDER})
        with Script(project, "follow.gd", FOLLOW=follow):
            findings = list(server.play(PATIENCE_S))
    assert [finding for finding in findings if not finding.ok] == []


def test_what_a_client_does_wrong_is_told() -> None:
    """We expect a client to hear that it does not submit again, does not join, and sends what can't be read."""
    with Server() as server, zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(server.control)
        submit: dict[str, Any] = {"v": 1, "id": "", "op": "submit", "job_id": new_job_id(), "items": [{}]}
        for body in (b"garbage", packed(submit)):
            socket.send_multipart([b"", body])
        submitted, again, joined, *others, sound = server.play(QUICK_S)
        assert submitted.ok
        assert [finding.ok for finding in (again, joined, *others)] == [False] * 5
        assert sound.seen.endswith("a submit without an id of its own")
        error: Any = msgspec.msgpack.decode(socket.recv_multipart()[-1])
        assert error["code"] == "bad_request"
