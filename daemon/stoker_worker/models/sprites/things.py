"""Things: treasure, weapons, buildings and vehicles; they get a face only when the words give them a mood."""

from stoker_worker.models.sprites import gear
from stoker_worker.models.sprites.rig import BASE, LIGHT, SHADE, SHINE, Rig


def _alive(rig: Rig, x: float, y: float, gap: float = 4.0, drop: float = 3.0) -> None:
    """A face, if the thing has a mood or does something that things do not do."""
    if rig.recipe.mood or rig.motion.eyes or rig.has("baby", "undead"):
        rig.face(x, y, gap, drop=drop, mouth="smile")


def _float(rig: Rig) -> float:
    return -0.7 * rig.motion.flap


def chest(rig: Rig) -> None:
    """A treasure chest, open, full of gold; struck awake it is a mimic."""
    canvas = rig.canvas
    mimic = bool(rig.recipe.mood or rig.motion.strike or rig.motion.eyes in ("angry", "happy"))
    gape = 2.0 * rig.motion.arm
    canvas.poly([(5.6, 12 - gape), (8, 6.4 - gape), (24, 6.4 - gape), (26.4, 12 - gape), (25.4, 17), (6.6, 17)], "body")
    canvas.poly([(7.6, 12 - gape), (24.4, 12 - gape), (24.4, 18), (7.6, 18)], "ink", flat=True)
    if mimic:
        for side in (-1, 1):
            canvas.ball(16 + side * 4, 13.8 - gape, 2.0, 1.8, "ember", edge="")
            canvas.dot(16 + side * 3.6 - 0.4, 13.6 - gape, "ink")
    else:
        for x, y, r in ((11, 16.6, 2.4), (15, 15.4, 2.8), (20, 16.6, 2.6)):
            canvas.ball(x, y, r, r, "gold", shine=True)
        canvas.ball(18, 14, 1.5, 1.5, "accent", shine=True)
    canvas.poly([(5.6, 18.4), (26.4, 18.4), (25.4, 28.6), (6.6, 28.6)], "body")
    for x in (8, 24):
        canvas.limb((x, 18.6), (x, 28.4), 1.0, "gold", edge="soft")
        canvas.limb((x, 7 - gape), (x, 11 - gape), 1.0, "gold", edge="")
    canvas.limb((6, 18.6), (26, 18.6), 0.8, "gold", edge="")
    if mimic:
        for x in (9.5, 12.5, 19.5, 22.5):
            canvas.poly([(x - 1.3, 18.4), (x, 21.6), (x + 1.3, 18.4)], "white")
            canvas.poly([(x - 1.3, 12 - gape), (x, 14.4 - gape), (x + 1.3, 12 - gape)], "white", edge="")
        canvas.chain(((16, 18.4), (17, 22), (20.6, 26)), (2.2, 2.0, 1.6), "mouth")
    else:
        canvas.ball(16, 20, 2.0, 2.3, "gold", shine=True)
        canvas.dot(15.6, 20.2, "ink")
    rig.top, rig.brow = (16, 6 - gape), 7


def potion(rig: Rig) -> None:
    """A corked flask of something that glows."""
    canvas, bob = rig.canvas, _float(rig)
    tall = rig.recipe.shape("a") > 0.2
    canvas.limb((16, 9), (16, 14), 2.4, "glass")
    if tall:
        canvas.poly([(13, 12), (19, 12), (24.6, 26.4), (23.4, 28.4), (8.6, 28.4), (7.4, 26.4)], "glass")
        canvas.poly(
            [(11, 19.4 + bob * 0.4), (21, 19.4 - bob * 0.4), (23.4, 26.2), (22.6, 27.4), (9.4, 27.4), (8.6, 26.2)],
            "body",
            edge="",
            shine=True,
        )
    else:
        canvas.ball(16, 20.4, 8.6, 8.2, "glass")
        canvas.ball(16, 20.8, 7.4, 7.0, "body", edge="", shine=True)
        canvas.repaint("body", "glass", lambda px, py: py < 17.6 + bob * 0.3 * (1 if px < 16 else -1))
    canvas.limb((13.4, 8.4), (18.6, 8.4), 1.1, "glass")
    canvas.poly([(14.2, 4.4), (17.8, 4.4), (17.4, 8), (14.6, 8)], "wood")
    for x, y in ((13, 24), (18.6, 22), (15.4, 20.4)):
        canvas.dot(x, y - rig.motion.beat * 2, "belly", SHINE)
    for y in (18, 19, 20):
        canvas.dot(10.4, y, "white", SHINE)
    rig.top, rig.brow = (16, 4.4), 4
    _alive(rig, 16, 22)


