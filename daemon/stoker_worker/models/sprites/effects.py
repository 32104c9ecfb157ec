"""What traits do to a finished figure: patterns, flames, ice, spikes, fur, glow; they read only its silhouette."""

import math
from collections.abc import Callable

from stoker_worker.models.sprites import words
from stoker_worker.models.sprites.canvas import BASE, LIGHT, SHADE, SHINE, SIDE, neighbours
from stoker_worker.models.sprites.rig import Rig

# Kinds with markings of their own, and things that would look wrong in stripes.
MARKED = words.set_of(
    "beetle bee tiger cow snake heart sword house castle rocket shield key gem potion lantern book robot deer raccoon"
)
RAINBOW = tuple(f"rainbow{band}" for band in range(6))


def pattern(rig: Rig) -> None:
    """The coat that the recipe asks for, on the body's own colour."""
    phase = rig.detail.uniform(0, 5)
    canvas = rig.canvas
    coat = "" if rig.recipe.kind in MARKED and not rig.has("striped", "spotted") else rig.recipe.pattern
    match coat:
        case "striped":
            canvas.repaint(
                "body",
                "mark",
                lambda x, y: math.sin((x + 0.5 * y) * 1.35 + phase) > (0.15 if rig.has("striped") else 0.45),
            )
        case "spotted":
            spots = [
                (rig.detail.uniform(5, 27), rig.detail.uniform(6, 28), rig.detail.uniform(1.0, 2.0)) for _ in range(13)
            ]
            canvas.repaint("body", "mark", lambda x, y: any(math.hypot(x - a, y - b) < r for a, b, r in spots))
        case "freckles":
            spots = [(rig.detail.uniform(5, 27), rig.detail.uniform(6, 28), 0.7) for _ in range(11)]
            canvas.repaint("body", "mark", lambda x, y: any(math.hypot(x - a, y - b) < r for a, b, r in spots))
        case _:
            pass
    if rig.recipe.rainbow:
        for index, name in enumerate(canvas.ramps):
            if name in ("body", "mark", "limb"):
                canvas.ramps[index] = RAINBOW[int((index // SIDE + 0.35 * (index % SIDE)) / 4.2) % 6]


def _tops(rig: Rig) -> dict[int, int]:
    """The highest opaque pixel of each column."""
    tops: dict[int, int] = {}
    for index, name in enumerate(rig.canvas.ramps):
        if name:
            tops.setdefault(index % SIDE, index // SIDE)
    return tops


def spikes(rig: Rig) -> None:
    """Teeth along the back, two pixels wide and three high."""
    tops = _tops(rig)
    for column in sorted(tops)[2:-2:3]:
        top = tops[column]
        if top < 20:
            for dx, height in ((-1, 1), (0, 3), (1, 1)):
                for up in range(1, height + 1):
                    rig.canvas.pixel(column + dx, top - up, "accent", LIGHT if dx < 0 else BASE)


def fluff(rig: Rig) -> None:
    """Tufts that break the outline."""
    ramps, levels = rig.canvas.ramps, rig.canvas.levels
    tufts: dict[int, tuple[str, int]] = {}
    for index, name in enumerate(ramps):
        if not name and (index % SIDE + index // SIDE) % 3 == 0:
            near = [other for other in neighbours(index) if ramps[other] in ("body", "belly", "limb", "mark", "hair")]
            if near:
                tufts[index] = (ramps[near[0]], max(SHADE, levels[near[0]]))
    for index, (name, level) in tufts.items():
        ramps[index], levels[index] = name, level


def fire(rig: Rig) -> None:
    """Flames that rise behind the outline, without a line of their own."""
    canvas, turn = rig.canvas, rig.motion.beat * math.tau
    for column, top in _tops(rig).items():
        wave = math.sin(column * 1.3 + turn) + 0.7 * math.sin(column * 2.4 - turn)
        height = round(2.2 + 2.0 * wave)
        for up in range(1, height + 1):
            hot = up <= height * 0.5
            canvas.pixel(column, top - up, "ember" if hot else "flame", LIGHT if hot else BASE)
    for index, name in enumerate(canvas.ramps):
        # Cracks of light in the coat.
        if name == "mark" and canvas.levels[index]:
            canvas.ramps[index], canvas.levels[index] = "flame", BASE


def ice(rig: Rig) -> None:
    """Crystals round the feet, snow in the air."""
    canvas = rig.canvas
    for x, height, lean in ((3, 6, -1), (6, 3.6, -0.6), (26, 4, 0.6), (29, 7, 1)):
        canvas.poly([(x - 1.7, 29), (x + lean * 1.6, 29 - height), (x + 1.7, 29)], "frost", shine=True)
    _scatter(rig, ".S.|SSS|.S.", "frost", 3)


def poison(rig: Rig) -> None:
    """Bubbles that rise and a puddle."""
    for x, y, r in ((4, 22, 1.5), (27.6, 18, 1.8), (5.6, 12, 1.0), (26, 9, 1.1)):
        lift = (rig.motion.beat * 5 + x) % 5
        rig.canvas.ball(x, y - lift, r, r, "toxic", shine=True)
    for x in (8, 16, 23):
        rig.canvas.ball(x, 28.6, 4.6, 1.0, "toxic", edge="")


def spark(rig: Rig) -> None:
    """Bolts on both sides."""
    flip = rig.motion.beat >= 0.5
    for x, y in ((2, 7), (25, 15)) if not flip else ((3, 16), (25, 5)):
        rig.canvas.stamp(x, y, ("..VV", ".VV.", "VVVV", "..VV", ".VV.", ".V.."), {"V": ("volt", SHINE)})


def stars(rig: Rig) -> None:
    """Small stars around, and in the coat."""
    _scatter(rig, ".S.|SSS|.S.", "star", 2)
    for index, name in enumerate(rig.canvas.ramps):
        if name in ("body", "limb", "mark") and (index * 2654435761 >> 7) % 23 == 0 and rig.canvas.levels[index]:
            rig.canvas.ramps[index], rig.canvas.levels[index] = "star", SHINE


def _scatter(rig: Rig, shape: str, ramp: str, count: int) -> None:
    """Small signs on empty corners of the grid, blinking over the loop."""
    places = [(2, 3), (26, 4), (1, 14), (28, 12), (4, 9), (24, 1)]
    first = rig.recipe.seed % 3 + int(rig.motion.beat * 3)
    for turn in range(count):
        x, y = places[(first + turn * 2) % len(places)]
        if all(not rig.canvas.ramps[(y + b) * SIDE + x + a] for a in range(3) for b in range(3)):
            rig.canvas.stamp(x, y, shape.split("|"), {"S": (ramp, SHINE)})


def sleep_sign(rig: Rig) -> None:
    """The letters that rise from sleepers."""
    if rig.motion.pose == "sleep":
        rise = int(rig.motion.beat * 3)
        x, y = min(26, int(rig.top[0] + rig.brow) + 1), 7 - rise
        rig.canvas.stamp(x, y, ("ZZZZ", "..Z.", ".Z..", "ZZZZ"), {"Z": ("white", LIGHT)})


ORDER: tuple[tuple[str, Callable[[Rig], None]], ...] = (
    ("fluffy", fluff),
    ("spiky", spikes),
    ("icy", ice),
    ("poison", poison),
    ("electric", spark),
    ("cosmic", stars),
    ("night", lambda rig: _scatter(rig, "S", "star", 3)),
)


def apply(rig: Rig) -> None:
    """All effects that the recipe's traits call for, and the outline."""
    pattern(rig)
    for trait, draw in ORDER:
        if rig.has(trait):
            draw(rig)
    sleep_sign(rig)
    rig.canvas.outline()
    if rig.has("fiery"):
        fire(rig)
