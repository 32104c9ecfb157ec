"""What docs/comfyui.md says can be typed, in the order of the page."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from PIL import Image
from tests.fakes.comfyui.files import write_model
from tests.fakes.comfyui.harness import ComfyProcess
from tests.worker.processes import BOUND_S

from stoker_client.private_daemon import PrivateDaemon
from stoker_daemon import config
from stoker_daemon.config import ComfyConfig, load

PAGE = (Path(__file__).parents[2] / "docs" / "comfyui.md").read_text(encoding="utf-8")
MODELS = {
    "checkpoints/dream.safetensors": "checkpoint",
    "loras/pixel.safetensors": "lora",
    "vae/sharp.safetensors": "vae",
    "upscale_models/x4.safetensors": "upscaler",
}


def blocks(kind: str) -> list[str]:
    """The code blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path) -> Generator[tuple[Path, dict[str, str]]]:
    """A folder with the files that the page names, and an environment with a daemon and its server."""
    for path, kind in MODELS.items():
        write_model(tmp_path / "comfyui" / "models" / path, kind)
    folder = tmp_path / "desk"
    folder.mkdir()
    for name in ("fox.png", "mask.png"):
        Image.new("RGB", (64, 64), (200, 80, 40)).save(folder / name)
    (folder / "profiles.yaml").write_text("profiles:\n  draft:\n    steps: 9\n")
    (folder / "items.txt").write_text('"a fox"\n')
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "stoker").write_text(
        f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'from stoker_client.cli import main; main()' \"$@\"\n"
    )
    (programs / "stoker").chmod(0o755)
    with (
        ComfyProcess(tmp_path / "comfyui", stoker_nodes="yes") as server,
        PrivateDaemon(tmp_path / "data", args=["--comfyui", server.url]) as daemon,
    ):
        path = f"{programs}:{os.environ['PATH']}"
        yield folder, {**os.environ, "PATH": path, "STOKER_ENDPOINT": daemon.control}


def test_the_commands_work(desk: tuple[Path, dict[str, str]]) -> None:
    """We expect each command of the page to succeed, and those that wait to have their job succeed."""
    folder, environment = desk
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) > 20
    for line in lines:
        if line.startswith("stoker fetch"):
            _run("stoker watch knights", folder, environment)
        _run(line, folder, environment)
    assert len(list((folder / "knights").iterdir())) == 4


def test_the_configuration_loads(tmp_path: Path) -> None:
    """We expect the example to be a configuration, and the map of a recipe to be TOML."""
    recipe, example = blocks("toml")
    assert set(tomllib.loads(recipe)) == {"summary", "parameters"}
    (tmp_path / "stokerd.toml").write_text(example)
    loaded = load(tmp_path / "stokerd.toml")
    assert list(loaded.engines) == ["comfyui", "attic"]
    assert list(loaded.profiles) == ["draft"]


def test_the_table_is_complete() -> None:
    """We expect each key of a ComfyUI engine in the table with its default."""
    _, _, section = PAGE.partition("\n## Configuration\n")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S.*?) \|", section.partition("\n## ")[0], re.MULTILINE))
    fields = {field.name: field for field in msgspec.structs.fields(ComfyConfig)}
    assert list(rows) == list(fields)
    for name, told in rows.items():
        if told.startswith("`"):
            assert tomllib.loads(f"value = {told.strip('`')}")["value"] == fields[name].default
        else:
            assert fields[name].default in (msgspec.NODEFAULT, None, (), "")
    assert ComfyConfig in get_args(config.EngineConfig)


def _run(line: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