def sword(rig: Rig) -> None:
    """A great blade with a jewelled guard, point up."""
    canvas, bob = rig.canvas, _float(rig)
    y, wide = bob, 2.6 + rig.shape("wide", 0.6)
    canvas.poly(
        [(16 - wide, 19 + y), (16 - wide, 6 + y), (16, 1.6 + y), (16 + wide, 6 + y), (16 + wide, 19 + y)],
        "body",
        shine=True,
    )
    canvas.limb((16.2, 5 + y), (16.2, 18 + y), 0.5, "mark", edge="")
    curl = rig.shape("a", 1.6)
    for side in (-1, 1):
        canvas.chain(
            ((16, 19.6 + y), (16 + side * 5, 19.6 + y), (16 + side * 7, 18.6 + curl + y)), (1.6, 1.4, 1.2), "gold"
        )
    canvas.limb((16, 21 + y), (16, 25.4 + y), 1.3, "leather")
    canvas.ball(16, 27 + y, 1.9, 1.7, "gold", shine=True)
    canvas.ball(16, 19.6 + y, 1.5, 1.5, "accent", shine=True)
    rig.top, rig.brow = (16, 2), 3
    _alive(rig, 16, 13, 2.6, 2)


def shield_thing(rig: Rig) -> None:
    """A shield with a painted device."""
    canvas, y = rig.canvas, _float(rig)
    canvas.poly(
        [(5, 4.4 + y), (27, 4.4 + y), (27, 15 + y), (23, 22.6 + y), (16, 28 + y), (9, 22.6 + y), (5, 15 + y)],
        "metal",
        shine=True,
    )
    canvas.poly(
        [(7.4, 6.8 + y), (24.6, 6.8 + y), (24.6, 14.6 + y), (21, 21 + y), (16, 25 + y), (11, 21 + y), (7.4, 14.6 + y)],
        "body",
    )
    device = int((rig.recipe.shape("a") + 1) * 1.49)
    if device == 0:
        canvas.limb((16, 8 + y), (16, 23 + y), 1.5, "gold")
        canvas.limb((8.4, 13 + y), (23.6, 13 + y), 1.5, "gold", edge="")
    elif device == 1:
        canvas.poly([(8, 17 + y), (16, 9 + y), (24, 17 + y), (22, 20 + y), (16, 14 + y), (10, 20 + y)], "accent")
    else:
        canvas.ball(16, 14 + y, 4.6, 4.6, "gold", shine=True)
        canvas.ball(16, 14 + y, 2.2, 2.2, "accent", shine=True)
    rig.top, rig.brow = (16, 4), 7
    _alive(rig, 16, 14)


