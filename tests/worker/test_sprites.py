"""The embedded model family `sprites`: what words and seeds decide, what a run yields, and how it emerges."""

import colorsys
import hashlib
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stoker_protocol.errors import FailureKind
from stoker_worker.model import BatchItem, Failure, Interrupted, Output
from stoker_worker.models.sprites import Sprites

Pixel = tuple[int, int, int, int]

PROMPTS = """a red dragon|a tiny teal slime|an armoured knight|an old wizard|a golden owl|a rusty robot|a sleepy bear
a purple ghost|a happy mushroom|a giant crab|a striped snake|a spotted frog|an ice dragon|a fiery wolf
a unicorn princess|a rainbow unicorn|a pirate cat|a wizard cat|a dragon knight|a viking bear|a ninja frog
a crowned slime|a winged fox|a horned rabbit|an undead horse|a mechanical spider|a poison toad|an electric mouse
a cosmic whale|a night bat|a glowing jellyfish|a spiky turtle|a fluffy sheep|a royal penguin|an angry chicken
a baby elephant|a demon queen|a goblin archer|a skeleton pirate|a stone golem|a lava golem|a treant
a haunted castle|a cozy house|a rocket|a pirate ship|a mimic chest|a love potion|a flaming sword|a blue shield
a cactus with a hat|a pumpkin king|a black cat with a scarf|a blue bird|a phoenix|a tiger in a top hat|a samurai
an alien|an astronaut|a vampire|a zombie|glorp|the thing from the deep|xyzzy 42""".replace("\n", "|").split("|")


class Reports:
    """Collects what a model reports; raises Interrupted at a given step."""

    def __init__(self, previews: bool = False, stop_at: int = 0) -> None:
        self.wants_preview = previews
        self.stop_at = stop_at
        self.calls: list[dict[str, Any]] = []

    def __call__(
        self, *, phase: str, step: int, steps: int, preview: bytes | None = None, position: int | None = None
    ) -> None:
        if self.stop_at and step >= self.stop_at:
            raise Interrupted
        self.calls.append({"phase": phase, "step": step, "steps": steps, "preview": preview, "position": position})


def run(*items: dict[str, Any], model: str = "classic", report: Reports | None = None) -> list[Output | Failure]:
    """All that one batch yields."""
    made = Sprites(model, {"load_s": 0})
    made.load()
    batch = [BatchItem(position, params) for position, params in enumerate(items)]
    return list(made.run(batch, report or Reports()))


def png(prompt: str, *, model: str = "classic", **params: Any) -> bytes:
    """The picture of one prompt."""
    (output,) = run({"prompt": prompt, "steps": 1, **params}, model=model)
    assert isinstance(output, Output)
    return output.data


