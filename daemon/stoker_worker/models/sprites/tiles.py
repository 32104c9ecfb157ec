"""Ground that tiles: each kind is drawn on a torus, so that the right edge continues on the left, the foot on top."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from stoker_worker.models.sprites import palette
from stoker_worker.models.sprites.canvas import BASE, LIGHT, OUTLINE, SHADE, SHINE, SIDE
from stoker_worker.models.sprites.palette import COLOURS, FIXED, Rgba, Tone
from stoker_worker.models.sprites.prompt import Recipe, number

TONES: Mapping[str, Tone] = {
    "grass": Tone(0.66, 0.17, 140),
    "stone": Tone(0.60, 0.02, 260),
    "cobble": Tone(0.66, 0.03, 250),
    "water": Tone(0.62, 0.13, 240),
    "brick": Tone(0.57, 0.12, 35),
    "lava": Tone(0.33, 0.06, 25),
    "sand": Tone(0.83, 0.09, 85),
    "snow": Tone(0.93, 0.02, 235),
    "ice": Tone(0.83, 0.07, 220),
    "wood": Tone(0.57, 0.10, 58),
    "dirt": Tone(0.50, 0.07, 55),
    "leaves": Tone(0.55, 0.15, 145),
    "metal": Tone(0.62, 0.025, 245),
    "crystal": Tone(0.62, 0.18, 300),
    "swamp": Tone(0.45, 0.08, 130),
    "space": Tone(0.24, 0.06, 280),
    "roof": Tone(0.55, 0.14, 25),
    "checker": Tone(0.78, 0.02, 90),
}


@dataclass(slots=True)
class Torus:
    """A square of (ramp name, level) whose coordinates wrap around."""

    rng: Random
    beat: float
    cells: list[tuple[str, int]] = field(default_factory=lambda: [("body", BASE)] * (SIDE * SIDE))

    def put(self, x: int, y: int, ramp: str, level: int) -> None:
        """Set one pixel."""
        self.cells[y % SIDE * SIDE + x % SIDE] = (ramp, level)

    def fill(self, shade: Callable[[int, int], tuple[str, int]]) -> None:
        """Set every pixel."""
        self.cells = [shade(index % SIDE, index // SIDE) for index in range(SIDE * SIDE)]

    def stamp(self, x: int, y: int, rows: str, legend: Mapping[str, tuple[str, int]]) -> None:
        """Pixels from text, rows divided by "|"."""
        for down, row in enumerate(rows.split("|")):
            for along, sign in enumerate(row):
                if sign in legend:
                    self.put(x + along, y + down, *legend[sign])

    def spread(self, count: int) -> list[tuple[int, int]]:
        """Places that keep a distance from each other: the best of some random ones, again and again."""
        found: list[tuple[int, int]] = []
        for _ in range(count):
            tries = [(self.rng.randrange(SIDE), self.rng.randrange(SIDE)) for _ in range(8)]
            found.append(max(tries, key=lambda place: min((_apart(place, other) for other in found), default=0)))
        return found

    def noise(self, cells: int) -> Callable[[float, float], float]:
        """Smooth noise from -1 to 1 on a lattice of `cells` x `cells` that wraps."""
        lattice = [self.rng.uniform(-1, 1) for _ in range(cells * cells)]
        size = SIDE / cells

        def at(x: float, y: float) -> float:
            u, v = x / size, y / size
            column, row = math.floor(u), math.floor(v)
            s, t = _ease(u - column), _ease(v - row)
            corner = [lattice[(row + b) % cells * cells + (column + a) % cells] for b in (0, 1) for a in (0, 1)]
            upper, lower = corner[0] + (corner[1] - corner[0]) * s, corner[2] + (corner[3] - corner[2]) * s
            return upper + (lower - upper) * t

        return at


def _ease(share: float) -> float:
    return share * share * (3 - 2 * share)


def _apart(one: tuple[int, int], other: tuple[int, int]) -> float:
    """The distance on the torus."""
    dx, dy = abs(one[0] - other[0]), abs(one[1] - other[1])
    return math.hypot(min(dx, SIDE - dx), min(dy, SIDE - dy))


def _cell(x: int, y: int, seeds: list[tuple[int, int]]) -> tuple[float, int, float, float]:
    """How far (x, y) is from the border of its cell, the cell, and where in the cell it lies."""
    ranked = sorted((_apart((x, y), seed), index) for index, seed in enumerate(seeds))
    (near, index), (next_, _) = ranked[0], ranked[1]
    dx = (x - seeds[index][0] + SIDE // 2) % SIDE - SIDE // 2
    dy = (y - seeds[index][1] + SIDE // 2) % SIDE - SIDE // 2
    return next_ - near, index, dx, dy


def _grass(torus: Torus) -> None:
    patches = torus.noise(4)
    torus.fill(lambda x, y: ("body", LIGHT if patches(x, y) > 0.34 else BASE))
    blades = {"S": ("body", SHADE), "L": ("body", LIGHT), "H": ("body", SHINE)}
    for x, y in torus.spread(17):
        torus.stamp(x, y, torus.rng.choice(("H.L|SLS|.S.", "L..|SL.|.S.", "H|L|S", "L.H|LSL")), blades)
    for x, y in torus.spread(torus.rng.randrange(2, 6)):
        torus.stamp(x, y, ".F.|FGF|.F.", {"F": ("accent", LIGHT), "G": ("gold", LIGHT)})


def _stone(torus: Torus) -> None:
    seeds, grain = torus.spread(7), torus.noise(8)

    def shade(x: int, y: int) -> tuple[str, int]:
        border, _, dx, dy = _cell(x, y, seeds)
        if border < 1.1:
            return "body", OUTLINE if grain(x, y) > -0.5 else SHADE
        slope = -dx - dy * 1.4 + grain(x, y) * 6
        return "body", SHADE if slope < -7 else LIGHT if slope > 6 else BASE

    torus.fill(shade)
    for x, y in torus.spread(5):
        torus.stamp(x, y, torus.rng.choice(("SS.|..S", "S|SS", "LL")), {"S": ("body", SHADE), "L": ("body", SHINE)})


def _cobble(torus: Torus) -> None:
    seeds = torus.spread(17)

    def shade(x: int, y: int) -> tuple[str, int]:
        border, index, dx, dy = _cell(x, y, seeds)
        if border < 1.6:
            return "dirt", SHADE
        slope = -dx - dy * 1.3
        base = "trim" if index % 5 == 0 else "body"
        return base, SHADE if slope < -2.6 else LIGHT if slope > 1.6 else BASE

    torus.fill(shade)


def _water(torus: Torus) -> None:
    warp, drift = torus.noise(4), torus.beat * math.tau

    def shade(x: int, y: int) -> tuple[str, int]:
        wave = math.sin(math.tau * 3 * y / SIDE + 2.2 * warp(x, y) + drift) + 0.5 * math.sin(
            math.tau * 2 * x / SIDE + drift
        )
        return "body", SHINE if wave > 1.28 else LIGHT if wave > 0.9 else SHADE if wave < -0.9 else BASE

    torus.fill(shade)
    for x, y in torus.spread(6):
        torus.stamp(
            x + round(2 * math.sin(drift)),
            y,
            torus.rng.choice(("LLLL|.HH.", "HH", "LLL")),
            {"L": ("body", LIGHT), "H": ("white", LIGHT)},
        )


def _brick(torus: Torus) -> None:
    tones = [torus.rng.choice(("body", "body", "mark", "body")) for _ in range(16)]
    wear = torus.noise(8)

    def shade(x: int, y: int) -> tuple[str, int]:
        row = y // 8
        along = (x + 8 * (row % 2)) % SIDE
        left, up = along % 16, y % 8
        if up == 7 or left == 15:
            return "mortar", SHADE
        tone = tones[row * 2 + along // 16]
        if up == 0 or left == 0:
            return tone, LIGHT
        return tone, SHADE if up == 6 or left == 14 or wear(x, y) < -0.55 else BASE

    torus.fill(shade)


def _lava(torus: Torus) -> None:
    seeds, grain, pulse = torus.spread(8), torus.noise(8), 0.5 * math.sin(torus.beat * math.tau)

    def shade(x: int, y: int) -> tuple[str, int]:
        border, _, dx, dy = _cell(x, y, seeds)
        heat = border + grain(x, y) * 0.9 - pulse
        if heat < 1.2:
            return "ember", LIGHT
        if heat < 2.6:
            return "flame", BASE
        if heat < 3.4:
            return "ruby", SHADE
        return "body", LIGHT if -dx - dy > 4 else SHADE if dx + dy > 5 else BASE

    torus.fill(shade)


def _sand(torus: Torus) -> None:
    warp = torus.noise(4)

    def shade(x: int, y: int) -> tuple[str, int]:
        ripple = math.sin(math.tau * 4 * y / SIDE + math.tau * x / SIDE + 2.4 * warp(x, y))
        return "body", LIGHT if ripple > 0.72 else SHADE if ripple < -0.93 else BASE

    torus.fill(shade)
    for x, y in torus.spread(9):
        torus.put(x, y, "body", torus.rng.choice((SHADE, SHINE)))
    for x, y in torus.spread(2):
        torus.stamp(x, y, ".H.|HLS|.SS", {"H": ("trim", SHINE), "L": ("trim", BASE), "S": ("trim", SHADE)})


def _snow(torus: Torus) -> None:
    drift = torus.noise(4)
    torus.fill(lambda x, y: ("body", SHADE if drift(x, y) < -0.5 else SHINE if drift(x, y) > 0.3 else BASE))
    for x, y in torus.spread(5):
        torus.stamp(
            x, y, torus.rng.choice((".H.|HHH|.H.", "H", "SS|.S")), {"H": ("white", SHINE), "S": ("body", SHADE)}
        )


def _ice(torus: Torus) -> None:
    sheen = torus.noise(4)

    def shade(x: int, y: int) -> tuple[str, int]:
        streak = (x + y + round(3 * sheen(x, y))) % 16
        return "body", SHINE if streak in (0, 1, 4) else LIGHT if streak < 7 else SHADE if streak > 13 else BASE

    torus.fill(shade)
    for x, y in torus.spread(3):
        for step in range(torus.rng.randrange(5, 9)):
            torus.put(x + step, y + round(2 * math.sin(step)) + step // 2, "white", SHINE)


def _wood(torus: Torus) -> None:
    grain = torus.noise(8)
    joints = [torus.rng.randrange(4, 28) for _ in range(4)]
    tones = [torus.rng.choice(("body", "mark", "body")) for _ in range(4)]

    def shade(x: int, y: int) -> tuple[str, int]:
        plank, up = y // 8, y % 8
        if up == 7 or x == joints[plank]:
            return tones[plank], OUTLINE
        if up in (2, 5) and (x - joints[plank]) % SIDE in (2, 30):
            return "steel", SHADE
        line = math.sin(up * 1.7 + 3.2 * grain(x, plank * 8))
        return tones[plank], LIGHT if up == 0 else SHADE if line > 0.82 or up == 6 else BASE

    torus.fill(shade)


def _dirt(torus: Torus) -> None:
    clods = torus.noise(8)
    torus.fill(lambda x, y: ("body", LIGHT if clods(x, y) > 0.5 else SHADE if clods(x, y) < -0.4 else BASE))
    pebble = {"H": ("trim", LIGHT), "L": ("trim", BASE), "S": ("body", OUTLINE)}
    for x, y in torus.spread(7):
        torus.stamp(x, y, torus.rng.choice(("HL|LL|SS", "HLL|LLL|.SS", "H|S")), pebble)


def _leaves(torus: Torus) -> None:
    torus.cells = [("body", OUTLINE)] * len(torus.cells)
    leaf = {
        "O": ("body", OUTLINE),
        "S": ("body", SHADE),
        "B": ("body", BASE),
        "L": ("body", LIGHT),
        "H": ("body", SHINE),
    }
    for x, y in sorted(torus.spread(46), key=lambda place: place[1]):
        shape = torus.rng.choice((".BLL.|BBLLH|SBBLL|.SBB.|..S..", ".LLB.|HLLBB|LLBBS|.BBS.|..S.."))
        torus.stamp(x, y, shape, leaf)
    for x, y in torus.spread(torus.rng.randrange(0, 5)):
        torus.stamp(x, y, "HL|LS", {"H": ("accent", SHINE), "L": ("accent", BASE), "S": ("accent", SHADE)})


def _metal(torus: Torus) -> None:
    wear = torus.noise(8)

    def shade(x: int, y: int) -> tuple[str, int]:
        u, v = x % 16, y % 16
        if u == 15 or v == 15:
            return "body", OUTLINE
        if (u in (2, 12)) and (v in (2, 12)):
            return "trim", SHINE
        if u == 0 or v == 0:
            return "body", SHINE
        return "body", SHADE if u == 14 or v == 14 else LIGHT if (u + v) % 16 in (5, 6) and wear(x, y) > -0.4 else BASE

    torus.fill(shade)
    x, y = 16 * torus.rng.randrange(2), 16 * torus.rng.randrange(2)
    for line in (6, 8, 10):
        torus.stamp(x + 4, y + line - 1, "SSSSSSS", {"S": ("body", OUTLINE)})


def _crystal(torus: Torus) -> None:
    seeds = torus.spread(15)
    levels = [torus.rng.choice((SHADE, BASE, BASE, LIGHT)) for _ in seeds]

    def shade(x: int, y: int) -> tuple[str, int]:
        border, index, dx, dy = _cell(x, y, seeds)
        if border < 0.9:
            return "body", SHINE if -dx - dy > 0 else OUTLINE
        return ("mark" if index % 4 == 0 else "body"), min(SHINE, levels[index] + (dx + dy < -2))

    torus.fill(shade)


def _swamp(torus: Torus) -> None:
    scum, deep = torus.noise(4), torus.noise(8)
    torus.fill(lambda x, y: ("toxic", SHADE) if scum(x, y) > 0.42 else ("body", SHADE if deep(x, y) < -0.3 else BASE))
    lift = round(2 * torus.beat)
    for x, y in torus.spread(5):
        torus.stamp(x, y - lift, ".LL.|L..L|L..L|.LL.", {"L": ("toxic", LIGHT)})
    for x, y in torus.spread(3):
        torus.stamp(x, y, ".GGG.|GGLGG|GG.GG|.GGG.", {"G": ("leaf", BASE), "L": ("leaf", LIGHT)})


def _space(torus: Torus) -> None:
    cloud, other = torus.noise(4), torus.noise(4)

    def shade(x: int, y: int) -> tuple[str, int]:
        if cloud(x, y) > 0.35:
            return "nebula", SHADE if cloud(x, y) < 0.6 else BASE
        return "body", LIGHT if other(x, y) > 0.3 else SHADE if other(x, y) < -0.4 else BASE

    torus.fill(shade)
    for turn, (x, y) in enumerate(torus.spread(22)):
        torus.put(x, y, "star", SHINE if (turn + int(torus.beat * 4)) % 4 else BASE)
    for x, y in torus.spread(3):
        torus.stamp(x, y, "..S..|..S..|SSSSS|..S..|..S..", {"S": ("star", SHINE)})


def _roof(torus: Torus) -> None:
    tones = [torus.rng.choice(("body", "body", "mark")) for _ in range(16)]

    def shade(x: int, y: int) -> tuple[str, int]:
        for row in (y // 8, y // 8 - 1):
            along = (x + 4 * (row % 2)) % SIDE
            u, v = along % 8 - 3.5, y - row * 8
            if v < 8 or abs(u) < 3.9 - (v - 8) * 1.2:
                tone = tones[row % 4 * 4 + along // 8]
                edge = v >= 8 and abs(u) >= 2.7 - (v - 8) * 1.2
                return tone, OUTLINE if edge or abs(
                    u
                ) > 3.4 else LIGHT if u < -1 and v > 2 else SHADE if u > 2 else BASE
        return "body", OUTLINE

    torus.fill(lambda x, y: shade(x, y + 32))


def _checker(torus: Torus) -> None:
    veins = torus.noise(8)

    def shade(x: int, y: int) -> tuple[str, int]:
        u, v = x % 16, y % 16
        tone = "body" if (x // 16 + y // 16) % 2 else "accent"
        if u == 15 or v == 15:
            return tone, SHADE
        return tone, SHINE if u == 0 or v == 0 else LIGHT if abs(veins(x, y)) < 0.12 else BASE

    torus.fill(shade)


GROUNDS: Mapping[str, Callable[[Torus], None]] = {
    "grass": _grass,
    "stone": _stone,
    "cobble": _cobble,
    "water": _water,
    "brick": _brick,
    "lava": _lava,
    "sand": _sand,
    "snow": _snow,
    "ice": _ice,
    "wood": _wood,
    "dirt": _dirt,
    "leaves": _leaves,
    "metal": _metal,
    "crystal": _crystal,
    "swamp": _swamp,
    "space": _space,
    "roof": _roof,
    "checker": _checker,
}


def draw(recipe: Recipe, beat: float, look: str) -> list[Rgba]:
    """The tile's colours, row by row; `beat` from 0 to 1 moves water, lava and stars."""
    torus = Torus(Random(number("ground", recipe.ground, recipe.seed)), beat)
    GROUNDS[recipe.ground](torus)
    body = recipe.tones["body"] if recipe.painted else TONES[recipe.ground]
    tones = {
        **FIXED,
        "body": body,
        "mark": body.moved(light=-0.05, hue=8),
        "trim": body.moved(light=0.08, chroma=0.5),
        "accent": recipe.tones["accent"],
        "nebula": body.moved(light=0.14, chroma=2, hue=40),
        "dirt": COLOURS["brown"],
        "mortar": COLOURS["tan"].moved(chroma=0.5),
    }
    ramps = {name: palette.ramp(look, name, tones[name]) for name in {name for name, _ in torus.cells}}
    return [ramps[name][level] for name, level in torus.cells]
