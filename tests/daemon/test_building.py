"""What the daemon says of a configuration that only what is there can refute."""

import asyncio
from pathlib import Path

import pytest

from stoker_daemon.building import build_engines
from stoker_daemon.config import ComfyConfig, Config, ConfigError
from stoker_daemon.library import load_library
from stoker_daemon.outputs.blobs import BlobStore


def test_a_recipe_that_there_is_not(tmp_path: Path) -> None:
    """We expect a default recipe that nobody has to be refused at the start, with the one that may have been meant."""
    config = Config(engines={"studio": ComfyConfig(url="http://studio:8188", recipe="txt2imgg")})
    blobs = BlobStore(tmp_path)
    with pytest.raises(
        ConfigError, match=r"engines\.studio\.recipe: there is no recipe 'txt2imgg'; did you mean txt2img"
    ):
        build_engines(config, tmp_path, load_library(None, []), blobs)
    asyncio.run(blobs.close())
