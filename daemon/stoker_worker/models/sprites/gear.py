"""What a creature wears and carries: hats, wings, capes, weapons and the small things that a seed picks."""

import math
from collections.abc import Callable
from itertools import pairwise

from stoker_worker.models.sprites.rig import BASE, LIGHT, SHADE, SHINE, Point, Rig


def behind(rig: Rig, x: float, y: float, span: float = 9.0) -> None:
    """Wings and cape, drawn before the body whose shoulders are at (x, y)."""
    if rig.has("caped"):
        sway = rig.motion.swing * 0.8
        rig.canvas.poly([(x - 4, y - 1), (x + 4, y - 1), (x + 7.5 - sway, 28), (x - 7.5 - sway, 28)], "accent")
    if rig.has("winged") and "wings" not in rig.notes:
        for side in (-1, 1):
            feathered_wing(rig, x + side * 2.5, y, side, span)


def feathered_wing(rig: Rig, x: float, y: float, side: int, span: float, ramp: str = "white", up: float = 3.5) -> None:
    """A wing of three rows of feathers, its tip `up` above the root."""
    rise = up + 2.5 * rig.motion.flap
    for feather, share in enumerate((1.0, 0.86, 0.62)):
        tip_x, tip_y = x + side * span * share, y - rise + feather * 3.4
        rig.canvas.limb((x, y + feather * 1.2), (tip_x, tip_y), (2.0, 1.3), ramp, edge="line" if feather else "")


def leather_wing(rig: Rig, x: float, y: float, side: int, span: float, ramp: str = "wing") -> None:
    """A bat's or dragon's wing: a bone, and skin between its fingers."""
    rise = 5.5 + 3 * rig.motion.flap
    wrist = (x + side * span * 0.55, y - rise)
    tip = (x + side * span, y - rise * 0.35)
    scallop = (x + side * span * 0.62, y + 0.6)
    inner = (x + side * span * 0.45, y + 3.2)
    hollow = (x + side * span * 0.25, y + 1.4)
    rig.canvas.poly([(x, y - 1), wrist, tip, scallop, inner, hollow, (x, y + 2.5)], ramp)
    rig.canvas.limb((x, y - 0.5), wrist, 0.8, "limb", edge="")
    rig.canvas.limb(wrist, tip, 0.6, "limb", edge="")


def insect_wing(rig: Rig, x: float, y: float, side: int, span: float) -> None:
    """A clear wing that beats fast."""
    tilt = side * (-0.55 - 0.3 * rig.motion.flap)
    rig.canvas.ball(x + side * span * 0.5, y - 1, span * 0.55, span * 0.3, "glass", tilt=tilt)
    rig.canvas.ball(x + side * span * 0.4, y + 2.6, span * 0.38, span * 0.22, "glass", tilt=-tilt * 0.6)


def horns(rig: Rig, x: float, y: float, gap: float, size: float, ramp: str = "bone") -> None:
    """Two curved horns from a brow at (x, y)."""
    for side in (-1, 1):
        root, bend = (x + side * gap, y), (x + side * (gap + size * 0.55), y - size * 0.45)
        tip = (x + side * (gap + size * 0.5), y - size * 1.15)
        rig.canvas.chain((root, bend, tip), (1.5, 1.15, 0.55), ramp)


def on_head(rig: Rig) -> None:
    """The hat and the horns, on the head that the anatomy has reported."""
    x, y = rig.top
    if rig.has("horned") and "horns" not in rig.notes:
        horns(rig, x, y + 2, rig.brow * 0.6, 4.5)
    if rig.has("mechanical") and not rig.recipe.hat:
        rig.canvas.limb((x, y + 0.5), (x, y - 2), 0.55, "steel")
        rig.canvas.ball(x, y - 2.6, 1.2, 1.2, "ruby", shine=True)
    if draw := HATS.get(rig.recipe.hat):
        draw(rig, x, y, rig.brow)


