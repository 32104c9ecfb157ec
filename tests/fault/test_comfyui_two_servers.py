"""Two ComfyUI servers share one lane: each does its own jobs, one at a time, and the end of one is not the other's."""

from collections import Counter
from pathlib import Path

from tests.fakes.comfyui.harness import ComfyProcess
from tests.fault.audit import audit_settled
from tests.fault.test_comfyui import HOLD, PLAIN, Studio
from tests.system.daemons import a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.jobs import JobState


def test_two_servers_on_one_lane(tmp_path: Path) -> None:
    """While one server is away with a prompt at work the other goes on, and then the first one does."""
    with ComfyProcess(tmp_path / "left") as left, ComfyProcess(tmp_path / "right", version="0.33.0") as right:
        engines = "".join(
            f'[engines.{name}]\nkind = "comfyui"\nurl = "{server.url}"\n'
            for name, server in (("comfyui", left), ("right", right))
        )
        with a_rig(tmp_path, config(engines=engines)) as rig:
            wait_for(lambda: left.state()["connections"] and right.state()["connections"])
            studio = Studio(rig, left)
            first = studio.submit("first", HOLD, PLAIN)
            other = studio.submit("other", PLAIN, PLAIN, engine="right")
            left.wait_until_held()
            assert right.executions() == []
            left.kill()
            assert rig.wait(other).state is JobState.SUCCEEDED
            left.start()
            left.wait_until_held()
            left.release()
            assert rig.wait(first).items.succeeded == 2
            assert Counter(right.executions()) == Counter(set(right.executions()))
            assert len(right.executions()) == 2
            versions = [engine.server.version for engine in rig.client.engines() if engine.server]
            assert versions == ["0.12.1", "0.33.0"]
        audit_settled(rig.data_dir)
