"""Birds: a body from the front or the side, and a table of beaks, crests and tails."""

from dataclasses import dataclass

from stoker_worker.models.sprites import gear
from stoker_worker.models.sprites.rig import BASE, Rig


@dataclass(frozen=True, slots=True)
class Bird:
    """One row of the aviary."""

    build: str = "side"  # side, egg (from the front)
    beak: str = "short"  # short, flat, hook, big
    crest: str = ""  # comb, tufts, plume, flame
    tail: str = "fan"  # fan, long, stub, flame
    neck: float = 0.0
    legs: float = 3.0
    eyes: str = ""
    spread: bool = False  # wings open


BIRDS: dict[str, Bird] = {
    "chicken": Bird("side", "short", "comb", "fan", 1.5, 4),
    "duck": Bird("side", "flat", "", "stub", 1.0, 2, "dot"),
    "parrot": Bird("side", "hook", "plume", "long", 1.0, 2.5, "round"),
    "crow": Bird("side", "big", "", "long", 0.5, 3.5, "round"),
    "eagle": Bird("egg", "hook", "", "fan", 0, 2, "angry", True),
    "phoenix": Bird("egg", "hook", "flame", "flame", 0, 2, "bean", True),
    "owl": Bird("egg", "short", "tufts", "stub", 0, 1.5, "owl"),
    "penguin": Bird("egg", "short", "", "stub", 0, 1.5, "bean"),
}


def bird(rig: Rig) -> None:
    """Draw the recipe's kind from the aviary."""
    row = BIRDS[rig.recipe.kind]
    (_egg if row.build == "egg" else _side)(rig, row)


def _side(rig: Rig, row: Bird) -> None:
    canvas = rig.canvas
    wide, legs = 6.4 + rig.shape("wide", 0.6), row.legs + rig.shape("limb", 0.4)
    x, y = 13.8, 28 - legs - 4.2
    hx, hy = 20.2, y - 6.4 - row.neck
    gear.behind(rig, x, y - 1, 10)
    _tail(rig, row, x - wide + 1.4, y - 1)
    for side, hip in ((-1, x - 1.2), (1, x + 2.2)):
        foot = hip + rig.motion.swing * side * 2
        sole = rig.sole(side)
        canvas.limb((hip, y + 3), (foot, sole), 0.7, "beak")
        canvas.limb((foot - 0.4, sole), (foot + 1.8, sole), 0.6, "beak", edge="")
    canvas.ball(x, y, wide, 5.0, "body")
    canvas.limb((x + 3.6, y - 0.6), (hx - 0.6, hy + 1), (4.2, 3.6), "body", edge="")
    canvas.ball(x + 3.4, y + 1.6, 3.2, 3.0, "belly", edge="")
    rig.top, rig.brow = (hx, hy - 4.6), 4.8
    if row.crest == "comb":
        for dx, dy in ((-2, 0.6), (0, -0.6), (2, 0.6)):
            canvas.ball(hx + dx - 0.5, hy - 4.4 + dy, 1.5, 1.7, "ruby", edge="")
    if row.crest == "plume":
        canvas.chain(((hx, hy - 3.6), (hx - 2, hy - 6.6), (hx - 5, hy - 6.4)), (1.5, 1.3, 0.6), "accent")
    canvas.ball(hx, hy, 4.8, 4.6, "body")
    if row.beak in ("hook", "flat"):
        canvas.ball(hx + 1.4, hy + 0.4, 3.0, 2.8, "white" if row.beak == "hook" else "body", edge="")
    _beak(rig, row, hx + 3.4, hy + 1)
    if row.crest == "comb":
        canvas.ball(hx + 3.6, hy + 4.2, 1.2, 1.7, "ruby")
    rig.face(hx + 0.6, hy - 0.6, 2.9, eyes=row.eyes or "bean", mouth="none")
    lift = 3.5 * max(rig.motion.arm, max(0.0, rig.motion.flap) * 0.3)
    canvas.chain(((x + 1.5, y - 1.2), (x - 2, y + 0.6 - lift * 0.5), (x - 5, y + 0.4 - lift)), (2.8, 2.5, 1.0), "wing")
    gear.trinket(rig, hx - 2, hy + 5, 3.4)


def _tail(rig: Rig, row: Bird, x: float, y: float) -> None:
    wag = rig.motion.flap * 0.6
    match row.tail:
        case "fan":
            for dx, dy in ((-4.6, -1.6), (-3.8, -4.2), (-1.6, -5.8)):
                rig.canvas.limb((x + 1, y), (x + dx, y + dy + wag), (1.6, 1.4), "accent", edge="soft")
        case "long":
            rig.canvas.limb((x + 1, y), (x - 5.6, y + 4 + wag), (2.0, 1.3), "accent")
            rig.canvas.limb((x + 1, y - 1), (x - 5.4, y + 1.4 + wag), (1.8, 1.0), "wing", edge="soft")
        case _:
            rig.canvas.poly([(x + 2, y - 3), (x - 3, y - 4 + wag), (x + 1, y + 2)], "body")