def _crown(rig: Rig, x: float, y: float, r: float) -> None:
    r = min(max(3.0, r * 0.72), 5.0)
    y += 1.6
    rim, peak = y - 2.2, y - 4.8
    points = [(x - r, y), (x - r - 0.4, peak), (x - r * 0.5, rim), (x, peak - 0.8), (x + r * 0.5, rim)]
    rig.canvas.poly([*points, (x + r + 0.4, peak), (x + r, y)], "gold", shine=True)
    rig.canvas.dot(x - 0.5, y - 1.2, "ruby", LIGHT)
    rig.canvas.dot(x + 0.5, y - 1.2, "ruby", LIGHT)


def wizard_hat(rig: Rig, x: float, y: float, r: float, ramp: str = "accent") -> None:
    """A tall bent cone with a brim."""
    y += 2.2
    bend = 2.2 + rig.shape("a", 1.2)
    rig.canvas.poly(
        [(x - r * 0.72, y), (x - 1.6, y - 6), (x + bend, y - 8.6), (x + 1.8, y - 4.5), (x + r * 0.72, y)], ramp
    )
    rig.canvas.limb((x - r * 0.68, y - 1.1), (x + r * 0.68, y - 1.1), 0.7, "gold", edge="")
    rig.canvas.ball(x, y + 0.4, r * 1.28, 1.5, ramp)


def _hood(rig: Rig, x: float, y: float, r: float) -> None:
    r = max(r, 4.5)
    outer = [
        (x - r - 1, y + 8),
        (x - r - 1.2, y + 4),
        (x - r * 0.7, y + 0.4),
        (x + 0.6, y - 2.6),
        (x + r * 0.7, y + 0.4),
    ]
    inner = [
        (x + r - 1.2, y + 6.6),
        (x + r * 0.66, y + 3.2),
        (x, y + 2),
        (x - r * 0.66, y + 3.2),
        (x - r + 1.2, y + 6.6),
    ]
    rig.canvas.poly([*outer, (x + r + 1.2, y + 4), (x + r + 1, y + 8), *inner], "accent")


def _robin(rig: Rig, x: float, y: float, r: float) -> None:
    y += 3.2
    rig.canvas.poly(
        [(x - r - 2.6, y - 0.6), (x - r * 0.6, y - 4.6), (x + r * 0.2, y - 6.2), (x + r, y - 1.6), (x + r + 0.6, y)],
        "body",
    )
    rig.canvas.limb((x - r - 2, y - 0.2), (x + r + 0.2, y), (0.7, 1.0), "limb")
    rig.canvas.limb((x + r * 0.4, y - 2), (x - r * 0.3, y - 8), (1.0, 0.6), "ruby")


def _dome(x: float, y: float, r: float, low: float) -> list[Point]:
    """The outline of a helmet's bowl, from its left rim over the top to the right one."""
    left = [(x - r, y + low), (x - r * 0.9, y + 1.1), (x - r * 0.45, y - 0.9)]
    return left + [(2 * x - px, py) for px, py in reversed(left)]


def helmet(rig: Rig, x: float, y: float, r: float, ramp: str = "metal") -> None:
    """A dome with a crest, open in front."""
    rig.canvas.poly(
        [*_dome(x, y, r, 4.2), (x + r * 0.6, y + 3), (x, y + 3.6), (x - r * 0.6, y + 3)],
        ramp,
        shine=True,
    )
    rig.canvas.chain(((x, y), (x - 1, y - 2.4), (x - 4, y - 2.6)), (1.1, 1.4, 0.8), "accent")


def _viking(rig: Rig, x: float, y: float, r: float) -> None:
    horns(rig, x, y + 2, r * 0.75, 5.5)
    rig.canvas.poly(_dome(x, y, r, 3.6), "steel", shine=True)
    rig.canvas.limb((x - r, y + 3), (x + r, y + 3), 0.8, "gold", edge="")


