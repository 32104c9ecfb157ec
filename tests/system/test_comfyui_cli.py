"""The command before a real daemon with a ComfyUI server: what a person types, sees and gets."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from tests.clients.cli.running import PATIENCE_S, Ran, run_process
from tests.fakes.comfyui.harness import ComfyProcess
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon

CHECKPOINT, LORA = "random_sd15.safetensors", "random_lora.safetensors"
OWN = {
    "a": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 255}},
    "b": {"class_type": "SaveImage", "inputs": {"images": ["a", 0], "filename_prefix": "x"}},
}
"""A workflow that makes a blue picture, without a model."""


class Desk:
    """A daemon with a server, and a folder to work in."""

    def __init__(self, folder: Path, server: ComfyProcess, daemon: PrivateDaemon) -> None:
        self.folder = folder
        self.server = server
        self.daemon = daemon

    def stoker(self, *args: str) -> Ran:
        """Run the command."""
        return run_process(*args, endpoint=self.daemon.control)

    def made(self, *args: str) -> tuple[dict[str, Any], list[Path]]:
        """Let the command wait for its job, which must succeed: the job, and its files fetched."""
        ran = self.stoker(*args, "--wait", "--json")
        assert ran.code == 0, ran.err
        job: dict[str, Any] = ran.json
        with Client(self.daemon.control) as client:
            return job, list(client.fetch(job["job_id"], self.folder / job["job_id"]))

    def error(self, *args: str) -> dict[str, Any]:
        """Why the command is refused."""
        ran = self.stoker(*args, "--json")
        assert ran.code == 2
        return ran.error

    def file(self, name: str, content: object) -> str:
        """A file with JSON."""
        (self.folder / name).write_text(json.dumps(content))
        return str(self.folder / name)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Generator[Desk]:
    """Both, for all tests here."""
    folder = tmp_path_factory.mktemp("comfyui")
    with (
        ComfyProcess(folder / "server") as server,
        PrivateDaemon(folder / "data", args=["--comfyui", server.url]) as daemon,
    ):
        yield Desk(folder, server, daemon)


def about(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a picture says about itself: how Stoker made it, and the graph that ran."""
    with PngImageFile(file) as opened:
        opened.load()
        return json.loads(opened.text["stoker"]), json.loads(opened.text["prompt"])


def pixels(file: Path) -> bytes:
    """The picture itself."""
    with Image.open(file) as opened:
        return opened.tobytes()


def test_a_picture_by_recipe_profile_and_lora(desk: Desk) -> None:
    """We expect what was typed, over what the profile says, in the graph that ran, and a file for each item."""
    job, files = desk.made(
        *("generate", "a fox", "-n", "2", "--seed", "7", "--size", "64", "--profile", "quality", "--steps", "3"),
        *("--lora", f"{LORA}:0.5", "--negative", "blurry"),
    )
    assert (job["recipe"], job["model"], len(files)) == ("txt2img_lora", CHECKPOINT, 2)
    said, graph = about(files[0])
    sampler, lora = graph["sampler"]["inputs"], graph["lora"]["inputs"]
    assert (sampler["seed"], sampler["steps"], sampler["cfg"], sampler["sampler_name"]) == (7, 3, 8.5, "dpmpp_2m")
    assert (lora["lora_name"], lora["strength_model"], lora["strength_clip"]) == (LORA, 0.5, 0.5)
    assert [graph[node]["inputs"]["text"] for node in ("positive", "negative")] == ["a fox", "blurry"]
    assert (said["job_id"], said["recipe"]) == (job["job_id"], "txt2img_lora")


def test_a_picture_from_a_picture(desk: Desk) -> None:
    """We expect the picture to be at the server, byte for byte, and to be what the graph begins with."""
    fox = desk.folder / "fox.png"
    Image.new("RGB", (64, 64), (200, 80, 40)).save(fox)
    job, (file,) = desk.made("generate", "a fox", "--image", str(fox), "--denoise", "0.5", "--steps", "2")
    name = about(file)[1]["source"]["inputs"]["image"]
    assert job["recipe"] == "img2img"
    assert (desk.server.directory / "input" / name).read_bytes() == fox.read_bytes()
    again, _ = desk.made("generate", "a fox", "--image", f"server:{name}", "--steps", "2")
    assert again["recipe"] == "img2img"


def test_a_workflow_of_ones_own(desk: Desk) -> None:
    """We expect the graph to run as it is, but for what was set, and its picture to be made again from itself."""
    own = desk.file("own.json", OWN)
    job, (file,) = desk.made("generate", "--workflow", own, "--set", "a.color=65280")
    assert (job["recipe"], job["model"]) == ("workflow", "")
    assert pixels(file) == bytes([0, 255, 0]) * 64
    _, (same,) = desk.made("rerun", str(file))
    assert pixels(same) == pixels(file)
    _, (other,) = desk.made("rerun", str(file), "--set", "a.color=255")
    assert pixels(other) == bytes([0, 0, 255]) * 64


def test_the_workflow_of_a_recipe_runs(desk: Desk) -> None:
    """We expect what `recipes show --workflow` prints to be a workflow that runs."""
    graph = desk.stoker("recipes", "show", "txt2img", "--workflow").json
    job, _ = desk.made(
        "generate", "a fox", "--workflow", desk.file("shown.json", graph), "--size", "64", "--steps", "2"
    )
    assert (job["recipe"], job["model"]) == ("workflow", CHECKPOINT)


