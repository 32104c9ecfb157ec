"""Lanes with ComfyUI servers that go away or do not hear: others go on, and what was to end does."""

from pathlib import Path

from tests.daemon.engines.comfyui_bench import Stranger
from tests.fakes.comfyui.harness import ComfyProcess
from tests.fault.audit import audit_settled
from tests.fault.test_comfyui import HOLD, PLAIN, Studio
from tests.system.daemons import a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.jobs import JobState


def at(server: ComfyProcess, name: str = "comfyui") -> str:
    """The lines of the configuration for a server."""
    return f'[engines.{name}]\nkind = "comfyui"\nurl = "{server.url}"\n'


def test_two_servers_on_one_lane(tmp_path: Path) -> None:
    """While one server is away the other does its own jobs, and then the first one does."""
    with ComfyProcess(tmp_path / "left") as left, ComfyProcess(tmp_path / "right", version="0.33.0") as right:
        with a_rig(tmp_path, config(engines=at(left) + at(right, "right"))) as rig:
            wait_for(lambda: left.state()["connections"] and right.state()["connections"])
            studio = Studio(rig, left)
            left.kill()
            first = studio.submit("first", PLAIN, PLAIN)
            other = studio.submit("other", PLAIN, PLAIN, engine="right")
            assert rig.wait(other).state is JobState.SUCCEEDED
            assert left.executions() == []
            left.start()
            assert rig.wait(first).items.succeeded == 2
            assert [len(server.executions()) for server in (left, right)] == [2, 2]
            versions = [engine.server.version for engine in rig.client.engines() if engine.server]
            assert versions == ["0.12.1", "0.33.0"]
        audit_settled(rig.data_dir)


def test_the_daemon_is_killed_while_it_cancels(tmp_path: Path) -> None:
    """A cancel that an earlier daemon could not bring to its end is brought there by the next one."""
    with ComfyProcess(tmp_path / "server") as server:
        with a_rig(tmp_path, config(engines=at(server))) as rig:
            job_id = Studio(rig, server).submit("gone", HOLD, PLAIN)
            server.wait_until_held()
            server.defects(ignore_interrupt=True)
            rig.client.cancel(job_id)
            rig.kill()
            server.defects(ignore_interrupt=False)
            rig.restart()
            assert rig.wait(job_id).state is JobState.CANCELLED
            wait_for(lambda: Stranger(server).queue() == ([], []))
            assert len(server.executions()) == 1
        audit_settled(rig.data_dir)
