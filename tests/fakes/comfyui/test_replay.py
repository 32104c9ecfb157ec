"""The fake answers as the real servers did that were recorded."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.fakes.comfyui.files import write_model
from tests.fakes.comfyui.harness import ComfyProcess
from tests.fakes.comfyui.replay import FLAGS, Hook, Replay, picture

RECORDINGS = Path(__file__).with_name("recordings")

OPTIONS: dict[str, dict[str, Any]] = {
    "06_interrupt": {"step_s": 0.05, "load_s": 0.5},
    "07_queue_ops_ids_ordering": {"step_s": 30},
    "08_same_number_same_id": {"step_s": 0.05},
    "09_reconnect_same_client_id": {"step_s": 0.4},
    "13_sigkill_and_restart": {"step_s": 0.05},
    "19_cache_mode_lru20": {"cache": "lru"},
    "19_cache_mode_none": {"cache": "none"},
}


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDINGS.glob("*.jsonl")))
def test_the_fake_answers_as_recorded(name: str, tmp_path: Path) -> None:
    """Each recorded request is answered with the recorded status, keys, types, words and order of events."""
    lines = (RECORDINGS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    make_files(tmp_path, name)
    version = "0.3.64" if name.startswith("v0.3.64") else "0.12.1"
    with ComfyProcess(tmp_path, version=version, preview_method="latent2rgb", **OPTIONS.get(name, {})) as fake:
        asyncio.run(replay(fake, rows))


async def replay(fake: ComfyProcess, rows: list[dict[str, Any]]) -> None:
    """Replay rows against a fake."""
    async with aiohttp.ClientSession() as session:
        await Replay(fake.url, session, hooks(fake)).run(rows)


def hooks(fake: ComfyProcess) -> dict[str, Hook]:
    """What the recorder did where it left only a note."""

    def send_flags(name: str) -> Hook:
        async def send(replay: Replay) -> None:
            await replay.sockets[name].send_json(FLAGS)

        return send

    async def run_five(replay: Replay) -> None:
        for number in range(5):
            image = {
                "class_type": "EmptyImage",
                "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": number},
            }
            save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "t/empty"}}
            body = {"prompt": {"1": image, "2": save}, "prompt_id": f"h{number}"}
            async with replay.session.post(f"{replay.url}/prompt", json=body) as reply:
                assert reply.status == 200

    return {
        "G: sent feature_flags after garbage": send_flags("G"),
        "H: sent feature_flags as SECOND": send_flags("H"),
        "A2 sees: status+sid": send_flags("A2"),
        "case 7: delete the output file": simply(lambda: delete_outputs(fake.directory)),
        "SIGKILL now": simply(fake.kill),
        "start again": simply(fake.start),
        "the prompts h0 to h4 ran here": run_five,
    }


def simply(act: Callable[[], None]) -> Hook:
    """A hook that needs nothing of the replay."""

    async def hook(_: Replay) -> None:
        act()

    return hook


def delete_outputs(directory: Path) -> None:
    """Delete what was saved so far."""
    for path in directory.glob("output/t/*"):
        path.unlink()


def make_files(directory: Path, recording: str) -> None:
    """Make the models and inputs that the recorded server had."""
    models = directory / "models"
    write_model(models / "checkpoints/random_sd15.safetensors", "checkpoint", **{"modelspec.title": TITLE})
    write_model(models / "checkpoints/sub/random_b.safetensors", "checkpoint")
    write_model(models / "loras/random_lora.safetensors", "lora")
    write_model(models / "embeddings/rnd_emb.safetensors", "embedding")
    if not recording.startswith("04"):
        (models / "checkpoints/corrupt.safetensors").write_bytes(b"this is no model")
        write_model(models / "checkpoints/not_a_checkpoint.safetensors", "lora")
    inputs = directory / "input"
    inputs.mkdir()
    (inputs / "red.png").write_bytes(picture(361))
    (inputs / "corrupt.png").write_bytes(b"this is no picture")


TITLE = "random test weights (no trained content)"