def _top_hat(rig: Rig, x: float, y: float, r: float) -> None:
    r = min(r, 6)
    y += 1.8
    rig.canvas.poly([(x - r * 0.62, y), (x - r * 0.7, y - 6), (x + r * 0.7, y - 6), (x + r * 0.62, y)], "trinket")
    rig.canvas.limb((x - r * 0.6, y - 1.2), (x + r * 0.6, y - 1.2), 0.7, "accent", edge="")
    rig.canvas.ball(x, y + 0.2, r * 1.05, 1.2, "trinket")


def _halo(rig: Rig, x: float, y: float, r: float) -> None:
    y -= 2.4 + 0.5 * rig.motion.flap
    r = max(3.0, r * 0.7)
    for step in range(16):
        angle = step * math.tau / 16
        rig.canvas.dot(x + r * math.cos(angle), y + 1.3 * math.sin(angle), "ember", SHINE if step > 7 else BASE)


def _pirate(rig: Rig, x: float, y: float, r: float) -> None:
    y += 2.4
    points = [(x - r * 1.35, y + 0.8), (x - r * 0.8, y - 2.2), (x, y - 4.6), (x + r * 0.8, y - 2.2)]
    rig.canvas.poly([*points, (x + r * 1.35, y + 0.8), (x, y - 0.4)], "ink")
    rig.canvas.limb((x - r * 1.1, y + 0.1), (x + r * 1.1, y + 0.1), 0.5, "gold", edge="")
    rig.canvas.stamp(*_grid(rig, x - 1.5, y - 3.6), ("WWW", "W.W", ".W."), {"W": ("white", LIGHT)})


def _mask(rig: Rig, x: float, y: float, r: float) -> None:
    rig.canvas.limb((x - r * 0.96, y + 2.6), (x + r * 0.96, y + 2.6), 1.0, "accent")
    rig.canvas.limb((x + r * 0.95, y + 2.6), (x + r + 2.5, y + 4.4), (0.9, 0.6), "accent")
    rig.canvas.limb((x + r * 0.95, y + 2.6), (x + r + 2.8, y + 1.8), (0.9, 0.6), "accent")


def _flower(rig: Rig, x: float, y: float, r: float) -> None:
    x, y = x + r * 0.6, y + 0.6
    for petal in range(5):
        angle = petal * math.tau / 5 - 1.57
        rig.canvas.ball(x + 1.6 * math.cos(angle), y + 1.6 * math.sin(angle), 1.15, 1.15, "trinket", edge="soft")
    rig.canvas.ball(x, y, 0.9, 0.9, "gold", edge="")


def horn(rig: Rig, x: float, y: float, r: float) -> None:
    """One straight horn, as a unicorn's."""
    rig.canvas.limb((x, y + 2), (x + 1.6, y - min(5, r + 1)), (1.5, 0.5), "gold", shine=True)
    rig.canvas.dot(x + 0.4, y - 0.4, "gold", SHADE)
    rig.canvas.dot(x + 0.9, y - 2.6, "gold", SHADE)


def ribbon(rig: Rig, x: float, y: float, r: float) -> None:
    """A bow on the side of the head."""
    x, y = x - r * 0.6, y + 1.0
    for side in (-1, 1):
        rig.canvas.poly([(x, y), (x + side * 3.2, y - 2), (x + side * 3.2, y + 2)], "trinket")
    rig.canvas.ball(x, y, 1, 1, "trinket")


def _cap(rig: Rig, x: float, y: float, r: float) -> None:
    rig.canvas.poly(
        [(x - r, y + 3.2), (x - r * 0.8, y + 0.4), (x, y - 1), (x + r * 0.8, y + 0.4), (x + r, y + 3.2)], "trinket"
    )
    rig.canvas.limb((x - r, y + 3.2), (x + r, y + 3.2), 0.9, "white")
    rig.canvas.ball(x, y - 1.6, 1.4, 1.4, "white")


