"""`stoker relay`: a daemon that asks for keys, offered on loopback to clients that know none."""

import json
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.clients.cli.running import PATIENCE_S, command, environment
from tests.clients.godot.editor import Script, needs_godot, new_project
from tests.clients.godot.test_session import ORDER
from tests.system.locked import Locked, a_locked_daemon

from stoker_client import Client
from stoker_client.errors import BadRequest, Forbidden
from stoker_client.keys import Target
from stoker_client.relaying import Relay
from stoker_protocol.keys import ClientKey, to_text

ANYWHERE = ("--control", "tcp://127.0.0.1:0", "--events", "tcp://127.0.0.1:0")


@pytest.fixture
def locked(tmp_path: Path) -> Generator[Locked]:
    """A daemon that asks for keys."""
    with a_locked_daemon(tmp_path / "stokerd") as locked:
        yield locked


@contextmanager
def relayed(locked: Locked, key: ClientKey, folder: Path) -> Generator[Client]:
    """A client without a key, of a relay that holds one."""
    file = folder / "mine.key"
    file.write_text(to_text(key))
    file.chmod(0o600)
    relay = subprocess.Popen(
        command("relay", "--key", str(file), "--endpoint", locked.daemon.control, *ANYWHERE, "--json"),
        env=environment("", {}),
        stdout=subprocess.PIPE,
        text=True,
    )
    with relay:
        assert relay.stdout is not None
        where = json.loads(relay.stdout.readline())
        with Client(where["control"], timeout_s=PATIENCE_S) as client:
            assert client.hello().events == [where["events"]]
            yield client
        relay.send_signal(signal.SIGINT)
        assert relay.wait(PATIENCE_S) == 130


def test_a_job_over_a_relay(locked: Locked, tmp_path: Path) -> None:
    """We expect a client without keys to submit, follow and fetch in the name of the key, over a kill of the daemon."""
    with relayed(locked, locked.ann, tmp_path) as client, locked.client(locked.viewer) as looks:
        assert client.hello().name == "ann"
        job = client.submit(["a red dragon"])
        updates = client.watch([job.job_id])
        next(updates)
        locked.daemon.restart()
        states = [update.job.state for update in updates if update.job]
        assert states[-1] == "succeeded"
        assert looks.job(job.job_id).client == "ann"


def test_a_relay_has_the_role_of_its_key(locked: Locked, tmp_path: Path) -> None:
    """We expect who comes over a relay with a `view` key to see and to change nothing."""
    with relayed(locked, locked.viewer, tmp_path) as client:
        assert client.hello().role == "view"
        assert list(client.jobs()) == []
        with pytest.raises(Forbidden):
            client.submit(["a red dragon"])


@needs_godot
def test_the_godot_plugin_over_a_relay(locked: Locked, tmp_path: Path) -> None:
    """We expect what was ordered in an editor, which knows no keys, to be made by a daemon that asks for them."""
    project = new_project(tmp_path / "game")
    with relayed(locked, locked.ann, tmp_path) as client:
        follow = json.dumps({"endpoint": client.endpoint, "order": ORDER})
        with Script(project, "follow.gd", FOLLOW=follow) as script:
            script.wait_until(lambda told: "fetched" in told)
        assert [(job.job_id, job.client) for job in client.jobs()] == [(ORDER["job_id"], "ann")]
    assert list((project / "sprites/dragons").iterdir())


@pytest.mark.parametrize("control", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://192.0.2.1:5577"])
def test_a_relay_listens_on_loopback_only(control: str) -> None:
    """We expect no other address to be bound, since whoever reaches a relay has the role of its key."""
    with pytest.raises(BadRequest, match="loopback only"):
        Relay(Target("tcp://127.0.0.1:1"), ["tcp://127.0.0.1:2"], control, "tcp://127.0.0.1:0")
