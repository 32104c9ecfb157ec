"""`stoker bridge dgx-pixels`: their messages over real sockets, a real daemon behind it."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

import msgpack
import pytest
import zmq
from tests.clients.cli.running import PATIENCE_S, command, environment, run_process
from tests.fakes.daemon import FakeDaemon
from tests.golden.generate import packed

from stoker_client import Client
from stoker_client.bridges.dgx_pixels import messages as dgx
from stoker_client.bridges.dgx_pixels.mapping import models, order, progress
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id
from stoker_protocol import codec
from stoker_protocol.jobs import Engine, Eta, ItemCounts, ModelFacts, Parameter, Progress, Recipe

ANYWHERE = ("--control", "tcp://127.0.0.1:0", "--updates", "tcp://127.0.0.1:0")
PATIENCE_MS = int(PATIENCE_S * 1000)
STAGES = {"initializing", "loading_models", "encoding", "sampling", "decoding", "post_processing"}


class DgxClient:
    """Speaks as a client of theirs does: a REQ, and a SUB of everything."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", control: str, updates: str) -> None:
        self._req, self._sub = context.socket(zmq.REQ), context.socket(zmq.SUB)
        self._req.connect(control)
        self._sub.subscribe("")
        self._sub.connect(updates)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._req.close(0)
        self._sub.close(0)

    def say(self, body: bytes) -> dict[str, Any]:
        """The reply to any bytes."""
        self._req.send(body)
        assert self._req.poll(PATIENCE_MS), "no reply"
        return cast("dict[str, Any]", msgpack.unpackb(self._req.recv()))

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The reply to a request."""
        return self.say(packed({"type": kind, **fields}))

    def generate(self, **fields: Any) -> dict[str, Any]:
        """The reply to a usual `generate`."""
        usual = {"prompt": "a red dragon", "model": "classic", "size": [32, 48], "steps": 4, "cfg_scale": 7.0}
        return self.ask("generate", **{"id": new_job_id(), **usual, **fields})

    def updates_until(self, condition: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """What is published up to the first update that fulfils a condition."""
        came: list[dict[str, Any]] = []
        while not came or not condition(came[-1]):
            assert self._sub.poll(PATIENCE_MS), f"no update after {came[-3:]}"
            frames = self._sub.recv_multipart()
            assert len(frames) == 1
            came.append(cast("dict[str, Any]", msgpack.unpackb(frames[0])))
        return came


@contextmanager
def bridged(daemon: PrivateDaemon | FakeDaemon) -> Generator[DgxClient]:
    """A client of a bridge to this daemon; of a real one its updates arrive."""
    bridge = subprocess.Popen(
        command("bridge", "dgx-pixels", *ANYWHERE, "--json"),
        env=environment(daemon.control, {}),
        stdout=subprocess.PIPE,
        text=True,
    )
    with bridge, ending(bridge), zmq.Context() as context:
        assert bridge.stdout is not None
        where = json.loads(bridge.stdout.readline())
        with DgxClient(context, where["control"], where["updates"]) as client:
            if isinstance(daemon, PrivateDaemon):
                _await_updates(client)
            yield client
        bridge.send_signal(signal.SIGINT)
        assert bridge.wait(PATIENCE_S) == 130


@contextmanager
def ending(process: "subprocess.Popen[str]") -> Generator[None]:
    """Whatever happens, the process ends."""
    try:
        yield
    finally:
        process.kill()


@pytest.fixture(scope="module")
def client(stokerd: PrivateDaemon) -> Generator[DgxClient]:
    """A client of a bridge to the module's daemon."""
    with bridged(stokerd) as client:
        yield client


