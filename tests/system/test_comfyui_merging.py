"""Items that share a prompt at a ComfyUI server: fewer prompts, and to each item what it gets alone."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.system.comfyui_studio import a_studio, knights

from stoker_client.errors import BadRequest
from stoker_protocol.events import BatchReduced, JobProgress, Preview
from stoker_protocol.jobs import ItemState

SAME: list[dict[str, Any]] = [{}] * 12


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
def test_64_items_are_8_prompts(tmp_path: Path, sampler: str) -> None:
    """We expect eight prompts of eight items, and to each item the picture and the metadata that it gets alone."""
    with a_studio(tmp_path) as studio:
        params = {"sampler": sampler}
        items = studio.made(knights(64), params=params)
        assert len(studio.prompts()) == 8
        assert len(set(studio.pixels(items))) == 64
        for number, item in enumerate(items):
            told, graph = studio.texts(item)
            assert told["index"] == number
            assert (told["params"]["prompt"], told["params"]["seed"]) == (f"knight {number}", 1000 + 7 * number)
            assert graph["positive"]["inputs"]["text"] == f"knight {number}"
            assert graph["sampler"]["inputs"]["seed"] == 1000 + 7 * number
            assert not any("#" in node_id for node_id in graph)
            assert studio.record(item)["batch"] == {"level": "close", "size": 8, "index": number % 8}
        alone = studio.made(knights(64), params=params, level="exact")
        assert len(studio.prompts()) == 8 + 64
        assert studio.pixels(items) == studio.pixels(alone)
        assert {studio.record(item)["batch"]["level"] for item in alone} == {"exact"}


def test_without_the_nodes_each_item_has_its_prompt(tmp_path: Path) -> None:
    """We expect as many prompts as items from a server without the node pack, and to be told why."""
    with a_studio(tmp_path, stoker_nodes="no") as studio:
        items = studio.made(knights(6))
        assert len(studio.prompts()) == 6
        assert {studio.record(item)["batch"]["level"] for item in items} == {"exact"}
        (engine,) = studio.rig.client.engines()
        assert engine.server is not None
        assert engine.server.levels == ["exact", "series"]
        said = {finding.part: finding.detail for finding in studio.rig.client.health().findings}
        assert "stokerd nodes install" in said["engine comfyui"]


def test_quality_is_exact(tmp_path: Path) -> None:
    """We expect a prompt for each item of a profile whose items don't batch, and shared ones of one whose do."""
    with a_studio(tmp_path) as studio:
        studio.made(knights(4), profile="quality")
        assert len(studio.prompts()) == 4
        items = studio.made(knights(4), profile="speed")
        assert len(studio.prompts()) == 5
        assert {studio.record(item)["batch"]["level"] for item in items} == {"close"}


def test_only_what_is_alike_shares_a_prompt(tmp_path: Path) -> None:
    """We expect items of one job that differ in more than seeds and texts in as many prompts as there are kinds."""
    with a_studio(tmp_path) as studio:
        sizes = [64, 128, 64, 64, 128, 64, 64, 64]
        items = studio.made([{**one, "width": size} for one, size in zip(knights(8), sizes, strict=True)])
        assert len(studio.prompts()) == 2
        assert [studio.record(item)["batch"]["size"] for item in items] == [6 if size == 64 else 2 for size in sizes]
        for item, size in zip(items, sizes, strict=True):
            with Image.open(studio.file(item)) as opened:
                assert opened.width == size


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
def test_a_series_is_the_images_of_one_seed(tmp_path: Path, sampler: str) -> None:
    """We expect batches of eight by the server's own nodes, and of each image its place and if it is the same alone."""
    with a_studio(tmp_path, stoker_nodes="no") as studio:
        params = {"sampler": sampler, "seed": 5, "prompt": "a knight"}
        items = studio.made(SAME, params=params, level="series")
        assert len(studio.prompts()) == 2
        assert len(set(studio.pixels(items))) == 12
        quiet = sampler == "euler"
        for number, item in enumerate(items):
            batch = studio.record(item)["batch"]
            size = 8 if number < 8 else 4
            assert batch == {
                "level": "series",
                "size": size,
                "index": number % 8,
                "image": number,
                "same_alone": quiet,
            }
            _, graph = studio.texts(item)
            assert graph["sampler#places"]["inputs"]["batch_index"] == number
            assert graph["sampler"]["inputs"]["seed"] == 5
        alone = studio.made(SAME, params=params, level="series", batch_size=1)
        assert len(studio.prompts()) == 14
        assert (studio.pixels(items) == studio.pixels(alone)) == quiet


