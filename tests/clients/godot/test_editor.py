"""The plugin in Debian's real Godot editor, with a real daemon."""

import socket
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.clients.godot.editor import BOUND_S, Editor, needs_godot, new_project, run_script
from tests.fakes.daemon import FakeDaemon
from tests.fakes.offers import COMFYUI, SPRITES

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.jobs import Parameter
from stoker_protocol.requests import Submit

pytestmark = needs_godot

SLOW_SPRITES = """
[engines.sprites]
model = "stoker_worker.models.sprites:Sprites"
options = { load_s = 0.0, step_s = 0.05 }
"""


@pytest.fixture
def stokerd(tmp_path: Path) -> PrivateDaemon:
    """A daemon, not started, whose sprites take their time."""
    (tmp_path / "stokerd.toml").write_text(SLOW_SPRITES)
    return PrivateDaemon(tmp_path / "data", args=["--config", str(tmp_path / "stokerd.toml")])


def test_an_animation_over_a_killed_daemon(tmp_path: Path, stokerd: PrivateDaemon) -> None:
    """We expect an animation that was ordered in the dock to be in the project, though the daemon was killed."""
    project = new_project(tmp_path / "game", "stoker", "probe")
    wanted: dict[str, Any] = {"prompt": "a red dragon", "frames": 4, "params": {"pose": "walk", "steps": 40}}
    with stokerd, Editor(project, stokerd.control, **wanted, until="imported") as editor:
        editor.wait_until(lambda shown: any(20 < row[2] < 90 and row[3] for row in shown["rows"]))
        stokerd.kill()
        editor.wait_until(lambda shown: shown["summary"].startswith("not connected"))
        stokerd.start()
        editor.wait_until(lambda shown: shown["summary"].startswith("1 running"))
        last = editor.wait_for_end()[-1]
        with Client(stokerd.control) as client:
            (job,) = client.jobs()
    assert (job.state, job.items.succeeded, job.name) == ("succeeded", 4, "a red dragon")
    assert last["rows"][0][:3] == ["a red dragon", "succeeded, 4 of 4", 100]
    (resource,) = project.glob("sprites/a_red_dragon_*/a_red_dragon.tres")
    (facts,) = run_script(project, "look_at_frames.gd", FRAMES=str(resource.relative_to(project)))
    assert (facts["animations"], facts["sizes"], facts["is_sharp"]) == ({"walk": 4}, [[64, 64]], True)
    assert facts["different"] == 4
    assert not (project / ".stoker/orders.cfg").read_text().strip()


def is_running(name: str) -> Callable[[dict[str, Any]], bool]:
    """Whether the dock shows that a job is at work, with a picture of it."""
    return lambda shown: any(row[0] == name and row[1].startswith("running") and row[3] for row in shown["rows"])


def row_of(shown: dict[str, Any], name: str) -> list[Any]:
    """What the dock shows of a job."""
    (row,) = (row for row in shown["rows"] if row[0] == name)
    return row


def test_orders_with_all_that_the_form_has(tmp_path: Path, stokerd: PrivateDaemon) -> None:
    """We expect what was chosen in the form to be the job's, and frames in their order, an animation for each copy."""
    project = new_project(tmp_path / "game", "stoker", "probe")
    with stokerd, Editor(project, stokerd.control) as editor, Client(stokerd.control) as client:
        editor.wait_until(lambda shown: "sprites neon" in shown["makers"])
        editor.order(
            prompt="a knight",
            maker="sprites neon",
            priority="high",
            frames=3,
            count=2,
            params={"pose": "walk", "width": 32},
        )
        editor.wait_until(lambda shown: "imported" in shown["said"])
        editor.leave()
        (job,) = client.jobs()
        items = list(client.items(job.job_id, with_params=True))
        made = [path.read_bytes() for path in client.fetch(job.job_id, tmp_path / "made")]
    assert (job.model, job.priority, job.items.total) == ("neon", "high", 6)
    params = [codec.unpack_map(item.params) for item in items]
    assert [(one["frame"], one["frames"]) for one in params] == [(0, 3), (1, 3), (2, 3)] * 2
    assert len({one["seed"] for one in params}) == 2
    (resource,) = project.glob("sprites/a_knight_*/a_knight.tres")
    (facts,) = run_script(project, "look_at_frames.gd", FRAMES=str(resource.relative_to(project)))
    shown = [path for name in ("walk", "walk_2") for path in facts["files"][name]]
    assert [(project / path.removeprefix("res://")).read_bytes() for path in shown] == made
    assert facts["sizes"] == [[32, 64]]