def castle(rig: Rig) -> None:
    """Two towers, a gate and flags."""
    canvas, wave = rig.canvas, rig.motion.flap
    for side in (-1, 1):
        x = 16 + side * 8
        canvas.poly([(x - 3.6, 13), (x + 3.6, 13), (x + 3.6, 28.8), (x - 3.6, 28.8)], "body")
        if rig.recipe.shape("a") > 0:
            canvas.poly([(x - 4.8, 13.4), (x, 5), (x + 4.8, 13.4)], "accent")
        else:
            _battlement(rig, x, 12.6, 4.2)
            canvas.limb((x, 10), (x, 4.6), 0.5, "wood")
            canvas.poly([(x + 0.4, 4), (x + 4.4, 5 + wave * 0.6), (x + 0.4, 7)], "accent")
        canvas.poly([(x - 1, 17), (x + 1, 17), (x + 1, 20.4), (x - 1, 20.4)], "ink", flat=True)
    tall = 9 + rig.shape("tall", 1.5)
    canvas.poly([(11, tall), (21, tall), (21, 28.8), (11, 28.8)], "body")
    _battlement(rig, 16, tall, 5.4)
    canvas.poly([(13, 28.8), (13, 23.4), (16, 20.6), (19, 23.4), (19, 28.8)], "wood")
    canvas.limb((16, 21.8), (16, 28.6), 0.4, "ink", edge="")
    for x in (14, 17.4):
        canvas.dot(x, 14, "ember", SHINE)
        canvas.dot(x, 15, "ember", BASE)
    for x, y in ((12, 18), (19.4, 17.4), (13, 11.4), (6, 23), (25, 25), (23, 15.6), (19.8, 26)):
        canvas.stamp(round(x), round(y) + rig.motion.dy, ("SS",), {"S": ("body", SHADE)})
    rig.top, rig.brow = (16, tall - 3), 5
    _alive(rig, 16, 16, 3.4)


def _battlement(rig: Rig, x: float, y: float, half: float) -> None:
    rig.canvas.poly([(x - half, y - 1), (x + half, y - 1), (x + half, y + 1.6), (x - half, y + 1.6)], "body")
    for share in (-0.8, 0.0, 0.8):
        merlon = x + share * half
        rig.canvas.poly(
            [(merlon - 1.1, y - 3), (merlon + 1.1, y - 3), (merlon + 1.1, y), (merlon - 1.1, y)], "body", edge=""
        )


def house(rig: Rig) -> None:
    """A cottage with a lit window and a smoking chimney."""
    canvas = rig.canvas
    canvas.poly([(20.4, 5), (24, 5), (24, 13), (20.4, 13)], "stone")
    for puff, r in ((0, 1.3), (1, 1.8)):
        rise = (rig.motion.beat + puff * 0.5) % 1.0 * 4
        canvas.ball(22.4 + puff * 1.4 + rise * 0.3, 3.6 - rise * 0.8, r, r, "white", edge="")
    canvas.poly([(6.6, 15), (25.4, 15), (25.4, 28.8), (6.6, 28.8)], "bone")
    slope = 8 - rig.shape("tall", 1.4)
    canvas.poly([(3.4, 17), (11, slope - 1), (21, slope - 1), (28.6, 17)], "body")
    for y in (11, 14):
        canvas.limb((9, y), (23, y), 0.4, "mark", edge="")
    canvas.poly([(9, 28.8), (9, 20.6), (14, 20.6), (14, 28.8)], "wood")
    canvas.dot(12.6, 24.6, "gold", LIGHT)
    canvas.poly([(17.4, 20), (23, 20), (23, 25), (17.4, 25)], "ember", shine=True)
    canvas.limb((20.2, 20), (20.2, 25), 0.4, "wood", edge="")
    canvas.limb((17.4, 22.5), (23, 22.5), 0.4, "wood", edge="")
    for x in (16.4, 18.6, 21, 23.4):
        canvas.ball(x, 27.8, 1.5, 1.3, "leaf", edge="")
    canvas.dot(18.6, 27, "accent", LIGHT)
    canvas.dot(22.4, 27, "accent", LIGHT)
    rig.top, rig.brow = (16, slope - 1), 6
    _alive(rig, 16, 13, 4)


