"""From a grid of colours to a picture of any size: whole pixels where they fit, and the stages of a preview."""

from collections.abc import Sequence
from random import Random

from stoker_worker.models.sprites import png
from stoker_worker.models.sprites.canvas import SIDE
from stoker_worker.models.sprites.palette import Rgba

CLEAR: Rgba = (0, 0, 0, 0)
Grid = Sequence[Rgba]
STAGES = 4


def sprite_png(grid: Grid, width: int, height: int) -> bytes:
    """The grid in the middle of a transparent picture, as large as fits, its pixels square."""
    room = min(width, height)
    whole = room // SIDE * SIDE
    side = whole if whole >= 0.8 * room else room  # a narrow margin is better than pixels of uneven size
    if room < SIDE:
        grid, side = shrunk(grid, room), room
    source = room if room < SIDE else SIDE
    picks = [place * source // side for place in range(side)]
    left, top = (width - side) // 2, (height - side) // 2
    margin, tail = bytes(4 * left), bytes(4 * (width - side - left))
    rows = [margin + b"".join(bytes(grid[row * source + pick]) for pick in picks) + tail for row in range(source)]
    blank = bytes(4 * width)
    lines = [blank] * top + [rows[pick] for pick in picks] + [blank] * (height - side - top)
    return png.encode(width, height, lines)


def tile_png(grid: Grid, width: int, height: int) -> bytes:
    """The tile over the whole picture, repeated where one side is much the longer, so that the picture still tiles."""
    unit = min(width, height)
    across, down = (max(1, round(length / unit)) for length in (width, height))
    columns = [place * SIDE * across // width % SIDE for place in range(width)]
    rows = [b"".join(bytes(grid[row * SIDE + column]) for column in columns) for row in range(SIDE)]
    return png.encode(width, height, [rows[place * SIDE * down // height % SIDE] for place in range(height)])


def shrunk(grid: Grid, side: int) -> list[Rgba]:
    """The grid with `side` < 32 pixels a side: the mean of what falls on each, weighted by its opacity."""
    spans = [(place * SIDE / side, (place + 1) * SIDE / side) for place in range(side)]
    return [_mean(grid, left, right, top, bottom) for top, bottom in spans for left, right in spans]


def _mean(grid: Grid, left: float, right: float, top: float, bottom: float) -> Rgba:
    sums = [0.0, 0.0, 0.0, 0.0]
    for y in range(int(top), min(SIDE, int(bottom - 1e-9) + 1)):
        for x in range(int(left), min(SIDE, int(right - 1e-9) + 1)):
            share = (min(right, x + 1) - max(left, x)) * (min(bottom, y + 1) - max(top, y))
            red, green, blue, alpha = grid[y * SIDE + x]
            for place, part in enumerate((red, green, blue, 255)):
                sums[place] += share * alpha * part
    weight = sums[3] / 255
    if weight <= 0:
        return CLEAR
    area = (right - left) * (bottom - top)
    return round(sums[0] / weight), round(sums[1] / weight), round(sums[2] / weight), round(weight / area)


def emerging(grid: Grid, step: int, steps: int, seed: int) -> list[Rgba]:
    """The grid at `step` of `steps`: from coarse noise in its own colours to the whole; the last step is the grid.

    Each pixel walks through noise, the mean colour of its neighbourhood and a flat tone to its own colour, and keeps
    the nearest to the end that it has seen, so that no step is farther from the end than the one before.
    """
    rng = Random(seed)
    seen = sorted({colour for colour in grid if colour[3]}) or [CLEAR]
    coarse = [rng.random() for _ in range(64)]
    noise = [rng.choice(seen) if rng.random() < 0.55 else CLEAR for _ in range(256)]
    blocks, quarters = _blocks(grid, 4), _blocks(grid, 2)
    share = step / steps
    result: list[Rgba] = []
    for index, final in enumerate(grid):
        x, y = index % SIDE, index // SIDE
        late = 0.6 * coarse[y // 4 * 8 + x // 4] + 0.4 * rng.random()
        stage = min(STAGES - 1, int((share * 1.6 - 0.6 * late) * STAGES)) if step < steps else STAGES - 1
        walk = (noise[y // 2 * 16 + x // 2], blocks[y // 4 * 8 + x // 4], quarters[y // 2 * 16 + x // 2], final)
        result.append(min(walk[: max(0, stage) + 1], key=lambda colour: _gap(colour, final)))
    return result


def _blocks(grid: Grid, size: int) -> list[Rgba]:
    return shrunk(grid, SIDE // size)


def _gap(one: Rgba, other: Rgba) -> int:
    """The squared distance of two colours over black, and of their opacities."""
    return sum((a * one[3] // 255 - b * other[3] // 255) ** 2 for a, b in zip(one, other, strict=True))
