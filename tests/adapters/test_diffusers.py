"""The adapter to Diffusers on a real pipeline with random weights: batches, seeds, progress, interrupts, refusals."""

import asyncio
import os
import subprocess
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops
from tests.adapters.studio import BOUND_S, PICTURES, PYTHON, Studio
from tests.conformance.bench import Recorder, members
from tests.fakes.torch import Cuda

from stoker_daemon.jobs.records import Output

ROUNDING = 2
"""Levels of 255 by which a picture may differ: a batch is added up in another order than a picture alone."""


def test_a_batch_of_different_prompts_and_seeds(studio: Studio) -> None:
    """Each member of a batch gets its own picture, the one that it would get alone."""
    items: list[dict[str, Any]] = [
        {"prompt": "a red dragon", "seed": 1},
        {"prompt": "a blue owl", "seed": 2, "negative": "red"},
        {"prompt": "a red dragon", "seed": 3},
        {"prompt": "the sea", "seed": 3},
    ]
    together = [picture(output) for output in studio.run(PICTURES, *items).outputs]
    alone = [picture(studio.run(PICTURES, item).outputs[0]) for item in items]
    assert [each.size for each in together] == [(64, 64)] * 4
    for one, other in zip(together, alone, strict=True):
        assert farthest(one, other) <= ROUNDING
    assert farthest(together[0], together[1]) > 20
    assert farthest(together[0], together[2]) > 20
    assert farthest(together[2], together[3]) > ROUNDING


def test_sizes_and_steps_may_differ_within_a_batch(studio: Studio) -> None:
    """Items of different shapes share a run, each gets its size, and the steps of all count as those of one run."""
    recorder = studio.run(
        PICTURES,
        {"prompt": "a cat", "seed": 1, "width": 64, "height": 128, "steps": 3},
        {"prompt": "a cat", "seed": 1, "steps": 5, "cfg": 1.0},
        {"prompt": "an owl", "seed": 1, "width": 64, "height": 128, "steps": 3},
    )
    sizes = {output.position: picture(output).size for output in recorder.outputs}
    assert sizes == {0: (64, 128), 1: (64, 64), 2: (64, 128)}
    sampling = [(step, steps) for phase, step, steps in recorder.progress if phase == "sampling"]
    assert sampling == sorted(sampling)
    assert sampling[-1] == (8, 8)


def test_an_absent_seed_is_drawn_and_recorded(studio: Studio) -> None:
    """Two items without a seed differ, and the seed in the record gives the same picture again."""
    first, second = studio.run(PICTURES, {"prompt": "a cat"}, {"prompt": "a cat"}).outputs
    assert first.record["seed"] != second.record["seed"]
    assert farthest(picture(first), picture(second)) > 20
    (again,) = studio.run(PICTURES, {"prompt": "a cat", "seed": first.record["seed"]}).outputs
    assert farthest(picture(first), picture(again)) <= ROUNDING


def test_the_record_says_how_it_was_made(studio: Studio) -> None:
    """A record has all that is needed to make the picture again, defaults too, and by which versions it was made."""
    (output,) = studio.run(PICTURES, {"prompt": "a cat", "seed": 2**63 - 1}).outputs
    expected = {"prompt": "a cat", "negative": "", "seed": 2**63 - 1, "steps": 4, "cfg": 3.0, "width": 64, "height": 64}
    assert expected.items() <= output.record.items()
    assert output.record["pipeline"] == "StableDiffusionPipeline"
    assert {"stoker", "python", "torch", "diffusers", "transformers"} <= set(output.record["versions"])
    assert (output.media_type, output.suffix) == ("image/png", ".png")


def test_steps_are_told_and_shown(studio: Studio) -> None:
    """Each step can be seen, and who looks sees an unfinished picture that is none of noise at the end."""
    recorder = studio.run(PICTURES, {"prompt": "a cat", "seed": 1, "steps": 20}, wants_previews=True)
    assert recorder.progress[-1] == ("sampling", 20, 20)
    position, _, steps, shown = recorder.previews[0]
    assert (position, steps) == (0, 20)
    preview = Image.open(BytesIO(shown))
    assert preview.format == "PNG"
    assert max(preview.size) <= 128


def test_an_interrupt_between_two_steps(studio: Studio) -> None:
    """A run is stopped long before its last step, and the next one is none the worse."""
    before = picture(studio.run(PICTURES, {"prompt": "a cat", "seed": 5}).outputs[0])
    recorder = Recorder()
    assert studio.wait(_interrupted(studio, {"prompt": "a cat", "seed": 5, "steps": 500}, recorder)) is False
    assert recorder.outputs == []
    assert recorder.progress[-1][1] < 500
    after = picture(studio.run(PICTURES, {"prompt": "a cat", "seed": 5}).outputs[0])
    assert farthest(before, after) == 0


def test_what_can_not_be_drawn_fails_alone(studio: Studio) -> None:
    """A size that the pipeline can't do fails its item by name and value, and the others are drawn."""
    recorder = studio.run(PICTURES, {"prompt": "a cat", "width": 100}, {"prompt": "an owl"})
    assert recorder.failures == [(0, "invalid", "params.width: 100 is no multiple of 8")]
    assert recorder.positions == [1]


def test_torch_says_in_its_own_words_that_memory_ran_out() -> None:
    """What torch raises when the host's memory does not do is known as want of memory."""
    program = (
        "import torch\nfrom stoker_worker.memory import is_out_of_memory\n"
        "try: torch.empty(1 << 50, dtype=torch.uint8)\n"
        "except RuntimeError as error: print(is_out_of_memory(error), is_out_of_memory(RuntimeError('other')))"
    )
    said = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, timeout=BOUND_S, check=True)
    assert said.stdout.split() == ["True", "False"]


def test_what_the_worker_asks_of_torch_is_there() -> None:
    """The real torch answers all that the one of the tests does, in the same way where there is no GPU."""
    names = [name for name in vars(Cuda) if not name.startswith("_")]
    program = (
        f"import torch\nassert all(callable(getattr(torch.cuda, name)) for name in {names})\n"
        "torch.cuda.empty_cache()\n"
        "print(torch.cuda.is_available(), torch.cuda.device_count(), torch.cuda.memory_allocated(0))"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    said = subprocess.run(
        [PYTHON, "-c", program], env=environment, capture_output=True, text=True, timeout=BOUND_S, check=True
    )
    assert said.stdout.split() == ["False", "0", "0"]


async def _interrupted(studio: Studio, item: dict[str, Any], recorder: Recorder) -> bool:
    """Whether a run came to its end that was interrupted once it had begun."""
    task = asyncio.ensure_future(studio.engine.run("long", members(item), recorder))
    moved = asyncio.ensure_future(recorder.moved.wait())
    await asyncio.wait({task, moved}, return_when=asyncio.FIRST_COMPLETED)
    await studio.engine.interrupt("long")
    moved.cancel()
    return await task


def picture(output: Output) -> Image.Image:
    """An output as pixels."""
    return Image.open(BytesIO(output.data)).convert("RGB")


def farthest(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of two pictures in any pixel and colour, of 255."""
    extremes = ImageChops.difference(one, other).getextrema()
    return max(high for _, high in extremes)  # pyright: ignore  # a pair for each colour
