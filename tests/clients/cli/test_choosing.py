"""`stoker engines`, `models`, `recipes` and `profiles`: what there is to choose from, for people and for scripts."""

import json
import re
from pathlib import Path

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.test_help import complete
from tests.fakes.daemon import FakeDaemon
from tests.fakes.offers import COMFYUI, PROFILE, RECIPE, SPRITES, WORKFLOW

from stoker_protocol import codec


@pytest.fixture(autouse=True)
def comfyui(daemon: FakeDaemon) -> None:
    """Let the daemon have an engine with recipes, and hundreds of models."""
    daemon.world.engines = [COMFYUI, SPRITES]


def test_a_server_is_shown(stoker: Stoker) -> None:
    """We expect where the server is, its version, devices, queue, cache, node packs and last error."""
    out = stoker("engines").out
    for fact in (
        "http://127.0.0.1:8188 (version 0.33.0)",
        "a GPU, 6.0 GiB of 24.0 GiB free",
        "1 of ours, 2 of others",
        "results of the last prompt",
        "a-pack, another-pack",
        "KSampler: out of memory",
    ):
        assert fact in out


def test_many_models_are_counted(stoker: Stoker) -> None:
    """We expect of hundreds of models how many there are of each kind, and not their names."""
    out = stoker("engines").out
    assert [line.split() for line in out.splitlines() if line.startswith(("checkpoint", "lora", "vae"))] == [
        ["checkpoint", "1"],
        ["lora", "200"],
        ["vae", "1"],
    ]
    assert "style-007" not in out
    assert len(stoker("engines", "--json").json["engines"][0]["models"]) == 202


def test_models_by_kind(stoker: Stoker) -> None:
    """We expect the models of one kind, or of one engine, each on a line."""
    assert stoker("models", "--kind", "vae").out.splitlines()[1:] == ["sharp.safetensors  vae   comfyui"]
    assert len(stoker("models").out.splitlines()) == 1 + 202 + 1
    shape = stoker("models", "--kind", "checkpoint", "--json").json
    assert {one["engine"]: [m["name"] for m in one["models"]] for one in shape["engines"]} == {
        "comfyui": ["dream.safetensors"],
        "sprites": ["plain"],
    }
    assert stoker("models", "--engine", "sprites", "--kind", "lora").out == "There are no models of the kind lora.\n"
    assert stoker("models", "--engine", "nobody").code == 2


