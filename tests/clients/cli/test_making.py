"""`stoker generate`, `submit` and `rerun` with recipes, workflows, profiles and input files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import terminal
from tests.clients.cli.test_generate import submitted
from tests.clients.cli.test_rerun import RECIPE, a_picture
from tests.fakes.daemon import FakeDaemon
from tests.fakes.offers import COMFYUI, WORKFLOW

from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    """A file to begin with."""
    file = tmp_path / "fox.png"
    file.write_bytes(FOX)
    return file


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A file with a workflow."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(WORKFLOW))
    return file


FOX = b"\x89PNG, as far as anybody looks here"
BLOB = f"blob:{hashlib.sha256(FOX).hexdigest()}"


def params(daemon: FakeDaemon) -> dict[str, Any]:
    """The parameters that all items of the last submit share."""
    return codec.unpack_map(submitted(daemon).params)


def test_options_of_recipes(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect each option in its field or parameter, and nothing that was not said."""
    stoker(
        *("generate", "x", "--recipe", "txt2img_lora", "--profile", "speed", "--lora", "a.safetensors:0.75"),
        *("--negative", "blurry", "--cfg-scale", "5", "--sampler", "euler", "--scheduler", "karras", "--vae", "v"),
        *("--denoise", "0.5", "--set", "9.steps=3"),
    )
    request = submitted(daemon)
    assert (request.recipe, request.profile) == ("txt2img_lora", "speed")
    assert params(daemon) == {
        "lora": "a.safetensors",
        "lora_strength": 0.75,
        "negative": "blurry",
        "cfg": 5.0,
        "sampler": "euler",
        "scheduler": "karras",
        "vae": "v",
        "denoise": 0.5,
        "9.steps": 3,
    }


@pytest.mark.parametrize(
    ("text", "name", "strength"),
    [("a", "a", None), ("a:1", "a", 1.0), ("a:-.5", "a", -0.5), ("sub:a", "sub:a", None), ("c:a:2.", "c:a", 2.0)],
)
def test_the_strength_of_a_lora(
    stoker: Stoker, daemon: FakeDaemon, text: str, name: str, strength: float | None
) -> None:
    """We expect a number after the last colon to be the strength, and all else to be the name."""
    stoker("generate", "x", "--lora", text)
    assert params(daemon) == {"lora": name} | ({} if strength is None else {"lora_strength": strength})


@pytest.mark.parametrize("args", [["--recipe", "animation"], ["--set", "seed=5"]])
def test_seeds_of_recipes(stoker: Stoker, daemon: FakeDaemon, args: list[str]) -> None:
    """We expect copies without seeds of their own where the recipe, or a setting, says which they have."""
    stoker("generate", "x", "-n", "2", *args)
    assert [codec.unpack_map(item.params) for item in submitted(daemon).items] == [{"prompt": "x"}] * 2
    stoker("generate", "x", "-n", "2", "--seed", "7", *args)
    assert [codec.unpack_map(item.params)["seed"] for item in submitted(daemon).items] == [7, 8]


