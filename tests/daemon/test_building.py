"""What the daemon says of a configuration that only what is there can refute."""

import asyncio
from pathlib import Path

import pytest

from stoker_daemon.building import build_engines, build_pins
from stoker_daemon.config import ComfyConfig, Config, ConfigError, SchedulingConfig
from stoker_daemon.library import load_library
from stoker_daemon.outputs.blobs import BlobStore
from stoker_daemon.scheduling.residency import Key


def test_a_recipe_that_there_is_not(tmp_path: Path) -> None:
    """We expect a default recipe that nobody has to be refused at the start, with the one that may have been meant."""
    config = Config(engines={"studio": ComfyConfig(url="http://studio:8188", recipe="txt2imgg")})
    blobs = BlobStore(tmp_path)
    with pytest.raises(
        ConfigError, match=r"engines\.studio\.recipe: there is no recipe 'txt2imgg'; did you mean txt2img"
    ):
        build_engines(config, tmp_path, load_library(None, []), blobs)
    asyncio.run(blobs.close())


@pytest.mark.parametrize(
    ("pins", "most", "says"),
    [
        (["sprites"], 0, "scheduling.pins: 'sprites' is not of the form ENGINE/MODEL"),
        (["studio/x"], 0, "scheduling.pins: 'studio/x': there is no engine 'studio'; sprites"),
        (["sprites/neon", "sprites/classic"], 2, "scheduling.resident_models = 2 leaves no room .* 3 would"),
    ],
)
def test_pins_that_cannot_be(pins: list[str], most: int, says: str) -> None:
    """We expect a pin of nothing, or of all that there is room for, to be refused by its key with what would do."""
    with pytest.raises(ValueError, match=says):
        Config(scheduling=SchedulingConfig(pins=tuple(pins), resident_models=most))


def test_pins_of_a_lane() -> None:
    """We expect a pin to be known by its engine and model, also where the model is loaded together with others."""
    config = Config(scheduling=SchedulingConfig(pins=("sprites/neon",), resident_models=3))
    pins = build_pins(config, ["sprites"])
    assert Key("sprites", "neon") in pins
    assert Key("sprites", "neon + a lora") in pins
    assert Key("sprites", "neon two") not in pins
    assert Key("other", "neon") not in pins
    assert pins.of("sprites") == 1
    assert not build_pins(config, ["other"]).models