def test_recipes_are_listed(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect each recipe with its engine and what it makes; without any, that there are none."""
    assert RECIPE.summary in stoker("recipes").out
    (shape,) = stoker("recipes", "--json").json["recipes"]
    assert (shape["name"], shape["engine"], len(shape["parameters"])) == ("txt2img", "comfyui", 3)
    daemon.world.engines = [SPRITES]
    assert stoker("recipes").out == "No engine here has recipes.\n"


def test_a_recipe_is_shown(stoker: Stoker) -> None:
    """We expect its parameters with ranges, defaults and all choices, and a command that makes something by it."""
    out = stoker("recipes", "show", "txt2img").out
    assert re.search("^steps +integer from 1 to 10000 +20 +how often", out, re.MULTILINE)
    assert "one of 40" in out
    assert "way-39" in out
    assert out.splitlines()[-1] == 'Try: stoker generate --recipe txt2img "a red dragon"'
    assert stoker("recipes", "txt2img").out == out
    assert stoker("recipes", "show", "txt2img", "--json").json["workflow"] == WORKFLOW


def test_the_workflow_of_a_recipe(stoker: Stoker) -> None:
    """We expect `--workflow` to print what `generate --workflow` takes, and nothing else."""
    assert json.loads(stoker("recipes", "show", "txt2img", "--workflow").out) == WORKFLOW
    assert stoker("recipes", "--workflow").code == 2


@pytest.mark.parametrize("words", [["show"], ["show", "a", "b"], ["a", "b"]])
def test_one_recipe_is_named(stoker: Stoker, words: list[str]) -> None:
    """We expect other words than one name to be refused with an example."""
    ran = stoker("recipes", *words)
    assert ran.code == 2
    assert "stoker recipes show txt2img" in ran.err


def test_an_unknown_recipe(stoker: Stoker) -> None:
    """We expect exit code 3 and the near name."""
    ran = stoker("recipes", "show", "txt3img", "--json")
    assert ran.code == 3
    assert ran.error["hint"] == "txt2img"


def test_profiles_are_listed(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect a column for each parameter that a profile says."""
    head, row = stoker("profiles").out.splitlines()
    assert head.split()[:4] == ["PROFILE", "BATCH", "STEPS", "CFG"]
    assert row.split()[:4] == ["speed", "8", "15", "7.0"]
    (shape,) = stoker("profiles", "--json").json["profiles"]
    assert (shape["name"], shape["batch_size"], shape["params"]) == ("speed", 8, codec.unpack(PROFILE.params))
    daemon.world.engines = [SPRITES]
    assert stoker("profiles").out == "There are no profiles.\n"


def test_profiles_are_imported(stoker: Stoker, tmp_path: Path) -> None:
    """We expect a table for the configuration on the standard output alone, and what was lost to be counted."""
    file = tmp_path / "profiles.yaml"
    file.write_text("profiles:\n  Draft:\n    steps: 9\n    cfg_scale: 7\n    glow: 3\n")
    ran = stoker("profiles", "import", str(file))
    assert ran.code == 0
    assert "[profiles.draft]\nparams = { steps = 9, cfg = 7.0 }\n" in ran.out
    assert "1 key not known" in ran.err
    assert stoker("profiles", "import", str(file), "--json").json["profiles"][0]["left_out"] == ["glow"]


@pytest.mark.parametrize(
    ("content", "told"), [(b"[", "not YAML"), (b"a: 3", "is no map"), (b"\xff", "utf-8"), (None, "no such file")]
)
def test_what_can_not_be_imported(stoker: Stoker, tmp_path: Path, content: bytes | None, told: str) -> None:
    """We expect exit code 2, the file named, and why."""
    file = tmp_path / "profiles.yaml"
    if content is not None:
        file.write_bytes(content)
    ran = stoker("profiles", "import", str(file))
    assert (ran.code, ran.out) == (2, "")
    assert str(file) in ran.err
    assert told in ran.err
    assert stoker("profiles", "export").code == 2


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--recipe", "txt"], ["txt2img"]),
        (["--profile", ""], ["speed"]),
        (["--model", ""], ["dream.safetensors", "plain"]),
        (["--lora", "style-00"], [f"style-{number:03}.safetensors" for number in range(10)]),
        (["--vae", ""], ["sharp.safetensors"]),
        (["--sampler", "e"], ["euler"]),
    ],
)
def test_names_are_completed(daemon: FakeDaemon, words: list[str], offered: list[str]) -> None:
    """We expect the shell to offer recipes, profiles, and of models those that the option may name."""
    found = complete(daemon.control, "stoker", "generate", *words).split()
    assert [word.removeprefix("plain,") for word in found] == offered


def test_words_of_the_verbs_are_completed(daemon: FakeDaemon) -> None:
    """We expect the kinds of models, and the recipes that can be shown."""
    assert complete(daemon.control, "stoker", "models", "--kind", "").split() == [
        *("plain,checkpoint", "plain,lora", "plain,vae"),
    ]
    assert complete(daemon.control, "stoker", "recipes", "show", "t").split() == ["plain,txt2img"]


@pytest.mark.parametrize("words", [["generate", "--image"], ["generate", "--workflow"], ["profiles", "import"]])
def test_files_are_left_to_the_shell(daemon: FakeDaemon, words: list[str]) -> None:
    """We expect the shell to be told that a file is wanted, without a question to the daemon."""
    assert complete(daemon.control, "stoker", *words, "fo").split() == ["file,fo"]
    assert not daemon.requests
