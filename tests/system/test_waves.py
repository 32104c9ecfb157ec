"""Jobs for several models in shuffled order: each model is loaded once, or, first come first served, with most jobs."""

from pathlib import Path

import pytest
from benchmarks.waves.daemons import ComfyUI, Kind, Sprites, measure

ITEMS = 20


@pytest.mark.parametrize("kind", [Sprites(), ComfyUI()], ids=lambda kind: kind.name)
def test_loads_in_waves(tmp_path: Path, kind: Kind) -> None:
    """We expect five models to be loaded some five times, by a worker of ours and by a ComfyUI server."""
    assert 5 <= measure(kind, "waves", ITEMS, 0.1, tmp_path).loads <= 8


def test_loads_first_come_first_served(tmp_path: Path) -> None:
    """We expect the same queue to need a load for most of its jobs when nothing gathers them."""
    assert measure(Sprites(), "fifo", ITEMS, 0.0, tmp_path).loads > ITEMS / 2
