"""Which optional inputs of a workflow are active, as the key of what can share a prompt says."""

from tests.daemon.recipes.servers import graph

from stoker_daemon.engines.comfyui.sharing import merge_key
from stoker_daemon.jobs.records import Signature
from stoker_daemon.recipes.controls import controls_of

LORA = {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["4", 0], "lora_name": "a", "strength_model": 1.0}}


def test_controls() -> None:
    """We expect each node for an optional input to be told by what it is for, as often as it is there."""
    bare = graph()
    assert controls_of(bare) == []
    assert controls_of({**bare, "20": LORA, "21": LORA, "22": {"class_type": "SetLatentNoiseMask", "inputs": {}}}) == [
        "lora",
        "lora",
        "mask",
    ]


def test_the_key_tells() -> None:
    """We expect the key of a workflow to end with its active inputs, and that of one without to be as it was."""
    bare, controlled = merge_key(graph(), "close"), merge_key({**graph(), "20": LORA}, "close")
    assert Signature("comfyui", "xl", bare).controls == []
    assert " with " not in bare
    assert Signature("comfyui", "xl", controlled).controls == ["lora"]
    assert merge_key({**graph(), "20": LORA}, "exact") == ""