def test_a_picture_is_made_again(desk: Desk) -> None:
    """We expect the same graph from a picture that a recipe made with a profile, but for the name of the file."""
    _, (file,) = desk.made("generate", "an owl", "--profile", "quality", "--size", "64", "--steps", "2")
    job, files = desk.made("rerun", str(file), "-n", "2")
    said, graph = about(file)
    again = about(files[0])[1]
    for one in (graph, again):
        del one["save"]["inputs"]["filename_prefix"]
    assert again == graph
    assert about(files[1])[0]["params"]["seed"] == said["params"]["seed"] + 1
    assert job["metadata"]["rerun_of"]["job_id"] == said["job_id"]


def test_frames_of_an_animation(desk: Desk) -> None:
    """We expect one seed for all frames, each to know its place, and the same of one that is made again."""
    _, files = desk.made("generate", "a fox", "-n", "3", "--recipe", "animation", "--size", "64", "--steps", "2")
    _, again = desk.made("rerun", str(files[1]))
    graphs = [about(file)[1] for file in (*files, *again)]
    assert len({graph["sampler"]["inputs"]["seed"] for graph in graphs}) == 1
    places = [graph["positive"]["inputs"]["text"].split(" of one")[0] for graph in graphs]
    assert places == [f"a fox, frame {frame} of 3" for frame in (1, 2, 3, 2)]


@pytest.mark.parametrize(
    ("args", "field", "told"),
    [
        (["--model", "random_sd51.safetensors"], "model", CHECKPOINT),
        (["--lora", "rondom_lora.safetensors"], "params.lora", LORA),
        (["--sampler", "eulr"], "params.sampler", "euler"),
        (["--steps", "0"], "params.steps", "from 1"),
        (["--recipe", "txt2imag"], "recipe", "txt2img"),
        (["--profile", "sped"], "profile", "speed"),
        (["--image", "blob:" + "0" * 64], "params.image", "put_blob"),
        (["--set", "9.steps=3"], "params.9.steps", "sampler"),
    ],
)
def test_what_does_not_fit(desk: Desk, args: list[str], field: str, told: str) -> None:
    """We expect exit code 2 before anything is stored: the field, and what would do."""
    error = desk.error("generate", "x", *args)
    assert error["field"].endswith(field)
    assert told in f"{error['message']} {error['hint']}"


def test_a_file_of_the_editor(desk: Desk) -> None:
    """We expect the file to be named, and how to export the right one."""
    file = desk.file("editor.json", {"nodes": [], "links": []})
    error = desk.error("generate", "x", "--workflow", file)
    assert error["message"].startswith(f"{file}: ")
    assert "Export (API)" in error["hint"]


def test_what_there_is(desk: Desk) -> None:
    """We expect the server's models, recipes with its choices, the profiles, and the server itself."""
    loras = desk.stoker("models", "--kind", "lora", "--json").json["engines"][0]
    assert [model["name"] for model in loras["models"]] == [LORA]
    shown = desk.stoker("recipes", "show", "txt2img", "--json").json
    samplers = next(one["choices"] for one in shown["parameters"] if one["name"] == "sampler")
    assert {"euler", "dpmpp_2m"} <= set(samplers)
    profiles = {one["name"]: one["batch_size"] for one in desk.stoker("profiles", "--json").json["profiles"]}
    assert profiles == {"speed": 8, "balanced": 4, "quality": 1, "animation": 8, "tileset": 8}
    assert desk.server.url in desk.stoker("engines").out
    assert f"{desk.server.url} answers, version " in desk.stoker("doctor").out


def test_lines_of_a_file(desk: Desk) -> None:
    """We expect each line to be made by the recipe, and a line that does not fit to be named by its number."""
    items = desk.folder / "items.jsonl"
    items.write_text('{"prompt": "a", "seed": 1}\n{"prompt": "b", "seed": 2}\n')
    job, files = desk.made("submit", str(items), "--recipe", "txt2img", "--profile", "speed")
    assert (job["recipe"], len(files)) == ("txt2img", 2)
    assert [about(file)[1]["sampler"]["inputs"]["steps"] for file in files] == [15, 15]
    items.write_text('"a"\n{"prompt": "b", "steps": 0}\n')
    assert "line 2" in desk.error("submit", str(items), "--recipe", "txt2img")["message"]


def test_a_server_that_is_away(desk: Desk) -> None:
    """We expect the doctor to name the server that is down and what to do, and jobs to be made when it is back."""
    desk.server.kill()
    wait_for(lambda: "is down" in desk.stoker("engines").out)
    ran = desk.stoker("doctor", "--json")
    (finding,) = (check for check in ran.json["checks"] if check["part"] == "engine comfyui")
    assert (ran.code, finding["ok"]) == (5, False)
    assert desk.server.url in finding["detail"]
    job_id = desk.stoker("generate", "x", "--size", "64", "--steps", "2", "--json").json["job_id"]
    desk.server.start()
    with Client(desk.daemon.control) as client:
        assert client.wait(job_id, PATIENCE_S).state == "succeeded"