def mushroom_cap(rig: Rig, x: float, y: float, r: float, ramp: str = "ruby") -> None:
    """A spotted cap, worn or grown."""
    y += 3.2
    points = [(x - r * 1.3, y), (x - r * 1.1, y - 2.8), (x - r * 0.5, y - 5.4), (x + r * 0.5, y - 5.4)]
    rig.canvas.poly([*points, (x + r * 1.1, y - 2.8), (x + r * 1.3, y)], ramp)
    for dx, dy in ((-0.65, -2), (0.1, -3.8), (0.75, -1.8)):
        rig.canvas.ball(x + dx * r, y + dy, 1.1, 0.9, "white", edge="")


HATS: dict[str, Callable[[Rig, float, float, float], None]] = {
    "crown": _crown,
    "wizard": wizard_hat,
    "hood": _hood,
    "helmet": helmet,
    "viking": _viking,
    "tophat": _top_hat,
    "halo": _halo,
    "pirate": _pirate,
    "robin": _robin,
    "mask": _mask,
    "flower": _flower,
    "horn": horn,
    "ribbon": ribbon,
    "cap": _cap,
    "mushroom": mushroom_cap,
}


def trinket(rig: Rig, x: float, y: float, r: float) -> None:
    """The small thing that a seed adds: at the neck (x, y), `r` wide to either side."""
    match rig.recipe.trinket:
        case "scarf":
            rig.canvas.limb((x - r, y), (x + r, y), 1.2, "trinket")
            rig.canvas.limb((x + r * 0.6, y + 0.6), (x + r * 0.8, y + 4), (1.1, 0.9), "trinket")
        case "bow":
            for side in (-1, 1):
                rig.canvas.poly([(x, y), (x + side * 2.6, y - 1.6), (x + side * 2.6, y + 1.6)], "trinket")
            rig.canvas.dot(x - 0.5, y, "trinket", SHADE)
        case "flower" if not rig.recipe.hat:
            _flower(rig, rig.top[0], rig.top[1], rig.brow)
        case _:
            pass


def hold(rig: Rig, x: float, y: float, item: str) -> None:
    """Something in a hand at (x, y), swung by a strike."""
    turn = -1.35 + 1.5 * rig.motion.strike - 0.25 * rig.motion.arm * (not rig.motion.strike)
    ax, ay = math.cos(turn), math.sin(turn)

    def along(reach: float, aside: float = 0.0) -> tuple[float, float]:
        return x + ax * reach - ay * aside, y + ay * reach + ax * aside

    if draw := HELD.get(item):
        draw(rig, along)
    if rig.motion.strike > 0.6 and item in ("sword", "axe", "hammer", "spear", "bow", "wand", "staff", ""):
        _slash(rig, x, y, item)


Along = Callable[..., tuple[float, float]]


def _slash(rig: Rig, x: float, y: float, item: str) -> None:
    """The arc that a blow leaves in the air."""
    if item in ("wand", "staff", "bow"):
        rig.canvas.ball(x + 6, y - 3, 2, 2, "ember", shine=True)
        return
    for step in range(10):
        angle = -1.9 + step * 0.18
        for reach in (7.6, 8.6) if step > 4 else (8.6,):
            rig.canvas.dot(x - 0.5 + reach * math.cos(angle), y + reach * math.sin(angle), "white", LIGHT)


def _sword(rig: Rig, along: Along) -> None:
    rig.canvas.limb(along(1), along(10.5), (1.3, 0.8), "metal", shine=True)
    rig.canvas.limb(along(1.4, -2), along(1.4, 2), 0.7, "gold")
    rig.canvas.limb(along(-1), along(0.8), 0.8, "leather", edge="")


def _axe(rig: Rig, along: Along) -> None:
    rig.canvas.limb(along(-2), along(8), 0.75, "wood")
    rig.canvas.poly([along(4.5, 0), along(8.5, 0), along(9, 4), along(6.5, 3.2), along(4, 4)], "metal", shine=True)