def rocket(rig: Rig) -> None:
    """A rocket on its flame."""
    canvas, y = rig.canvas, -1.0 + _float(rig)
    burn = 2.2 + rig.motion.flap * 1.2 + 2 * rig.motion.strike
    canvas.poly([(12.6, 23 + y), (16, 27.4 + burn + y), (19.4, 23 + y)], "flame")
    canvas.poly([(14.2, 23 + y), (16, 25 + burn * 0.7 + y), (17.8, 23 + y)], "ember", edge="")
    for side in (-1, 1):
        canvas.poly(
            [(16 + side * 4, 15 + y), (16 + side * 9.4, 21.6 + y), (16 + side * 9, 25 + y), (16 + side * 4, 22.4 + y)],
            "accent",
        )
    wide = 5.6 + rig.shape("wide", 0.6)
    points = [(16, 1.6 + y), (16 + wide * 0.66, 6 + y), (16 + wide, 12 + y), (16 + wide * 0.72, 23.4 + y)]
    canvas.poly(
        [*points, (16 - wide * 0.72, 23.4 + y), (16 - wide, 12 + y), (16 - wide * 0.66, 6 + y)], "body", shine=True
    )
    canvas.repaint("body", "accent", lambda _x, py: py < 6.4 + y or 19.4 < py - y < 21)
    canvas.ball(16, 12.4 + y, 3.2, 3.2, "metal")
    canvas.ball(16, 12.4 + y, 2.1, 2.1, "frost", shine=True)
    rig.top, rig.brow = (16, 2), 4
    _alive(rig, 16, 12.6 + y, 3)


def ship(rig: Rig) -> None:
    """A galleon before the wind, on two waves."""
    canvas, rock = rig.canvas, rig.motion.flap * 0.6
    canvas.limb((15, 24), (15 + rock, 3.4), 0.8, "wood")
    canvas.poly([(15 + rock, 2), (20.6, 3.4 + rock * 0.5), (15 + rock, 5)], "accent")
    canvas.poly([(16, 6), (22.4, 7.4), (26.6 + rock, 13), (24, 18.6), (16, 18.6), (17.6, 12)], "bone", shine=True)
    canvas.poly([(14, 7), (14, 18.6), (5.6, 18.6), (9.6, 13)], "accent" if rig.recipe.shape("a") > 0 else "bone")
    canvas.poly(
        [(2.8, 17.4), (6.4, 17.4), (7.6, 20), (25, 20), (28.8, 17.6), (25, 26.4), (21.6, 28), (9, 28), (5.4, 25.4)],
        "body",
    )
    canvas.limb((6, 22), (26, 22), 0.5, "gold", edge="")
    for x in (10.4, 15, 19.6):
        canvas.ball(x, 24.4, 1.2, 1.2, "ink", edge="")
    for x in (4, 12, 20, 28):
        canvas.ball(x + rock, 28.4, 4.4, 1.6, "frost", edge="")
    rig.top, rig.brow = (15, 3), 4
    _alive(rig, 16, 23.5, 4)


def gem(rig: Rig) -> None:
    """A cut stone, its facets lit from the left."""
    canvas, y = rig.canvas, _float(rig)
    wide = 9.6 + rig.shape("wide", 1)
    if rig.recipe.shape("a") > 0.1:
        _crystals(rig)
        return
    top, girdle, foot = 7 + y, 13 + y, 27.6 + y
    canvas.poly(
        [(16 - wide * 0.62, top), (16 + wide * 0.62, top), (16 + wide, girdle), (16, foot), (16 - wide, girdle)], "body"
    )
    canvas.poly(
        [(16 - wide * 0.62, top), (16 - wide * 0.2, top), (16 - wide * 0.4, girdle), (16 - wide, girdle)],
        "belly",
        edge="",
        flat=True,
    )
    canvas.poly([(16 - wide * 0.4, girdle), (16 + wide * 0.4, girdle), (16, foot)], "belly", edge="", flat=True)
    canvas.poly([(16 + wide * 0.4, girdle), (16 + wide, girdle), (16, foot)], "mark", edge="", flat=True)
    canvas.limb((16 - wide, girdle), (16 + wide, girdle), 0.4, "mark", edge="")
    canvas.stamp(22, round(5 + y), ("..W..", "..W..", "WWWWW", "..W..", "..W.."), {"W": ("star", SHINE)})
    rig.top, rig.brow = (16, top), 6
    _alive(rig, 16, 15 + y, 4)