def _beak(rig: Rig, row: Bird, x: float, y: float) -> None:
    canvas, gape = rig.canvas, 1.4 * (rig.motion.mouth in ("roar", "open"))
    match row.beak:
        case "flat":
            canvas.limb((x, y + 0.4 - gape * 0.4), (x + 3.6, y + 0.6 - gape), (1.4, 1.1), "beak")
            if gape:
                canvas.limb((x, y + 1.6), (x + 2.6, y + 2.6), 0.8, "beak")
        case "hook":
            canvas.chain(
                ((x, y - 0.4 - gape * 0.4), (x + 2, y - gape * 0.4), (x + 2.2, y + 2.4)), (1.9, 1.6, 0.6), "beak"
            )
        case "big":
            canvas.limb((x, y - gape * 0.4), (x + 5.4, y + 1.2 - gape), (1.9, 0.6), "steel")
        case _:
            canvas.limb((x, y - gape * 0.4), (x + 3.2, y + 0.6 - gape * 0.6), (1.5, 0.6), "beak")
            if gape:
                canvas.limb((x, y + 1.2), (x + 2, y + 2.2), 0.7, "beak")


def _egg(rig: Rig, row: Bird) -> None:
    canvas = rig.canvas
    wide = 7.2 + rig.shape("wide", 0.5)
    x, y = 16.0, 18.2
    if row.tail == "flame":
        for dx, ramp in ((-4.5, "flame"), (4.5, "flame"), (0, "ember")):
            canvas.chain(((x, y + 4), (x + dx, 27), (x + dx * 1.7 + rig.motion.flap, 28.6)), (2.2, 1.7, 0.8), ramp)
    if row.spread:
        for side in (-1, 1):
            gear.feathered_wing(rig, x + side * 4.4, y - 3, side, 10.5, "wing" if row.crest else "body")
    else:
        gear.behind(rig, x, y - 3, 11)
    for side in (-1, 1):
        sole = rig.sole(side)
        canvas.ball(x + side * 3.2, sole - 0.2, 2.2, 1.2, "beak")
    top = y - 9.4
    rig.top, rig.brow = (x, top), 6.0
    if row.crest == "tufts":
        for side in (-1, 1):
            canvas.poly([(x + side * 2, top + 2), (x + side * 6.4, top - 2.6), (x + side * 6.4, top + 4)], "body")
    if row.crest == "flame":
        for dx, height in ((-2.4, 2.6), (0, 5), (2.4, 3)):
            canvas.limb(
                (x + dx, top + 1.5), (x + dx * 1.5 + rig.motion.flap * 0.6, top - height), (1.7, 0.5), "ember", edge=""
            )
    canvas.ball(x, y + 2.6, wide, 7.6, "body")
    canvas.ball(x, y - 4, 6.4, 5.6, "body", edge="")
    _bird_front(rig, row, x, y, wide)
    gear.trinket(rig, x, y + 1.6, 4.8)


def _bird_front(rig: Rig, row: Bird, x: float, y: float, wide: float) -> None:
    canvas, kind = rig.canvas, rig.recipe.kind
    canvas.ball(x, y + 4.2, wide * 0.68, 5.4, "white" if kind == "penguin" else "belly", edge="")
    if kind == "owl":
        for px, py in ((14, 21), (16, 22.6), (18, 21), (14, 24.2), (18, 24.2), (16, 19.6)):
            canvas.dot(px, py, "mark", BASE)
    if kind == "eagle":
        canvas.ball(x, y - 4.6, 6.0, 4.6, "white", edge="")
    if kind in ("owl", "penguin"):
        lift = 4 * rig.motion.arm + rig.motion.swing
        for side in (-1, 1):
            tip = (x + side * (wide + 1.2 + 0.8 * rig.motion.arm), y + 5.4 - lift * 1.6)
            canvas.limb((x + side * (wide - 1), y - 0.4), tip, (2.0, 1.1), "wing" if kind == "owl" else "body")
    if row.eyes == "owl":
        for side in (-1, 1):
            canvas.ball(x + side * 3.1, y - 4.2, 3.1, 3.1, "belly", edge="")
    elif kind == "penguin":
        for side in (-1, 1):
            canvas.ball(x + side * 2.4, y - 3.6, 2.6, 3.0, "white", edge="")
    eyes = {"owl": "lamp_big"}.get(row.eyes, row.eyes)
    rig.face(x, y - 4.2, 4.6 if row.eyes == "owl" else 3.8, eyes=eyes, mouth="none")
    tall = 3.0 if row.beak == "hook" else 2.0
    canvas.poly([(x - 1.7, y - 2.8), (x + 1.7, y - 2.8), (x, y - 2.8 + tall + (rig.motion.mouth == "roar"))], "beak")
