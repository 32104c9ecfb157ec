"""Items that share a prompt at a real ComfyUI, by way of a daemon: fewer executions, and the same pictures."""

from collections.abc import Generator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from tests.conformance.conftest import REAL_URL
from tests.system.comfyui_studio import AT_ONCE, Studio, knights
from tests.system.daemons import a_rig, config

from stoker_protocol.jobs import Item

REAL = {"scheduler": "karras", "steps": 4, "cfg": 4.0, "height": 56}
"""64 by 56 pixels: the noise of such an image is no whole number of blocks."""
PATIENCE_S = 600.0
SHADES = 2
"""What a batch may change of a pixel, of 255."""


@pytest.fixture
def studio(tmp_path: Path) -> Generator[Studio]:
    """A daemon with the real server, which has the node pack."""
    engine = f'[engines.comfyui]\nkind = "comfyui"\nurl = "{REAL_URL}"\n'
    with a_rig(tmp_path, config(engines=AT_ONCE + engine)) as rig:
        yield Studio(rig, PATIENCE_S)


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde"])
def test_eight_items_are_one_execution(studio: Studio, sampler: str) -> None:
    """We expect one execution instead of eight, and pictures that differ from those made alone by rounding only."""
    params = {**REAL, "sampler": sampler}
    together = studio.made(knights(8), params=params)
    alone = studio.made(knights(8), params=params, level="exact")
    assert (executions(studio, together), executions(studio, alone)) == (1, 8)
    assert max(shades(studio, together, alone)) <= SHADES
    assert min(shades(studio, [one for one, _ in pairwise(together)], [other for _, other in pairwise(together)])) > 8
    for item in together:
        told, graph = studio.texts(item)
        assert graph["sampler"]["inputs"]["seed"] == told["params"]["seed"] == 1000 + 7 * item.index
        assert graph["positive"]["inputs"]["text"] == told["params"]["prompt"] == f"knight {item.index}"


def test_a_series_goes_on_where_it_ended(studio: Studio) -> None:
    """We expect of image k of a seed the same but for rounding in whatever batch, and alone."""
    params = {**REAL, "sampler": "euler", "prompt": "a knight", "seed": 5}
    items: list[dict[str, Any]] = [{}] * 10
    series = [studio.made(items, params=params, level="series", batch_size=size) for size in (0, 3, 1)]
    assert executions(studio, series[0]) < executions(studio, series[2]) == len(items)
    for other in series[1:]:
        assert max(shades(studio, series[0], other)) <= SHADES
    assert min(shades(studio, series[0][:-1], series[0][1:])) > SHADES


def executions(studio: Studio, items: Sequence[Item]) -> int:
    """How many prompts made these items."""
    return len({studio.record(item)["prompt_id"] for item in items})


def shades(studio: Studio, some: Sequence[Item], others: Sequence[Item]) -> list[int]:
    """How far pictures differ at their worst pixels."""
    found: list[int] = []
    for one, other in zip(some, others, strict=True):
        with Image.open(studio.file(one)) as left, Image.open(studio.file(other)) as right:
            found.append(max(ImageChops.difference(left.convert("RGB"), right.convert("RGB")).tobytes()))
    return found
