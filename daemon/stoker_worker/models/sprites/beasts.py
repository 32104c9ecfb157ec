"""Those on four legs: a body from the side, a large head that looks at you, and a table of what tells them apart."""

import math
from dataclasses import dataclass

from stoker_worker.models.sprites import gear
from stoker_worker.models.sprites.rig import BASE, LIGHT, SHADE, Rig


@dataclass(frozen=True, slots=True)
class Beast:
    """One row of the menagerie; lengths in logical pixels."""

    ears: str = "point"  # point, round, long, flop, side, big, tuft, none
    muzzle: str = "short"  # short, long, pig, trunk, flat, wide, none
    tail: str = "thin"  # thin, bushy, curl, puff, horse, tuft, ring, stub, none
    body: tuple[float, float] = (7.0, 4.8)
    head: tuple[float, float] = (6.0, 5.3)
    legs: float = 5.0
    thick: float = 1.6
    mane: str = ""  # ring, crest, wool, spines
    horns: str = ""  # cow, antler, ram, one
    pattern: str = ""  # stripes, patches, mask, spots
    eyes: str = ""


BEASTS: dict[str, Beast] = {
    "cat": Beast("point", "short", "curl", eyes="slit"),
    "dog": Beast("flop", "wide", "thin", pattern="patches"),
    "wolf": Beast("point", "long", "bushy", (7.4, 4.8), legs=6, mane="ruff"),
    "fox": Beast("large", "long", "brush", (6.4, 4.2), pattern="bib"),
    "bear": Beast("round", "wide", "stub", (8.2, 6.2), (6.4, 5.7), 4, 2.3),
    "horse": Beast("tall", "horse", "horse", (7.6, 4.4), (4.6, 5.0), 7.5, 1.5, mane="crest"),
    "unicorn": Beast("tall", "horse", "horse", (7.4, 4.2), (4.6, 5.0), 7.5, 1.4, mane="crest", horns="one"),
    "rabbit": Beast("long", "short", "puff", (5.8, 5.0), (5.6, 5.0), 3, 1.7),
    "mouse": Beast("big", "tiny", "worm", (5.2, 4.2), (5.2, 4.6), 2.5, 1.2),
    "pig": Beast("fold", "pig", "spiral", (8.0, 6.0), (6.0, 5.4), 3, 1.8),
    "sheep": Beast("side", "flat", "stub", (8.0, 5.8), (4.6, 4.6), 4.5, 1.3, mane="wool"),
    "cow": Beast("side", "wide", "tuft", (8.6, 5.6), (5.6, 5.2), 5, 1.8, horns="cow", pattern="patches"),
    "deer": Beast("side", "flat", "stub", (6.8, 4.2), (4.8, 4.9), 7.5, 1.2, horns="antler", pattern="spots"),
    "lion": Beast("round", "wide", "tuft", (7.4, 4.8), (5.4, 5.0), 5, 1.8, mane="ring"),
    "tiger": Beast("round", "wide", "ring", (8.0, 5.0), pattern="stripes", thick=1.9),
    "elephant": Beast("fan", "trunk", "thin", (8.6, 6.8), (6.0, 5.8), 5, 2.4),
    "hedgehog": Beast("none", "snoot", "none", (8.0, 6.2), (4.4, 4.2), 2.5, 1.2, mane="spines"),
    "monkey": Beast("disc", "ape", "curl", (5.6, 5.2), (6.0, 5.4), 4, 1.5),
    "raccoon": Beast("point", "short", "ringed", (6.8, 5.2), legs=3.5, pattern="mask"),
}


