"""Several models stay loaded where the configuration says so, and pinned ones stay when others have to go."""

from pathlib import Path

import pytest
from tests.system.daemons import SPRITES, a_rig, config

from stoker_protocol.events import ModelLoaded


@pytest.mark.parametrize(
    ("scheduling", "models", "loads"),
    [
        ("resident_models = 2", "ab ab ab", "ab"),
        ("resident_models = 1", "ab ab", "abab"),
        ('pins = ["sprites/A"]', "ab ac ab", "abcb"),
    ],
)
def test_loads(tmp_path: Path, scheduling: str, models: str, loads: str) -> None:
    """We expect a model that is still there not to be loaded again."""
    names = dict(zip("abc", ("classic", "neon", "handheld"), strict=True))
    text = config(engines=SPRITES + f"[scheduling]\n{scheduling.replace('A', names['a'])}\n")
    with a_rig(tmp_path, text) as rig:
        for letter in models.replace(" ", ""):
            job = rig.client.submit(["a red dragon"], model=names[letter], params={"width": 16, "height": 16}).job_id
            assert rig.wait(job).state == "succeeded"
        loaded = [event.model for event in rig.events(ModelLoaded)]
    assert loaded == [names[letter] for letter in loads]