def _crystals(rig: Rig) -> None:
    canvas = rig.canvas
    for x, low, high, half in ((9.4, 28, 14, 3.2), (22.6, 28, 12, 3.4), (16, 28.4, 4, 4.4)):
        tilt = (x - 16) * 0.36
        canvas.poly(
            [
                (x - half, low),
                (x - half + tilt, high + 3),
                (x + tilt, high),
                (x + half + tilt, high + 3),
                (x + half, low),
            ],
            "body",
            shine=True,
        )
        canvas.poly(
            [
                (x - half + 0.8, low - 1),
                (x - half + tilt + 1, high + 3.4),
                (x + tilt - 0.2, high + 1.6),
                (x - 0.4, low - 1),
            ],
            "belly",
            edge="",
            flat=True,
        )
    rig.top, rig.brow = (16, 4), 4
    _alive(rig, 16, 19, 4)


def heart(rig: Rig) -> None:
    """A heart that beats."""
    canvas, beat = rig.canvas, 0.5 * rig.motion.flap
    gear.behind(rig, 16, 14, 13)
    for side in (-1, 1):
        canvas.ball(16 + side * 4.9, 11.6, 6.2 + beat, 6.2 + beat, "body", edge="", shine=side < 0)
    canvas.poly(
        [(5.4 - beat, 14), (16, 8.6), (26.6 + beat, 14), (22.6, 20.4), (16, 27.4 + beat), (9.4, 20.4)], "body", edge=""
    )
    canvas.stamp(8, 9 + rig.motion.dy, (".WW", "WW.", "W.."), {"W": ("white", SHINE)})
    rig.top, rig.brow = (16, 7), 8
    _alive(rig, 16, 14, 4.6)


def book(rig: Rig) -> None:
    """A thick book with a clasp and a sign on its cover."""
    canvas, y = rig.canvas, _float(rig)
    canvas.poly([(8, 25 + y), (25.6, 25 + y), (25.6, 28 + y), (8, 28 + y)], "bone")
    canvas.poly([(6, 5 + y), (24.6, 5 + y), (24.6, 25.4 + y), (6, 25.4 + y)], "body")
    canvas.poly([(6, 5 + y), (9.4, 5 + y), (9.4, 25.4 + y), (6, 25.4 + y)], "mark", edge="soft")
    for cx, cy in ((23, 6.6), (23, 23.8)):
        canvas.ball(cx, cy + y, 1.7, 1.7, "gold", edge="soft")
    if rig.recipe.mood or rig.motion.eyes:
        rig.face(17, 14 + y, 4, mouth="teeth", drop=4)
    elif rig.recipe.shape("a") > 0:
        canvas.ball(17, 15 + y, 4, 4, "gold", shine=True)
        canvas.ball(18.4, 14 + y, 2.8, 2.8, "body", edge="")
    else:
        canvas.poly([(17, 9 + y), (21, 15 + y), (17, 21 + y), (13, 15 + y)], "accent", shine=True)
        canvas.ball(17, 15 + y, 1.3, 1.3, "gold", edge="")
    canvas.limb((12, 28 + y), (12, 29 + y), 0.6, "ruby", edge="")
    rig.top, rig.brow = (15, 5), 7


def bomb(rig: Rig) -> None:
    """A round bomb with a burning fuse."""
    canvas, spark = rig.canvas, rig.motion.flap
    canvas.chain(((19.6, 11), (21.4, 7.4), (24.6, 6.6)), (0.9, 0.8, 0.8), "wood")
    canvas.poly([(16.6, 9), (21, 11.2), (19.6, 14), (15, 12)], "steel")
    canvas.ball(15, 19.4, 9.4, 9.2, "body", shine=True)
    canvas.stamp(9, 13 + rig.motion.dy, (".WW", "WW.", "W.."), {"W": ("white", SHINE)})
    size = 2.2 + 0.5 * spark
    canvas.ball(25.2, 6, size, size, "flame", edge="")
    canvas.ball(25.2, 6, 1.2, 1.2, "ember", edge="", shine=True)
    for dx, dy in ((3.4, -1), (0.6, -3.6), (2.8, 2.6)):
        canvas.dot(25 + dx, 6 + dy * (1 + 0.2 * spark), "ember", SHINE)
    rig.top, rig.brow = (15, 10), 6
    _alive(rig, 15, 19, 4.6)


