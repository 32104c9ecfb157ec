"""What a ComfyUI server offers is what it last said, in the words of this house."""

import json
from pathlib import Path

from tests.fakes.comfyui.recorded import lines

from stoker_daemon.engines.comfyui.answers import SystemStats, decode
from stoker_daemon.engines.comfyui.catalogue import Catalogue
from stoker_daemon.recipes import object_info
from stoker_protocol.jobs import Device, ModelFacts

CLASSES = Path(__file__).parents[2] / "fakes" / "comfyui" / "object_info.json"


def stats(*argv: str) -> SystemStats:
    """What a server says that was started so."""
    system = {"comfyui_version": "1.2.3", "argv": ["main.py", *argv]}
    device = {"name": "cuda:0 NVIDIA", "type": "cuda", "index": 0, "vram_total": 10, "vram_free": 4}
    return decode(json.dumps({"system": system, "devices": [device]}).encode(), SystemStats)


def test_stats() -> None:
    """Version and devices are the last ones that were told."""
    catalogue = Catalogue()
    assert (catalogue.version, catalogue.devices, catalogue.models) == ("", [], [])
    for line in lines("12_info_endpoints.jsonl", "http"):
        if line["path"] == "/system_stats":
            catalogue.learn_stats(decode(json.dumps(line["response"]).encode(), SystemStats))
            assert catalogue.version == "0.12.1"
    catalogue.learn_stats(stats())
    assert (catalogue.version, catalogue.devices) == ("1.2.3", [Device("cuda:0 NVIDIA", "cuda", 10, 4)])


def test_models() -> None:
    """Models are known by kind, and those that are gone are forgotten."""
    catalogue = Catalogue()
    classes = json.loads(CLASSES.read_text(encoding="utf-8"))
    choices = classes["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"]
    for names in (["a.safetensors", "sub/b.safetensors"], ["c.safetensors"]):
        choices[0] = names
        catalogue.learn_classes(object_info.parse(json.dumps(classes).encode()))
        assert catalogue.of_kind("checkpoint") == [ModelFacts(name, kind="checkpoint") for name in names]
    assert "KSampler" in (catalogue.info.classes if catalogue.info else ())