def beast(rig: Rig) -> None:
    """Draw the recipe's kind from the menagerie."""
    row = BEASTS[rig.recipe.kind]
    rx, ry = row.body[0] + rig.shape("wide", 0.5), row.body[1] + rig.shape("tall", 0.4)
    legs = row.legs + rig.shape("limb", 0.5)
    x, y = 13.0, 28.6 - legs - ry * 0.62
    hx, hy = 20.6, y - ry * 0.35 - row.head[1] * 0.55
    if rig.has("winged"):
        gear.feathered_wing(rig, x - 2, y - 3, -1, 6.5, "mark", 7)
    rig.notes.add("wings")
    gear.behind(rig, x, y - 2, 9)
    _tail(rig, row, x - rx + 1, y - 1)
    _legs(rig, row, x, y, rx, dim=True)
    if row.mane == "wool":
        _wool(rig, x, y, rx, ry)
    elif row.mane == "spines":
        _spines(rig, x, y, rx, ry)
    else:
        rig.canvas.ball(x, y, rx, ry, "body")
        rig.canvas.ball(x + 0.5, y + ry * 0.62, rx * 0.7, ry * 0.45, "belly", edge="")
    _coat(rig, row, x, y)
    _legs(rig, row, x, y, rx, dim=False)
    if rig.has("winged"):
        gear.feathered_wing(rig, x + 1.5, y - 2, -1, 7.5, "white", 7)
        rig.notes.add("wings")
    if rig.has("armoured"):
        rig.canvas.ball(x, y - ry * 0.35, rx * 0.85, ry * 0.75, "metal", shine=True)
    _head(rig, row, hx, hy)


def _legs(rig: Rig, row: Beast, x: float, y: float, rx: float, *, dim: bool) -> None:
    swing, reach = rig.motion.swing, 2.3
    for place, phase in ((-0.62, 1), (0.55, -1)):
        hip = x + place * rx + (1.6 if dim else -0.4)
        step = swing * phase * (-1 if dim else 1)
        foot, lift = hip + step * reach, max(0.0, step) * 1.2
        sole = 28.3 - lift - (0.5 if dim else 0)
        rig.canvas.limb((hip, y + 1), (foot, sole - row.thick * 0.4), (row.thick + 0.3, row.thick), "body", dim=dim)
        if row.muzzle in ("horse", "pig", "flat") or row.horns:
            rig.canvas.ball(foot + 0.2, sole, row.thick, 0.9, "leather", edge="", dim=dim)
        elif not dim:
            rig.canvas.ball(foot + 0.5, sole, row.thick + 0.3, 1.0, "belly", edge="")


def _coat(rig: Rig, row: Beast, x: float, y: float) -> None:
    """The markings of a kind, beside those that the recipe asks for."""
    canvas, shift = rig.canvas, rig.shape("b", 1.5)
    if row.pattern == "stripes":
        canvas.repaint(
            "body",
            "ink",
            lambda px, py: (
                int(px + shift + 40 + abs(py - y) * 0.4) % 4 < 2
                and (py < y - 1 or int(px + shift + 40 + abs(py - y) * 0.4) % 4 == 0)
            ),
        )
    elif row.pattern == "patches":
        spots = ((x - 3 + shift, y - 1.5, 2.8), (x + 3 + shift, y + 1.2, 2.2))
        canvas.repaint("body", "mark", lambda px, py: any(math.hypot(px - a, py - b) < r for a, b, r in spots))
    elif row.pattern == "spots":
        for dx, dy in ((-4, -1.5), (-1.5, -2.4), (1.2, -1.4), (-2.6, 0.4)):
            canvas.dot(x + dx, y + dy, "white", LIGHT)
    if row.mane == "ruff":
        canvas.ball(x + 4.5, y - 0.4, 3.6, 4.4, "belly")