def test_a_job_is_cancelled_in_the_dock(tmp_path: Path, stokerd: PrivateDaemon) -> None:
    """We expect the button of a running job to cancel it at the daemon, and no other, while both show how far they are.

    Until then its bar and its picture change.
    """
    project = new_project(tmp_path / "game", "stoker", "probe")
    long: dict[str, Any] = {"steps": 200}
    with stokerd, Editor(project, stokerd.control) as editor, Client(stokerd.control) as client:
        editor.wait_until(lambda shown: shown["makers"])
        editor.order(prompt="a mistake", params=long)
        editor.order(prompt="an owl", params={"steps": 2})
        first = row_of(editor.wait_until(is_running("a mistake")), "a mistake")
        editor.wait_until(lambda shown: row_of(shown, "a mistake")[2] > first[2])
        editor.wait_until(lambda shown: row_of(shown, "a mistake")[3] not in ("", first[3]))
        editor.cancel("a mistake")
        editor.wait_until(lambda shown: row_of(shown, "a mistake")[1].startswith("cancelled"))
        editor.wait_until(lambda shown: "imported" in shown["said"])
        editor.leave()
        states = {job.name: job.state for job in client.jobs()}
    assert states == {"a mistake": "cancelled", "an owl": "succeeded"}
    assert not (project / ".stoker/orders.cfg").read_text().strip()


def test_an_order_by_a_recipe(tmp_path: Path, daemon: FakeDaemon) -> None:
    """We expect a recipe and a profile that were chosen to be asked for, with the parameters that were entered.

    What is made without a recipe takes no profile, so it is ordered without.
    """
    sprites = replace(SPRITES, parameters=[Parameter("prompt", "string", required=True)])
    daemon.world.engines = [sprites, COMFYUI]
    project = new_project(tmp_path / "game", "stoker", "probe")
    with Editor(project, daemon.control) as editor:
        editor.wait_until(lambda shown: "recipe txt2img" in shown["makers"])
        order = {"prompt": "a tree", "maker": "recipe txt2img", "profile": "speed", "priority": "urgent", "count": 3}
        editor.order(**order, params={"steps": 30, "sampler": "way-7"})
        editor.wait_until(lambda shown: len(shown["rows"]) == 1)
        editor.order(prompt="a stone", maker="sprites plain")
        editor.wait_until(lambda shown: len(shown["rows"]) == 2)
        editor.leave()
    request, plain = map(codec.decode_request, daemon.asked("submit"))
    assert isinstance(request, Submit)
    assert isinstance(plain, Submit)
    assert (plain.recipe, plain.profile, request.profile) == ("", "", "speed")
    assert (request.recipe, request.engine, request.priority, len(request.items)) == ("txt2img", "comfyui", "urgent", 3)
    assert codec.unpack_map(request.params) == {"steps": 30, "sampler": "way-7"}
    assert [codec.unpack_map(item.params) for item in request.items] == [{"prompt": "a tree"}] * 3


def test_a_wrong_endpoint(tmp_path: Path, daemon: FakeDaemon) -> None:
    """We expect the reason in the dock, each try to wait longer than the one before, and the right endpoint to connect.

    Not even a server that speaks something else is asked more often.
    """
    project = new_project(tmp_path / "game", "stoker", "probe")
    with socket.create_server(("127.0.0.1", 0)) as wrong, Editor(project, "tcp://127.0.0.1:1") as editor:
        editor.wait_until(lambda shown: shown["summary"].startswith("not connected: "))
        wrong.settimeout(BOUND_S)
        editor.dial(f"tcp://127.0.0.1:{wrong.getsockname()[1]}")
        tried_s: list[float] = []
        for _ in range(4):
            peer, _address = wrong.accept()
            tried_s.append(time.monotonic())
            with peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64))
        waits_s = [later - earlier for earlier, later in pairwise(tried_s)]
        assert all(wait_s > least_s for wait_s, least_s in zip(waits_s, (0.4, 0.9, 1.9), strict=True)), waits_s
        daemon.add_job("one", name="found")
        editor.dial(daemon.control)
        editor.wait_until(lambda shown: shown["summary"] == "0 running, 1 waiting")
        editor.leave()