def decode(data: bytes) -> tuple[int, int, list[Pixel]]:
    """A tiny decoder of its own: 8-bit RGBA, filter 0, not interlaced; checks every CRC."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, dict[bytes, bytes]()
    while place < len(data):
        (length,), kind = struct.unpack(">I", data[place : place + 4]), data[place + 4 : place + 8]
        body = data[place + 8 : place + 8 + length]
        (crc,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert crc == zlib.crc32(kind + body)
        chunks[kind] = chunks.get(kind, b"") + body
        place += 12 + length
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 6, [0, 0, 0])
    raw, line = zlib.decompress(chunks[b"IDAT"]), width * 4 + 1
    assert len(raw) == height * line
    pixels: list[Pixel] = []
    for row in range(height):
        assert raw[row * line] == 0
        pixels += struct.iter_unpack("4B", raw[row * line + 1 : (row + 1) * line])
    return width, height, pixels


def grid(prompt: str, **params: Any) -> list[Pixel]:
    """The pixels of one prompt at one pixel each."""
    return decode(png(prompt, width=32, height=32, **params))[2]


def differing(one: list[Pixel], other: list[Pixel]) -> int:
    """How many pixels are not the same."""
    return sum(a != b for a, b in zip(one, other, strict=True))


def overlap(one: list[Pixel], other: list[Pixel]) -> float:
    """Intersection over union of two silhouettes."""
    pairs = [(a[3] > 200, b[3] > 200) for a, b in zip(one, other, strict=True)]
    return sum(a and b for a, b in pairs) / sum(a or b for a, b in pairs)


def hue(pixels: list[Pixel]) -> float:
    """The hue in degrees that most of the coloured pixels have, to 15 degrees."""
    bins = [0] * 24
    for red, green, blue, alpha in pixels:
        turn, light, vivid = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
        if alpha == 255 and vivid > 0.25 and 0.2 < light < 0.9:
            bins[int(turn * 24) % 24] += 1
    return bins.index(max(bins)) * 15 + 7.5


def far(one: list[Pixel], other: list[Pixel]) -> int:
    """The squared distance of two pictures, over black, opacity included."""
    return sum(
        sum((a * p[3] // 255 - b * q[3] // 255) ** 2 for a, b in zip(p, q, strict=True))
        for p, q in zip(one, other, strict=True)
    )


def test_the_same_recipe_gives_the_same_bytes_in_another_process() -> None:
    """Two processes with different hash seeds draw the same file."""
    script = (
        "import hashlib, sys\n"
        "from stoker_worker.model import BatchItem\nfrom stoker_worker.models.sprites import Sprites\n"
        "def report(**_): pass\n"
        "report.wants_preview = False\n"
        "items = [BatchItem(n, {'prompt': p, 'seed': 7}) for n, p in enumerate(sys.argv[1:])]\n"
        "for out in Sprites('classic', {}).run(items, report): print(hashlib.sha256(out.data).hexdigest())\n"
    )
    prompts = ("a red dragon", "zorp", "grass tile")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    said = [
        subprocess.run(
            [sys.executable, "-c", script, *prompts],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    here = [hashlib.sha256(png(prompt, seed=7)).hexdigest() for prompt in prompts]
    assert said == [here, here]


def test_64_prompts_give_64_creatures() -> None:
    """Any two of 64 prompts differ in at least a tenth of the picture."""
    made = [grid(prompt) for prompt in PROMPTS]
    assert len(made) == 64
    closest = min(
        (differing(one, other), PROMPTS[a], PROMPTS[b])
        for a, one in enumerate(made)
        for b, other in enumerate(made)
        if a < b
    )
    assert closest[0] > 102, closest


@pytest.mark.parametrize(
    ("word", "expected"), [("red", 0), ("orange", 30), ("green", 120), ("teal", 180), ("blue", 218), ("purple", 280)]
)
def test_a_colour_word_decides_the_hue(word: str, expected: float) -> None:
    """Most coloured pixels of a slime have the hue that the prompt names, within 25 degrees."""
    gap = abs(hue(grid(f"a {word} slime")) - expected)
    assert min(gap, 360 - gap) <= 25


def test_seeds_change_details_and_not_who_it_is() -> None:
    """Seeds of one prompt differ, and are more alike in outline than any two prompts."""
    prompts = ("an orange cat", "an owl", "a crab", "a pirate", "a castle")
    firsts = {prompt: grid(prompt, seed=0) for prompt in prompts}
    for prompt, first in firsts.items():
        others = [grid(prompt, seed=seed) for seed in range(1, 6)]
        alike = min(overlap(first, other) for other in others)
        assert alike > 0.85
        assert min(differing(first, other) for other in others) > 0
        assert max(overlap(first, other) for name, other in firsts.items() if name != prompt) < alike


@pytest.mark.parametrize(
    "prompt", ["a knight", "a cat", "a spider", "a slime", "a dragon", "a duck", "a ghost", "glorp"]
)
def test_a_walk_is_a_loop(prompt: str) -> None:
    """Neighbouring frames differ, the creature stays recognisable, and frame n is frame 0 again."""
    frames = [grid(prompt, pose="walk", frame=frame, frames=4) for frame in range(5)]
    assert all(differing(one, other) > 8 for one, other in pairwise(frames))
    assert all(overlap(frames[0], other) > 0.6 for other in frames)
    assert frames[4] == frames[0]


def test_poses_look_different() -> None:
    """Every two poses of a creature differ."""
    family = Sprites.describe({})
    poses = next(parameter.choices for parameter in family.parameters if parameter.name == "pose")
    assert poses is not None
    for prompt in ("a knight", "a fox", "a frog", "a rocket"):
        assert len({png(prompt, pose=pose) for pose in poses}) == len(poses)


def test_creatures_stand_on_transparency() -> None:
    """Corners are clear, and no creature is lost or fills the whole picture."""
    for prompt in PROMPTS:
        alphas = [pixel[3] for pixel in grid(prompt)]
        assert alphas[0] == alphas[31] == 0, prompt
        assert 90 < sum(alpha > 60 for alpha in alphas) < 760, prompt


@pytest.mark.parametrize(("width", "height"), [(16, 16), (64, 64), (48, 48), (100, 64), (33, 512), (512, 512)])
@pytest.mark.parametrize("prompt", ["a wizard", "brick tiles"])
def test_the_picture_has_the_size_asked_for(prompt: str, width: int, height: int) -> None:
    """The file is a valid PNG of exactly the size, with something in it."""
    got_width, got_height, pixels = decode(png(prompt, width=width, height=height))
    assert (got_width, got_height, len(pixels)) == (width, height, width * height)
    assert len(set(pixels)) > 3


@pytest.mark.parametrize(
    "ground", ["grass", "stone", "water", "brick", "lava", "sand", "snow", "wood", "cobble", "ice"]
)
def test_tiles_tile(ground: str) -> None:
    """A tile is opaque, and its seam is no more visible than any other line of it."""
    pixels = grid(f"{ground} tile")
    assert {pixel[3] for pixel in pixels} == {255}
    lines = [pixels[row * 32 : row * 32 + 32] for row in range(32)]
    for rows in (lines, [list(column) for column in zip(*lines, strict=True)]):
        steps = [far(rows[place - 1], rows[place]) for place in range(32)]  # steps[0] is the seam
        assert steps[0] <= max(steps[1:])


def test_a_tile_tiles_at_any_size() -> None:
    """A tile twice as wide as high is the square tile twice."""
    _, _, square = decode(png("stone tile", width=64, height=64))
    _, _, double = decode(png("stone tile", width=128, height=64))
    for row in range(64):
        assert double[row * 128 : row * 128 + 128] == square[row * 64 : row * 64 + 64] * 2


@pytest.mark.parametrize("prompt", ["a red dragon", "a royal penguin", "lava tile"])
def test_previews_come_nearer_and_end_in_the_result(prompt: str) -> None:
    """No preview is farther from the result than the one before, and the last one is the result."""
    report = Reports(previews=True)
    (output,) = run({"prompt": prompt, "steps": 12, "width": 32, "height": 32}, report=report)
    assert isinstance(output, Output)
    previews = [call["preview"] for call in report.calls if call["phase"] == "sampling"]
    final = decode(output.data)[2]
    distances = [far(decode(preview)[2], final) for preview in previews]
    assert len(previews) == 12
    assert previews[-1] == output.data
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0


def test_a_batch_steps_together() -> None:
    """A batch gives one report per step for all, and one output per member in order."""
    report = Reports()
    outputs = run(*({"prompt": f"creature {n}", "steps": 5} for n in range(4)), report=report)
    assert [call["step"] for call in report.calls if call["phase"] == "sampling"] == [1, 2, 3, 4, 5]
    assert [output.position for output in outputs] == [0, 1, 2, 3]
    assert {call["preview"] for call in report.calls} == {None}
    assert {output.media_type for output in outputs if isinstance(output, Output)} == {"image/png"}


def test_a_member_of_a_batch_looks_as_it_does_alone() -> None:
    """The company in a batch changes nothing."""
    items = [{"prompt": prompt, "steps": 2} for prompt in PROMPTS[:5]]
    together = [output.data for output in run(*items) if isinstance(output, Output)]
    assert together == [png(prompt) for prompt in PROMPTS[:5]]


def test_an_interrupt_ends_the_run() -> None:
    """What `report` raises comes out of the run, and nothing is yielded after it."""
    made = Sprites("classic", {"load_s": 0})
    running: Iterator[Output | Failure] = made.run([BatchItem(0, {"prompt": "a bee"})], Reports(stop_at=3))
    with pytest.raises(Interrupted):
        next(running)
    assert list(running) == []


def test_a_member_without_a_prompt_fails_alone() -> None:
    """A member without a prompt fails as `invalid`, and the others have their outputs."""
    failure, output = run({"steps": 1}, {"prompt": "a crow", "steps": 1})
    assert isinstance(failure, Failure)
    assert (failure.position, failure.kind) == (0, FailureKind.INVALID)
    assert isinstance(output, Output)
    assert output.position == 1


@pytest.mark.parametrize(
    "prompt",
    ["", " ", "🐉🔥", "....", "\x00\x1f", "龍", "a a a", "with", "x" * 5000, "\ud800", "tile", "the of and",
     "red green golden rainbow tiny huge angry happy winged horned icy fiery fluffy spiky night glowing royal cat"],
)  # fmt: skip
def test_any_text_gives_a_sprite(prompt: str) -> None:
    """Word soup, emoji, blanks and broken Unicode still draw something."""
    assert sum(pixel[3] > 0 for pixel in grid(prompt)) > 60


def test_every_kind_and_trait_can_be_drawn() -> None:
    """Each creature word with each trait word gives a picture, in each look."""
    from stoker_worker.models.sprites import words

    kinds, traits = sorted(words.NATURAL), sorted(set(words.TRAIT_WORDS.values()))
    for place, kind in enumerate(kinds):
        record = run({"prompt": f"{traits[place % len(traits)]} {kind}", "steps": 1}, model="neon")[0]
        assert isinstance(record, Output)
        assert record.record["creature"] == kind
    for place, trait in enumerate(traits):
        grid(f"{trait} {kinds[place * 3 % len(kinds)]}", pose="attack", model="handheld")


@pytest.mark.parametrize(
    ("prompt", "creature", "ground"),
    [
        ("a knight riding a dragon", "knight", None),
        ("cat wizard", "cat", None),
        ("frog prince", "frog", None),
        ("two kittens", "cat", None),
        ("stone golem", "golem", None),
        ("mossy stone tileset", "tile", "stone"),
        ("grass", "tile", "grass"),
        ("treasure chest", "chest", None),
    ],
)
def test_words_decide_what_is_drawn(prompt: str, creature: str, ground: str | None) -> None:
    """The record names the creature, or the ground, that the words ask for."""
    (output,) = run({"prompt": prompt, "steps": 1})
    assert isinstance(output, Output)
    assert (output.record["creature"], output.record.get("ground")) == (creature, ground)
    assert output.record["palette"]


def test_models_look_different() -> None:
    """Each model draws another picture, and the handheld one has four opaque greens at most."""
    family = Sprites.describe({})
    assert len({png("a red dragon", model=facts.name) for facts in family.models}) == len(family.models) == 3
    opaque = {pixel for pixel in grid("a rainbow unicorn", model="handheld") if pixel[3] == 255}
    assert len(opaque) <= 4
    assert all(green >= max(red, blue) for red, green, blue, _ in opaque)


def test_an_unknown_model_is_refused() -> None:
    """The error names the models that there are."""
    with pytest.raises(ValueError, match="classic, handheld, neon"):
        Sprites("photoreal", {})


def test_an_absent_seed_comes_from_the_prompt() -> None:
    """No seed, and the seed that the record then names, give the same picture."""
    (output,) = run({"prompt": "a snail", "steps": 1})
    assert isinstance(output, Output)
    assert 0 <= output.record["seed"] < 2**63
    assert png("a snail", seed=output.record["seed"]) == output.data


def test_the_worker_needs_no_more_than_the_standard_library() -> None:
    """The family imports neither NumPy nor Pillow, nor what a worker must not."""
    folder = Path(sys.modules["stoker_worker.models.sprites"].__file__ or "").parent
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    for name in ("numpy", "PIL", "asyncio", "sqlite3", "httpx", "psutil", "structlog", "zmq"):
        assert f"import {name}" not in text
        assert f"from {name}" not in text