def _tail(rig: Rig, row: Beast, x: float, y: float) -> None:
    canvas, wag = rig.canvas, rig.motion.flap * 0.9 + rig.shape("tail", 0.6)
    match row.tail:
        case "thin" | "tuft" | "ring":
            canvas.chain(((x + 1, y), (x - 3, y - 1.5), (x - 4 + wag, y - 6)), (1.1, 0.95, 0.8), "body")
            if row.tail == "tuft":
                canvas.ball(x - 4 + wag, y - 6.4, 1.7, 2.0, "mark")
        case "curl":
            points = ((x + 1, y), (x - 3.5, y - 1), (x - 4.6 + wag, y - 5.5), (x - 2.4 + wag, y - 8.4))
            canvas.chain(points, (1.2, 1.2, 1.1, 1.0), "body")
        case "bushy" | "brush" | "ringed":
            size = 3.3 if row.tail == "brush" else 2.6
            tip = (x - 4.5, y - 5 + wag)
            canvas.chain(((x + 1.5, y + 0.5), (x - 3, y - 0.5), tip), (1.3, size, size * 0.75), "body")
            if row.tail == "brush":
                canvas.ball(tip[0], tip[1] - 0.8, size * 0.7, size * 0.8, "white", edge="soft")
            if row.tail == "ringed":
                canvas.repaint("body", "ink", lambda px, py: px < x - 0.5 and int(py + 40 - wag) % 4 < 2)
        case "puff":
            canvas.ball(x - 0.6, y + 1.5, 2.3, 2.3, "white")
        case "horse":
            canvas.chain(((x + 1, y - 1), (x - 2.4, y - 0.4), (x - 3.6 + wag, y + 7)), (1.3, 2.0, 1.0), "accent")
        case "spiral":
            canvas.chain(
                ((x + 0.6, y), (x - 1.6, y - 1), (x - 0.8, y - 3), (x - 2.6, y - 3 + wag)), (0.8, 0.8, 0.8, 0.7), "body"
            )
        case "worm":
            canvas.chain(((x + 1, y + 2), (x - 4, y + 4), (x - 6.5, y + 1 + wag)), (0.8, 0.7, 0.6), "nose")
        case "stub":
            canvas.ball(x, y - 0.6, 1.6, 1.5, "body")
        case _:
            pass


def _wool(rig: Rig, x: float, y: float, rx: float, ry: float) -> None:
    for step in range(10):
        angle = step * math.tau / 10
        rig.canvas.ball(
            x + (rx - 1.2) * math.cos(angle), y - 0.5 + (ry - 1.4) * math.sin(angle), 2.5, 2.5, "body", edge=""
        )
    rig.canvas.ball(x, y - 0.6, rx - 0.6, ry - 0.8, "body", edge="")
    for dx, dy in ((-3.4, -1.6), (0.4, -2.4), (-1.4, 1.2), (3, 0.6)):
        rig.canvas.stamp(round(x + dx), round(y + dy) + rig.motion.dy, ("SS.", "..S"), {"S": ("body", SHADE)})


def _spines(rig: Rig, x: float, y: float, rx: float, ry: float) -> None:
    for step in range(9):
        angle = math.pi * (0.92 + step * 0.115)
        base = (x + rx * 0.7 * math.cos(angle), y + ry * 0.7 * math.sin(angle))
        tip = (x + (rx + 2.6) * math.cos(angle), y + (ry + 2.8) * math.sin(angle))
        rig.canvas.limb(base, tip, (2.0, 0.5), "mark", edge="")
    rig.canvas.ball(x, y, rx, ry, "body")
    for dx, dy in ((-5, -1), (-2.5, -3), (0.5, -1.5), (-3, 1), (2.4, -3.4), (-5.4, 2)):
        rig.canvas.limb((x + dx, y + dy), (x + dx - 0.8, y + dy - 1.6), 0.5, "mark", edge="")


def _head(rig: Rig, row: Beast, x: float, y: float) -> None:
    rx, ry = row.head[0] + rig.shape("head", 0.4), row.head[1]
    rig.top, rig.brow = (x, y - ry), rx
    canvas = rig.canvas
    if row.mane == "ring":
        for step in range(11):
            angle = step * math.tau / 11
            canvas.ball(
                x + (rx + 0.6) * math.cos(angle), y + 0.4 + (ry + 0.6) * math.sin(angle), 2.6, 2.6, "mark", edge="soft"
            )
    if row.mane == "crest":
        canvas.chain(((x - 1, y - ry), (x - 5, y - 1), (x - 6, y + 5)), (1.6, 2.4, 1.8), "accent")
        canvas.limb((x - 3.2, y + 7), (x - 0.5, y + 1), (3.2, 3.0), "body")
    _horns(rig, row, x, y - ry, rx)
    _ears(rig, row, x, y, rx, ry)
    gear.trinket(rig, x - 1.4, y + ry - 0.2, rx * 0.7)
    canvas.ball(x, y, rx, ry, "belly" if row.mane == "spines" else "body")
    _markings(rig, row, x, y, rx, ry)
    _muzzle(rig, row, x, y)
    if row.mane == "crest":
        canvas.limb((x - 0.6, y - ry - 0.4), (x + 0.6, y - ry + 2), (1.6, 0.8), "accent", edge="soft")
    if row.horns == "one":
        gear.horn(rig, x + 0.5, y - ry - 0.6, rx)
    if row.mane == "wool":
        for dx in (-2.4, 0, 2.4):
            canvas.ball(x + dx, y - ry + 0.4 - (dx == 0), 2.0, 1.8, "body", edge="soft" if dx else "")
    if rig.has("old"):
        gear.beard(rig, x + 0.5, y + ry - 0.6, 3, "white")