def _staff(rig: Rig, along: Along) -> None:
    rig.canvas.limb(along(-5), along(7), 0.75, "wood")
    rig.canvas.ball(*along(8), 1.9, 1.9, "accent", shine=True)


def _wand(rig: Rig, along: Along) -> None:
    rig.canvas.limb(along(-1), along(4.5), 0.6, "wood")
    x, y = along(5.6)
    rig.canvas.stamp(*_grid(rig, x - 1.5, y - 1.5), (".S.", "SSS", ".S."), {"S": ("ember", SHINE)})


def _bow(rig: Rig, along: Along) -> None:
    bend = (along(-5.5, -1.5), along(-3, 1.6), along(3, 1.6), along(5.5, -1.5))
    for first, second in pairwise(bend):
        rig.canvas.limb(first, second, 0.8, "wood", edge="")
    rig.canvas.limb(bend[0], bend[3], 0.5, "white", edge="")


def _spear(rig: Rig, along: Along) -> None:
    rig.canvas.limb(along(-6), along(7), 0.7, "wood")
    rig.canvas.poly([along(6.5, -1.5), along(10.5, 0), along(6.5, 1.5)], "metal")


def _hammer(rig: Rig, along: Along) -> None:
    rig.canvas.limb(along(-2), along(6), 0.8, "wood")
    rig.canvas.poly([along(4.6, -3), along(8.4, -3), along(8.4, 3), along(4.6, 3)], "steel", shine=True)


def shield(rig: Rig, x: float, y: float, size: float = 3.6) -> None:
    """A heater shield with a band, its middle at (x, y)."""
    outline = [
        (x - size, y - size),
        (x + size, y - size),
        (x + size, y + 0.6),
        (x, y + size * 1.25),
        (x - size, y + 0.6),
    ]
    rig.canvas.poly(outline, "accent")
    rig.canvas.limb((x, y - size + 0.5), (x, y + size * 0.9), 0.6, "gold", edge="")
    rig.canvas.limb((x - size + 0.6, y - 0.8), (x + size - 0.6, y - 0.8), 0.6, "gold", edge="")


def _held_shield(rig: Rig, along: Along) -> None:
    shield(rig, *along(1))


def _lantern(rig: Rig, along: Along) -> None:
    x, y = along(1)
    rig.canvas.ball(x, y + 3.2, 2, 2.4, "ember", shine=True)
    rig.canvas.limb((x - 1.3, y + 0.8), (x + 1.3, y + 0.8), 0.7, "steel", edge="")


def _potion(rig: Rig, along: Along) -> None:
    x, y = along(1.5)
    rig.canvas.ball(x, y + 0.6, 2, 2, "trinket", shine=True)
    rig.canvas.limb((x, y - 1.4), (x, y - 2.4), 0.8, "glass")


def _balloon(rig: Rig, along: Along) -> None:
    x, y = along(8)
    rig.canvas.limb(along(0), (x, y), 0.5, "white", edge="")
    rig.canvas.ball(x, y - 1, 3, 3.5, "trinket", shine=True)


HELD: dict[str, Callable[[Rig, Along], None]] = {
    "sword": _sword,
    "axe": _axe,
    "staff": _staff,
    "wand": _wand,
    "bow": _bow,
    "spear": _spear,
    "hammer": _hammer,
    "shield": _held_shield,
    "lantern": _lantern,
    "potion": _potion,
    "balloon": _balloon,
}


def beard(rig: Rig, x: float, y: float, r: float, ramp: str = "white") -> None:
    """A beard that hangs from a chin at (x, y)."""
    points = [(x - r, y - 1.6), (x - r * 0.4, y - 0.6), (x + r * 0.4, y - 0.6), (x + r, y - 1.6)]
    rig.canvas.poly([*points, (x + r * 0.7, y + 2.2), (x, y + 5), (x - r * 0.7, y + 2.2)], ramp)


def _grid(rig: Rig, x: float, y: float) -> tuple[int, int]:
    gx, gy = rig.canvas.stance.out(x, y)
    return round(gx), round(gy)