def finished(job_id: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an update is the end of a job."""
    return lambda update: update["type"] == "job_finished" and update["job_id"] == job_id


def test_ping_and_status(client: DgxClient) -> None:
    """We expect `pong` and nothing more, and the counts of a daemon that has nothing to do."""
    assert client.ask("ping") == {"type": "pong"}
    status = client.ask("status")
    assert {name: type(value) for name, value in status.items()} == {
        "type": str,
        "version": str,
        "queue_size": int,
        "active_jobs": int,
        "uptime_s": int,
    }
    assert (status["type"], status["queue_size"], status["active_jobs"]) == ("status_info", 0, 0)


def test_models(client: DgxClient) -> None:
    """We expect the models of the daemon, each with its four fields."""
    reply = client.ask("list_models")
    assert reply["type"] == "model_list"
    neon = {"name": "neon", "path": "sprites/neon", "model_type": "checkpoint", "size_mb": 0}
    assert neon in reply["models"]


def test_a_picture(client: DgxClient, stokerd: PrivateDaemon) -> None:
    """We expect a job with what was asked for, and its updates from its start to its end, each job's own."""
    job_id = new_job_id()
    accepted = client.generate(id=job_id)
    assert accepted == {"type": "job_accepted", "job_id": job_id, "estimated_time_s": accepted["estimated_time_s"]}
    assert accepted["estimated_time_s"] >= 0
    updates = client.updates_until(finished(job_id))
    assert (updates[0]["type"], type(updates[0]["timestamp"])) == ("job_started", int)
    assert (updates[-1]["success"], updates[-1]["duration_s"] >= 0) == (True, True)
    assert {update["job_id"] for update in updates} == {job_id}
    for update in updates:
        if update["type"] == "progress":
            assert update.keys() == {"type", "job_id", "stage", "step", "total_steps", "percent", "eta_s"}
            assert update["stage"] in STAGES
    with Client(stokerd.control) as ours:
        (item,) = ours.items(job_id, with_params=True)
        job = ours.job(job_id)
    assert (job.name, job.engine, job.model, item.state) == ("a red dragon", "sprites", "classic", "succeeded")


def test_asking_twice(client: DgxClient, stokerd: PrivateDaemon) -> None:
    """We expect the same `generate` again to make nothing more, another under its id to be a job_error.

    While the job waits it is accepted again; afterwards its picture is told, its failure or its cancel.
    """
    job_id = new_job_id()
    with Client(stokerd.control) as ours:
        ours.pause()
        for _ in range(2):
            assert client.generate(id=job_id)["type"] == "job_accepted"
        ours.resume()
        took_s = client.updates_until(finished(job_id))[-1]["duration_s"]
        complete = client.generate(id=job_id)
        assert {**complete, "image_path": ""} == {
            "type": "job_complete",
            "job_id": job_id,
            "image_path": "",
            "duration_s": took_s,
        }
        assert Path(complete["image_path"]).read_bytes().startswith(b"\x89PNG")
        assert ours.job(job_id).items.total == 1
    refused = client.generate(id=job_id, steps=5)
    assert (refused["type"], refused["job_id"]) == ("job_error", job_id)


@pytest.mark.parametrize(("state", "kind"), [("failed", "job_error"), ("cancelled", "job_cancelled")])
def test_asking_again_for_what_came_to_nothing(daemon: FakeDaemon, state: str, kind: str) -> None:
    """We expect a `generate` of a job that failed or was cancelled to be answered with that."""
    with bridged(daemon) as client:
        job_id = new_job_id()
        assert client.generate(id=job_id, model="plain")["type"] == "job_accepted"
        daemon.finish(job_id, state)
        again = client.generate(id=job_id, model="plain")
    assert (again["type"], again["job_id"]) == (kind, job_id)


def test_frames_and_copies(client: DgxClient, stokerd: PrivateDaemon) -> None:
    """We expect an item for each frame of each copy, with its place in the loop."""
    job_id = new_job_id()
    client.generate(id=job_id, animation_frames=3, batch_size=2, lora=None)
    client.updates_until(finished(job_id))
    with Client(stokerd.control) as ours:
        params = [codec.unpack_map(item.params) for item in ours.items(job_id, with_params=True)]
    seed = params[0]["seed"]
    assert [(one["frame"], one["frames"]) for one in params] == [(0, 3), (1, 3), (2, 3)] * 2
    assert [one["seed"] - seed for one in params] == [0, 0, 0, 1, 1, 1]


def test_a_preview(client: DgxClient) -> None:
    """We expect a path where the unfinished picture lies, while the job runs."""
    job_id = new_job_id()
    client.ask(
        "generate",
        id=job_id,
        prompt="a slow owl",
        model="classic",
        size=[64, 64],
        steps=4,
        cfg_scale=1.0,
    )
    updates = client.updates_until(finished(job_id))
    previews = [update for update in updates if update["type"] == "preview"]
    assert previews
    assert all(Path(update["image_path"]).read_bytes().startswith(b"\x89PNG") for update in previews)
    assert {*previews[0]} == {"type", "job_id", "image_path", "step"}


def test_a_cancel(client: DgxClient, stokerd: PrivateDaemon) -> None:
    """We expect `job_cancelled` and an end without success, and a `job_error` for a job that is not there."""
    with Client(stokerd.control) as ours:
        ours.pause()
        job_id = new_job_id()
        client.generate(id=job_id)
        assert client.ask("status")["queue_size"] == 1
        assert client.ask("cancel", job_id=job_id) == {"type": "job_cancelled", "job_id": job_id}
        last = client.updates_until(finished(job_id))[-1]
        ours.resume()
    assert (last["success"], last["duration_s"]) == (False, 0.0)
    nobody = client.ask("cancel", job_id="nobody")
    assert (nobody["type"], nobody["job_id"]) == ("job_error", "nobody")


def test_a_model_that_is_not_there(client: DgxClient) -> None:
    """We expect a `job_error` with the daemon's words, and no updates of such a job to be waited for."""
    refused = client.generate(id="wrong-1", model="no-such-model")
    assert (refused["type"], refused["job_id"]) == ("job_error", "wrong-1")
    assert "no-such-model" in refused["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        packed([1, 2]),
        packed({"type": "teleport"}),
        packed({"type": "generate", "id": "a"}),
        packed(
            {"type": "generate", "id": "../a", "prompt": "p", "model": "m", "size": [1, 1], "steps": 1, "cfg_scale": 1}
        ),
        packed({"type": "cancel", "job_id": 7}),
        b"\x91" * 100_000,
    ],
)
def test_what_can_not_be_read(client: DgxClient, body: bytes) -> None:
    """We expect an `error` with a message, and the next request to be answered."""
    reply = client.say(body)
    assert reply.keys() == {"type", "message"}
    assert reply["type"] == "error"
    assert client.ask("ping") == {"type": "pong"}