def _markings(rig: Rig, row: Beast, x: float, y: float, rx: float, ry: float) -> None:
    canvas = rig.canvas
    match row.pattern:
        case "mask":
            canvas.limb((x - rx + 1.6, y + 0.4), (x + rx - 1.6, y + 0.4), 2.0, "ink", edge="")
        case "bib":
            for side in (-1, 1):
                canvas.ball(x + side * 3.4, y + 2.4, 2.6, 2.2, "white", edge="")
        case "stripes":
            for dx in (-1.6, 0, 1.6):
                canvas.limb((x + dx, y - ry + 0.4), (x + dx * 0.8, y - ry + 1.6), 0.5, "ink", edge="")
            for side in (-1, 1):
                canvas.limb((x + side * (rx - 0.6), y + 1.6), (x + side * (rx - 1.8), y + 1.6), 0.5, "ink", edge="")
        case "patches":
            canvas.ball(x + 3, y - 0.8, 2.6, 3.0, "mark", edge="")
        case _:
            pass
    if rig.recipe.trinket == "patch":
        canvas.ball(x - 2.8, y, 2.4, 2.6, "mark", edge="")


def _horns(rig: Rig, row: Beast, x: float, top: float, rx: float) -> None:
    canvas = rig.canvas
    match row.horns:
        case "cow":
            gear.horns(rig, x, top + 2, rx * 0.7, 4.5)
            rig.notes.add("horns")
        case "antler":
            for side in (-1, 1):
                fork = (x + side * 4.4, top - 3.4)
                canvas.chain(((x + side * 2, top + 1.4), fork, (x + side * 4, top - 7)), (0.9, 0.8, 0.6), "wood")
                canvas.limb(fork, (x + side * 7, top - 5.4), (0.7, 0.5), "wood", edge="")
                canvas.limb((x + side * 3.4, top - 1.4), (x + side * 1, top - 3.6), (0.6, 0.5), "wood", edge="")
            rig.notes.add("horns")
        case _:
            pass


def _ears(rig: Rig, row: Beast, x: float, y: float, rx: float, ry: float) -> None:
    canvas, perk = rig.canvas, rig.shape("ears", 0.6)
    top = y - ry
    for side in (-1, 1):
        match row.ears:
            case "point" | "large" | "tall":
                size = {"point": 3.2, "large": 4.6, "tall": 3.4}[row.ears] + perk
                wide = 1.3 if row.ears == "tall" else 2.0
                root = x + side * (rx - wide - 0.7)
                tip = (root + side * 1.5, top - size + 0.6)
                canvas.poly([(root - wide, top + 2.6), tip, (root + wide, top + 2.8)], "body")
                canvas.poly(
                    [(root - wide * 0.3, top + 2), (tip[0], tip[1] + 1.8), (root + wide * 0.5, top + 2)],
                    "nose",
                    edge="",
                )
            case "round" | "big" | "disc" | "fan":
                size = {"round": 2.3, "big": 3.9, "disc": 2.5, "fan": 4.4}[row.ears] + perk * 0.5
                ex = x + side * (rx - 0.8 + (size * 0.55 if row.ears in ("disc", "fan") else 0))
                ey = y - 0.5 if row.ears in ("disc", "fan") else top + 1.2
                canvas.ball(ex, ey, size, size * (1.2 if row.ears == "fan" else 1), "body")
                canvas.ball(ex, ey + 0.2, size * 0.55, size * 0.6, "nose", edge="")
            case "long":
                tip = (x + side * (3.4 + perk), top - 6.5 + rig.motion.swing * 0.6)
                canvas.limb((x + side * 2.4, top + 1.5), tip, (1.9, 1.5), "body")
                canvas.limb((x + side * 2.5, top), (tip[0], tip[1] + 0.6), 0.7, "nose", edge="")
            case "flop" | "fold":
                drop = 6.0 if row.ears == "flop" else 2.6
                root = (x + side * (rx - 1.6), top + 1.4)
                canvas.limb(
                    root, (x + side * (rx + 1.2), top + drop + perk), (1.6, 2.0), "mark" if drop > 3 else "limb"
                )
            case "side":
                canvas.limb((x + side * (rx - 1), y - 1.6), (x + side * (rx + 3), y - 1.2 + perk), (1.5, 0.9), "limb")
            case _:
                pass