def key(rig: Rig) -> None:
    """An ornate key."""
    canvas, y = rig.canvas, _float(rig)
    canvas.ball(16, 8.6 + y, 5.6, 5.4, "body", shine=True)
    canvas.ball(16, 8.6 + y, 2.6, 2.4, "accent", shine=True)
    canvas.limb((16, 14 + y), (16, 27 + y), 1.5, "body", shine=True)
    canvas.limb((13.6, 15 + y), (18.4, 15 + y), 1.1, "body")
    for reach, low in ((5.4, 26.4), (4.4, 22.4 + rig.shape("a", 0.8))):
        canvas.limb((16, low + y), (16 + reach, low + y), 1.3, "body", edge="soft")
    rig.top, rig.brow = (16, 3), 4
    _alive(rig, 16, 8.6 + y, 3.4, 2)


def lantern(rig: Rig) -> None:
    """A lamp with a live flame."""
    canvas, lick = rig.canvas, rig.motion.flap
    canvas.chain(((11.6, 9), (13, 4), (19, 4), (20.4, 9)), (0.8, 0.8, 0.8, 0.8), "steel", edge="")
    canvas.poly([(10, 11.4), (13.4, 7.6), (18.6, 7.6), (22, 11.4)], "body")
    canvas.poly([(10.6, 11.4), (21.4, 11.4), (22.4, 24), (9.6, 24)], "glass")
    canvas.poly([(16, 13 - lick * 0.6), (19.4, 19), (18.4, 23), (13.6, 23), (12.6, 19)], "flame", edge="")
    canvas.ball(16, 20.8, 2.2, 2.4 + 0.3 * lick, "ember", edge="", shine=True)
    for x in (10.4, 21.6):
        canvas.limb((x, 11.6), (x, 24), 0.8, "body", edge="")
    canvas.poly([(9, 24), (23, 24), (24, 28.6), (8, 28.6)], "body")
    rig.top, rig.brow = (16, 5), 5
    _alive(rig, 16, 19, 4)


def cake(rig: Rig) -> None:
    """A cake with icing, a cherry and a candle."""
    canvas = rig.canvas
    canvas.ball(16, 27.6, 12, 1.6, "white")
    canvas.poly([(6.6, 17), (25.4, 17), (25.4, 27.4), (6.6, 27.4)], "bone")
    canvas.limb((6.8, 22.4), (25.2, 22.4), 0.8, "accent", edge="")
    canvas.ball(16, 16, 9.8, 3.6, "body", shine=True)
    for x, drip in ((7.4, 3.4), (10.8, 5), (14.2, 3.6), (17.8, 5.4), (21.2, 3.4), (24.4, 4.6)):
        canvas.limb((x, 16), (x, 15.4 + drip), 1.5, "body", edge="")
    for x, y in ((9.4, 15), (12.6, 16.4), (19, 16.6), (22.4, 15)):
        canvas.dot(x, y, "trim", LIGHT)
    canvas.limb((16, 13.4), (16, 7.6), 1.2, "trim")
    canvas.ball(16, 4.6, 1.5, 2.2 + 0.3 * rig.motion.flap, "flame", edge="")
    canvas.dot(15.8, 5, "ember", SHINE)
    rig.top, rig.brow = (16, 12), 6
    _alive(rig, 16, 22, 4)


def apple(rig: Rig) -> None:
    """An apple with a leaf."""
    canvas = rig.canvas
    canvas.chain(((16, 11), (16.6, 7), (18, 4.6)), (0.9, 0.8, 0.9), "wood")
    canvas.limb((18, 7.6), (22.4, 5.2), (0.8, 2.0), "leaf")
    for side in (-1, 1):
        canvas.ball(16 + side * 4.2, 18.6, 6.6, 8.4, "body", edge="", shine=side < 0)
    canvas.ball(16, 20, 8, 8.2, "body", edge="")
    canvas.limb((14.6, 11.4), (17.4, 11.4), 0.6, "mark", edge="")
    canvas.stamp(9, 14 + rig.motion.dy, (".WW", "WW.", "W.."), {"W": ("white", SHINE)})
    rig.top, rig.brow = (16, 10), 6
    _alive(rig, 16, 19, 4.6)