def test_jobs_of_others_are_not_told(client: DgxClient, stokerd: PrivateDaemon) -> None:
    """We expect clients of theirs to hear of their jobs alone."""
    with Client(stokerd.control) as ours:
        foreign = ours.submit(["a bat"]).job_id
        ours.wait(foreign, PATIENCE_S)
    job_id = new_job_id()
    client.generate(id=job_id)
    assert {update["job_id"] for update in client.updates_until(finished(job_id))} == {job_id}


def test_a_daemon_that_is_killed(tmp_path: Path, config_args: list[str]) -> None:
    """We expect the end of a job to be told though the daemon was killed and started again meanwhile."""
    with PrivateDaemon(tmp_path, args=config_args) as daemon, bridged(daemon) as client:
        with Client(daemon.control) as ours:
            ours.pause()
            job_id = new_job_id()
            client.generate(id=job_id)
            daemon.restart()
            ours.resume()
        assert client.updates_until(finished(job_id))[-1]["success"]


def test_other_addresses_are_refused() -> None:
    """We expect no address beyond loopback to be bound unless somebody insists, since that protocol knows no keys."""
    ran = run_process("bridge", "dgx-pixels", "--control", "tcp://0.0.0.0:0")
    assert ran.code == 2
    assert "--insecure" in ran.err


def test_recipes_are_used() -> None:
    """We expect the recipe for what is asked for, with only the parameters that it takes."""
    engine = Engine("comfyui", "comfyui", "ready", "gpu", "", [ModelFacts("dream.safetensors")], [], 8)
    takes = [Parameter(name, "integer") for name in ("prompt", "width", "height", "steps", "cfg", "lora")]
    recipes = [
        Recipe(name, "comfyui", "", takes if "lora" in name else takes[:-1])
        for name in ("txt2img", "txt2img_lora", "animation", "tileset")
    ]
    asked: dict[str, Any] = {"id": "a", "prompt": "p", "model": "checkpoints/dream.safetensors", "size": (8, 9)}
    asked |= {"steps": 3, "cfg_scale": 2.5}
    cases: list[tuple[dict[str, Any], str, int]] = [
        ({"batch_size": 2}, "txt2img", 2),
        ({"lora": "l.safetensors"}, "txt2img_lora", 1),
        ({"animation_frames": 4}, "animation", 4),
        ({"tileset_grid": (2, 3)}, "tileset", 6),
    ]
    for more, recipe, count in cases:
        items, options = order(dgx.Generate(**asked, **more), [engine], recipes)
        assert items == [{"params": {"prompt": "p"}}] * count
        assert (options.get("recipe"), options.get("engine")) == (recipe, "comfyui")
        assert options.get("model") == "dream.safetensors"
        usual = {"width": 8, "height": 9, "steps": 3, "cfg": 2.5}
        assert options.get("params") == {**usual, **({"lora": more["lora"]} if "lora" in more else {})}


def test_kinds_of_models() -> None:
    """We expect checkpoints, LoRAs and VAEs, and no other kind."""
    facts = [ModelFacts(kind, kind=kind) for kind in ("checkpoint", "lora", "vae", "upscaler")]
    listed = models([Engine("c", "comfyui", "ready", "gpu", "", facts, [], 8)])
    assert [one.model_type for one in listed] == ["checkpoint", "lora", "vae"]


def test_stages() -> None:
    """We expect each of our phases as one of their six stages, and an ETA where there is one."""
    for phase in ("loading", "encoding", "sampling", "decoding", "saving", "running", "waiting", "new"):
        ours = Progress(phase=phase, step=1, steps=2, items=ItemCounts(), percent=50.0, eta_s=Eta(3.0, 4.0))
        theirs = progress("j", ours)
        assert theirs.stage in STAGES
        assert (theirs.step, theirs.total_steps, theirs.percent, theirs.eta_s) == (1, 2, 50.0, 3.0)


def _await_updates(client: DgxClient) -> None:
    """Make jobs until the end of one is heard: then the subscription is in force."""
    for _ in range(100):
        job_id = f"warm-up-{os.urandom(4).hex()}"
        client.generate(id=job_id)
        if client._sub.poll(1000):
            client.updates_until(finished(job_id))
            return
    pytest.fail("no updates come")