def _muzzle(rig: Rig, row: Beast, x: float, y: float) -> None:
    canvas, eyes = rig.canvas, row.eyes
    nose = ("nose", BASE) if rig.recipe.kind in ("cat", "rabbit", "mouse") else ("ink", BASE)
    match row.muzzle:
        case "wide" | "ape":
            for side in (-1, 1) if row.muzzle == "ape" else ():
                canvas.ball(x + side * 2.3, y - 0.6, 2.7, 2.9, "belly", edge="")
            canvas.ball(x, y + 2.4, 3.6, 2.6, "belly", edge="soft")
            rig.face(x, y - 0.6, 4.0, eyes=eyes, drop=3.6)
            canvas.stamp(*_at(rig, x - 1.5, y + 1), ("NNN", ".N."), {"N": nose})
        case "long" | "snoot":
            canvas.ball(x + 0.4, y + 2.8, 2.9, 2.7, "white" if row.pattern == "bib" else "belly", edge="soft")
            rig.face(x, y - 0.6, 4.0, eyes=eyes, drop=4, mouth="smile")
            canvas.stamp(*_at(rig, x - 0.6, y + 1.6), ("NN", "NN"), {"N": nose})
        case "horse":
            canvas.ball(x + 1.2, y + 3.6, 4.0, 3.0, "belly")
            rig.face(x + 0.4, y - 0.6, 3.6, eyes=eyes, mouth="none")
            canvas.stamp(*_at(rig, x - 0.8, y + 3), ("N..N",), {"N": nose})
            rig.mouth(x + 1.2, y + 4.6, "flat")
        case "pig":
            canvas.ball(x, y + 2, 2.8, 2.0, "limb")
            rig.face(x, y - 0.9, 4.0, eyes=eyes, drop=4.9, mouth="flat")
            canvas.stamp(*_at(rig, x - 1.5, y + 1.5), ("N.N", "N.N"), {"N": ("mark", SHADE)})
        case "trunk":
            rig.face(x, y - 0.8, 4.1, eyes=eyes, mouth="none")
            lift = -6.5 * rig.motion.arm
            canvas.chain(((x, y + 1.4), (x + 0.8, y + 6), (x + 3.6, y + 8.6 + lift)), (2.2, 1.7, 1.2), "body")
            for side in (-1, 1):
                canvas.limb((x + side * 2.6, y + 3.6), (x + side * 3.6, y + 6), (0.9, 0.5), "bone")
        case _:
            canvas.ball(x, y + 2.4, 2.6, 1.8, "belly", edge="")
            rig.face(x, y - 0.2, 4.1, eyes=eyes, drop=2.8, mouth="cat" if row.muzzle == "short" else "smile")
            canvas.stamp(*_at(rig, x - 1, y + 1.4), ("NN",), {"N": nose})


def _at(rig: Rig, x: float, y: float) -> tuple[int, int]:
    gx, gy = rig.canvas.stance.out(x, y)
    return round(gx), math.floor(gy)