def test_two_loras(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect a second LoRA to be refused, not lost."""
    ran = stoker("generate", "x", "--lora", "a", "--lora", "b")
    assert ran.code == 2
    assert "one LoRA" in ran.err
    assert not daemon.requests


def test_pictures_are_sent(stoker: Stoker, daemon: FakeDaemon, fox: Path) -> None:
    """We expect files to be sent once, and those that are elsewhere already to be named as they are."""
    stoker("generate", "x", "--image", str(fox), "--mask", "server:masks/left.png")
    assert params(daemon) == {"image": BLOB, "mask": "masks/left.png"}
    assert list(daemon.world.blobs.values()) == [FOX]
    stoker("generate", "x", "--image", BLOB, "--dry-run")
    assert params(daemon) == {"image": BLOB}


def test_a_picture_alone_is_enough(stoker: Stoker, daemon: FakeDaemon, fox: Path) -> None:
    """We expect a job of one item where there is a picture, or a workflow, and no prompt."""
    assert stoker("generate", "--recipe", "upscale", "--image", str(fox)).code == 0
    assert len(submitted(daemon).items) == 1


@pytest.mark.parametrize("option", ["--image", "--mask"])
def test_a_picture_that_is_not_there(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path, option: str) -> None:
    """We expect a missing file, and one that is no picture, to be named before anything is asked."""
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("a fox")
    for name, told in {"gone.png": "no file", "empty.png": "no picture", "text.png": "no picture"}.items():
        ran = stoker("generate", "x", option, str(tmp_path / name))
        assert ran.code == 2
        assert name in ran.err
        assert told in ran.err
    assert not daemon.requests


def test_large_files_tell_how_far_they_are(daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect a word on a terminal on how far a large file is."""
    (tmp_path / "large.bin").write_bytes(bytes(5 << 20))
    with terminal("upload", str(tmp_path / "large.bin"), endpoint=daemon.control) as shown:
        assert shown.end() == 0
        assert "large.bin: 5.0 MiB of 5.0 MiB" in shown.screen


def test_upload_prints_what_means_the_files(stoker: Stoker, daemon: FakeDaemon, fox: Path, graph: Path) -> None:
    """We expect a value for each file, in their order."""
    lines = stoker("upload", str(fox), str(graph)).out.splitlines()
    assert lines[0] == BLOB
    assert len(daemon.world.blobs) == 2
    assert stoker("upload", str(fox), "--json").json == {"files": {str(fox): BLOB}}
    assert stoker("upload", str(fox.parent / "gone")).code == 2


def test_a_workflow_is_sent(stoker: Stoker, daemon: FakeDaemon, graph: Path) -> None:
    """We expect the graph of the file in the submit, of items on a command line and of those in a file."""
    stoker("generate", "--workflow", str(graph), "--set", "sampler.steps=3")
    assert codec.unpack(submitted(daemon).workflow) == WORKFLOW
    items = graph.with_suffix(".jsonl")
    items.write_text('"a"\n"b"\n')
    assert stoker("submit", str(items), "--workflow", str(graph), "--profile", "speed").code == 0
    assert codec.unpack(submitted(daemon).workflow) == WORKFLOW
    assert submitted(daemon).profile == "speed"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_workflow_from_windows(stoker: Stoker, daemon: FakeDaemon, graph: Path, encoding: str) -> None:
    """We expect a file with a mark of its byte order to be read, which redirecting makes there."""
    graph.write_text(json.dumps(WORKFLOW), encoding=encoding)
    assert stoker("generate", "x", "--workflow", str(graph)).code == 0
    assert codec.unpack(submitted(daemon).workflow) == WORKFLOW


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{", "is no JSON"), (b"[]", "map of nodes"), (b"\xff", "is no JSON"), (None, "no such file")],
)
def test_a_file_that_is_no_workflow(
    stoker: Stoker, daemon: FakeDaemon, graph: Path, content: bytes | None, told: str
) -> None:
    """We expect the file to be named, and why it can't be used, before anything is asked."""
    graph.unlink() if content is None else graph.write_bytes(content)
    ran = stoker("generate", "x", "--workflow", str(graph))
    assert ran.code == 2
    assert "mine.json" in ran.err
    assert told in ran.err
    assert not daemon.requests


def test_a_refused_workflow_names_its_file(stoker: Stoker, daemon: FakeDaemon, graph: Path) -> None:
    """We expect the file beside what the daemon finds wrong in it, and beside nothing else."""
    items = graph.with_suffix(".jsonl")
    items.write_text('"a"\n')
    for command in (["generate", "x"], ["submit", str(items)]):
        wrong = Refused(ErrorCode.BAD_REQUEST, "node 3: no", field="workflow.3.class_type", hint="export it")
        daemon.refuse("submit", wrong)
        ran = stoker(*command, "--workflow", str(graph), "--json")
        assert (ran.code, ran.error["message"]) == (2, f"{graph}: node 3: no")
        daemon.refuse("submit", Refused(ErrorCode.BAD_REQUEST, "no such model", field="model"))
        assert stoker(*command, "--workflow", str(graph), "--json").error["message"] == "no such model"


def test_a_begun_job_has_its_recipe(stoker: Stoker, daemon: FakeDaemon, graph: Path) -> None:
    """We expect a recipe to be refused where items are added to a job that is there."""
    daemon.add_job("mine", is_open=True)
    ran = stoker("submit", str(graph), "--continue", "mine", "--recipe", "txt2img")
    assert ran.code == 2
    assert "--recipe" in ran.err


def test_the_recipe_is_shown(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the recipe in the queue, in a job, in what is told of it, and in its JSON."""
    daemon.world.engines = [COMFYUI]
    daemon.add_job("mine", model="dream.safetensors", recipe="img2img", engine="comfyui")
    assert "dream.safetensors by img2img" in stoker("status").out
    assert "img2img of comfyui" in stoker("status", "mine").out
    assert stoker("status", "mine", "--json").json["recipe"] == "img2img"


def test_rerun_by_recipe(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect the recipe that made the picture, and no workflow."""
    file = a_picture(tmp_path / "x.png", json.dumps({**RECIPE, "recipe": "txt2img"}), prompt=json.dumps(WORKFLOW))
    assert stoker("rerun", str(file)).code == 0
    assert (submitted(daemon).recipe, codec.unpack(submitted(daemon).workflow)) == ("txt2img", {})


def test_rerun_by_workflow(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect the graph in the picture where no recipe made it, and the file to be named if it is refused."""
    own = json.dumps({**RECIPE, "recipe": "workflow", "workflow": "a lie"})
    file = a_picture(tmp_path / "x.png", own, prompt=json.dumps(WORKFLOW))
    assert stoker("rerun", str(file), "--set", "steps=3").code == 0
    assert (submitted(daemon).recipe, codec.unpack(submitted(daemon).workflow)) == ("", WORKFLOW)
    daemon.refuse("submit", Refused(ErrorCode.BAD_REQUEST, "node 3: no", field="workflow.3"))
    assert stoker("rerun", str(file), "--json").error["message"] == f"{file}: node 3: no"


@pytest.mark.parametrize("prompt", [None, "{", "[]"])
def test_rerun_without_the_workflow(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path, prompt: str | None) -> None:
    """We expect a picture to be refused that says it was made by a workflow, and has none."""
    file = a_picture(tmp_path / "x.png", json.dumps({**RECIPE, "recipe": "workflow"}), prompt=prompt)
    ran = stoker("rerun", str(file))
    assert ran.code == 2
    assert "damaged" in ran.err
    assert not daemon.requests