def test_a_series_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """We expect a refusal with the reason, rather than the same picture many times."""
    with a_studio(tmp_path) as studio:
        with pytest.raises(BadRequest, match="'dpm_adaptive' can't make several items"):
            studio.submit(knights(2), params={"sampler": "dpm_adaptive"}, level="series")
        assert len(studio.made(knights(2), params={"sampler": "dpm_adaptive"}, level="close")) == 2
        assert len(studio.prompts()) == 2


def test_a_poison_item_stands_alone(tmp_path: Path) -> None:
    """We expect that a text that no sampler can take fails its item only, which is found by halving."""
    with a_studio(tmp_path, poison="cursed") as studio:
        items = knights(8)
        items[5]["prompt"] = "a cursed knight"
        job_id = studio.submit(items, max_attempts=1)
        job = studio.rig.wait(job_id)
        assert (job.items.succeeded, job.items.failed) == (7, 1)
        failed = studio.rig.items(job_id)[5]
        assert failed.error is not None
        assert (failed.state, failed.error.kind, failed.attempts) == (ItemState.FAILED, "server_error", 1)
        assert "a value is not a number" in failed.error.message
        # 8, its halves, the quarters of the second, the eighths of its first: 01234567 0123 4567 45 67 4 5
        assert len(studio.prompts()) == 7


def test_a_node_that_is_blamed_is_not_looked_for(tmp_path: Path) -> None:
    """We expect that an item whose own node fails is left out at once: the others go on together."""
    with a_studio(tmp_path, unreadable="smudged") as studio:
        items = knights(8)
        items[5]["prompt"] = "a smudged knight"
        job_id = studio.submit(items, max_attempts=1)
        job = studio.rig.wait(job_id)
        assert (job.items.succeeded, job.items.failed) == (7, 1)
        assert len(studio.prompts()) == 3
        sizes = Counter(studio.record(item)["batch"]["size"] for item in studio.rig.items(job_id) if item.artifacts)
        assert sizes == {7: 7}


def test_prompts_of_different_lengths_find_their_company(tmp_path: Path) -> None:
    """We expect that texts too different to be put together are made all the same, at no item's cost."""
    with a_studio(tmp_path) as studio:
        items = knights(4)
        items[2]["prompt"] = "a very long tale " * 100
        made = studio.made(items, max_attempts=1)
        assert [item.attempts for item in made] == [1] * 4
        assert len(studio.prompts()) == 5


def test_what_memory_does_not_bear_is_made_smaller(tmp_path: Path) -> None:
    """We expect halves after a batch that ran out of memory, no item charged, and no such batch again."""
    with a_studio(tmp_path, scheduling="", most_images=2) as studio:
        items = studio.made(knights(16))
        assert max(studio.record(item)["batch"]["size"] for item in items) == 2
        assert [item.attempts for item in items] == [1] * 16
        assert studio.rig.events(BatchReduced)[0].reason.endswith("ran out of memory")
        before = len(studio.prompts())
        more = studio.made(knights(8))
        assert len({studio.record(item)["prompt_id"] for item in more}) == len(studio.prompts()) - before


def test_progress_and_previews_are_of_the_items(tmp_path: Path) -> None:
    """We expect progress of a job whose items share a prompt, and previews of the item that the server shows."""
    with a_studio(tmp_path, preview_method="latent2rgb", step_s=0.02) as studio:
        job_id = studio.submit(knights(4), params={"steps": 30})
        events = [update.event for update in studio.rig.client.watch([job_id], previews=True)]
        percents = [event.progress.percent for event in events if isinstance(event, JobProgress)]
        assert percents == sorted(percents)
        assert any(0 < percent < 100 for percent in percents)
        assert {event.index for event in events if isinstance(event, Preview)} == {0}
        assert len(studio.prompts()) == 1
