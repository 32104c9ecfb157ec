"""One creature from its recipe: anatomy, gear, effects, outline; the result is a grid of RGBA colours."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from stoker_worker.models.sprites import beasts, birds, critters, effects, gear, palette, people, things, wonders
from stoker_worker.models.sprites.canvas import GROUND, SIDE, Canvas, Stance, neighbours
from stoker_worker.models.sprites.motion import Motion
from stoker_worker.models.sprites.palette import Rgba, Tone
from stoker_worker.models.sprites.prompt import Recipe, number
from stoker_worker.models.sprites.rig import Rig

Grid = list[Rgba]  # SIDE * SIDE colours, row by row
CLEAR: Rgba = (0, 0, 0, 0)

ANATOMIES: Mapping[str, Callable[[Rig], None]] = {
    **dict.fromkeys(people.PEOPLE, people.person),
    **dict.fromkeys(beasts.BEASTS, beasts.beast),
    **dict.fromkeys(birds.BIRDS, birds.bird),
    "slime": critters.slime,
    "ghost": critters.ghost,
    "bat": critters.bat,
    "bee": critters.bee,
    "butterfly": critters.butterfly,
    "spider": critters.spider,
    "beetle": critters.beetle,
    "snail": critters.snail,
    "snake": critters.snake,
    "worm": critters.worm,
    "scorpion": critters.scorpion,
    "crab": critters.crab,
    "fish": critters.fish,
    "shark": critters.shark,
    "octopus": critters.octopus,
    "jellyfish": critters.jellyfish,
    "whale": critters.whale,
    "turtle": critters.turtle,
    "frog": critters.frog,
    "eyeball": critters.eyeball,
    "dragon": wonders.dragon,
    "dinosaur": wonders.dinosaur,
    "robot": wonders.robot,
    "golem": wonders.golem,
    "mushroom": wonders.mushroom,
    "plant": wonders.plant,
    "cactus": wonders.cactus,
    "tree": wonders.tree,
    "pumpkin": wonders.pumpkin,
    "snowman": wonders.snowman,
    "flame": wonders.flame,
    "monster": wonders.monster,
    "chest": things.chest,
    "potion": things.potion,
    "sword": things.sword,
    "shield": things.shield_thing,
    "castle": things.castle,
    "house": things.house,
    "rocket": things.rocket,
    "ship": things.ship,
    "gem": things.gem,
    "heart": things.heart,
    "book": things.book,
    "bomb": things.bomb,
    "key": things.key,
    "lantern": things.lantern,
    "cake": things.cake,
    "apple": things.apple,
}

AIRBORNE = frozenset(("ghost", "bat", "bee", "butterfly", "fish", "shark", "jellyfish", "eyeball", "rocket", "fairy"))


def draw(recipe: Recipe, motion: Motion, look: str) -> Grid:
    """The creature's colours in one of the looks."""
    scale = recipe.scale * (1.1 if recipe.kind in beasts.BEASTS and "big" not in recipe.traits else 1.0)
    stance = Stance(motion.sx * scale, motion.sy * scale, motion.lean, motion.dx, motion.dy)
    rig = Rig(Canvas(stance), recipe, motion, Random(number("coat", recipe.seed)))
    ANATOMIES[recipe.kind](rig)
    _finish(rig)
    effects.apply(rig)
    return _colours(rig, look)


def _finish(rig: Rig) -> None:
    """Hats, and what creatures without hands hold."""
    if "hat" in rig.notes:
        rig.recipe = replace(rig.recipe, hat="")
    gear.on_head(rig)
    handed = rig.recipe.kind in people.PEOPLE or rig.recipe.kind == "robot"
    if rig.recipe.held and not handed:
        gear.hold(rig, 26.4, 23, rig.recipe.held)


def _colours(rig: Rig, look: str) -> Grid:
    tones: dict[str, Tone] = {**rig.recipe.tones}
    for band, name in enumerate(effects.RAINBOW):
        tones[name] = Tone((0.64, 0.76, 0.87, 0.70, 0.64, 0.60)[band], 0.17, (25, 60, 100, 148, 250, 310)[band])
    canvas = rig.canvas
    ramps = {name: palette.ramp(look, name, tones[name]) for name in set(canvas.ramps) if name}
    grid = [ramps[name][level] if name else CLEAR for name, level in zip(canvas.ramps, canvas.levels, strict=True)]
    if rig.has("ghostly") or rig.recipe.kind == "ghost":
        grid = [_faded(colour, index // SIDE) for index, colour in enumerate(grid)]
    _glow(rig, grid, look)
    _ground(rig, grid, look)
    return grid


def _faded(colour: Rgba, row: int) -> Rgba:
    red, green, blue, alpha = colour
    return red, green, blue, round(alpha * min(0.9, max(0.25, (34 - row) / 14)))


def _glow(rig: Rig, grid: Grid, look: str) -> None:
    """A soft rim of light for what glows, and for everything in neon."""
    if not rig.has("glowing") and look != "neon":
        return
    light = palette.rgb(Tone(0.9, 0.13, 95) if rig.has("glowing") else rig.recipe.tones["body"].moved(light=0.1))
    if look == "handheld":
        light = palette.GREENS[3][:3]
    edge = [index for index, colour in enumerate(grid) if colour[3] > 90]
    for alpha in (120, 60) if rig.has("glowing") else (80, 34):
        ring = {near for index in edge for near in neighbours(index) if not grid[near][3]}
        for index in ring:
            grid[index] = (*light, alpha)
        edge = list(ring)


def _ground(rig: Rig, grid: Grid, look: str) -> None:
    """The shadow below, smaller under what is in the air."""
    colour = palette.shadow(look, rig.recipe.tones["body"])
    row = [index % SIDE for index in range(SIDE * 20, SIDE * SIDE) if grid[index][3] > 200] or [12, 19]
    low, high = min(row), max(row)
    half = (high - low + 1) / 2 * (0.62 if rig.recipe.kind in AIRBORNE or rig.motion.dy < -2 else 1.0)
    middle = (low + high + 1) / 2
    for y in range(int(GROUND) - 1, SIDE):
        for x in range(SIDE):
            across, down = (x + 0.5 - middle) / (half + 1.0), (y + 0.5 - GROUND - 0.4) / 1.9
            if across * across + down * down < 1 and not grid[y * SIDE + x][3]:
                grid[y * SIDE + x] = colour


def tint(grid: Grid) -> list[str]:
    """The sprite's commonest opaque colours, as "#rrggbb", most used first."""
    counts: dict[Rgba, int] = {}
    for colour in grid:
        if colour[3] == 255:
            counts[colour] = counts.get(colour, 0) + 1
    ranked = sorted(counts, key=lambda colour: (-counts[colour], colour))
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue, _ in ranked[:8]]
