"""Dragons, machines, spirits of earth and fire, what grows, and monsters put together from parts."""

import math

from stoker_worker.models.sprites import gear
from stoker_worker.models.sprites.rig import BASE, LIGHT, SHINE, Rig


def dragon(rig: Rig) -> None:
    """A young dragon: wings, horns, a crest down the back, and smoke or fire."""
    canvas, swing = rig.canvas, rig.motion.swing
    for side, x in ((1, 12.0), (-1, 11.0)):
        gear.leather_wing(rig, x + side * 0.5, 16.5, side if side < 0 else 1, 10.6 if side < 0 else 6)
    rig.notes.add("wings")
    wag = rig.motion.flap
    canvas.chain(((12, 25), (6, 27), (3.4, 23.5 + wag)), (2.8, 1.9, 0.9), "body")
    canvas.poly([(1.4, 24 + wag), (3, 19.6 + wag), (6, 23 + wag)], "accent")
    canvas.limb((16.5, 25), (18 - swing * 1.6, 27.6), (2.2, 1.7), "body", dim=True)
    canvas.ball(14.4, 21.4, 6.0 + rig.shape("wide", 0.5), 6.6, "body")
    canvas.ball(17, 22.4, 3.2, 5.2, "belly", edge="")
    for line in (19.6, 22, 24.4):
        canvas.limb((15.4, line), (19, line), 0.4, "mark", edge="")
    canvas.limb((12, 25), (12.4 + swing * 1.8, 27.4 - max(0.0, swing)), (2.6, 2.0), "body")
    hand = rig.hand(1, 18, 19.6, 3.6)
    canvas.limb((17.4, 19.4), hand, (1.5, 1.1), "body")
    _dragon_head(rig, 19.4, 11.4)


def _dragon_head(rig: Rig, x: float, y: float) -> None:
    canvas = rig.canvas
    for sx, sy in ((13.4, 5.6), (11.4, 9), (10.4, 13)):
        canvas.poly([(sx + 1.6, sy + 3), (sx - 1.8, sy - 0.4), (sx + 3.4, sy)], "accent")
    canvas.limb((16, 18), (x - 1.4, y + 2), (3.6, 3.8), "body", edge="")
    gear.horns(rig, x - 1.6, y - 3.6, 2.6, 5.4 + rig.shape("a", 0.8))
    rig.notes.add("horns")
    rig.top, rig.brow = (x - 1, y - 4.8), 5.4
    canvas.ball(x - 0.6, y, 6.0, 5.2, "body")
    gape = 1.8 if rig.motion.mouth in ("roar", "open") else 0.0
    if gape:
        canvas.limb((x + 1.6, y + 4), (x + 6, y + 5), (1.8, 1.3), "belly")
    canvas.limb((x + 1, y + 2 - gape * 0.4), (x + 6, y + 2.4 - gape * 0.6), (3.0, 2.3), "body")
    canvas.dot(x + 7, y + 1 - gape * 0.5, "ink")
    canvas.dot(x + 4.8, y + 0.8 - gape * 0.5, "ink")
    for tooth in (3.0, 6.0):
        canvas.dot(x + tooth, y + 4.2 - gape * 0.4, "white", LIGHT)
    rig.face(x - 0.4, y - 1, 3.9, eyes="slit" if rig.recipe.eyes in ("dot", "tall") else "", mouth="none")
    if rig.motion.strike > 0.4:
        for reach, size in ((9.6, 1.2), (11.4, 1.7)):
            canvas.ball(x + reach, y + 3.4, size, size, "flame", edge="")
        canvas.ball(x + 10.4, y + 3.4, 0.9, 0.9, "ember", edge="")


def dinosaur(rig: Rig) -> None:
    """A big jaw, small arms and a heavy tail."""
    canvas, swing, wag = rig.canvas, rig.motion.swing, rig.motion.flap * 0.7
    canvas.chain(((13, 20.5), (6.6, 24), (2.4, 21.5 + wag)), (4.8, 2.7, 0.9), "body")
    canvas.limb((15.4, 22), (17 - swing * 2, 27.4), (2.6, 1.8), "body", dim=True)
    for x, y in ((7, 19.8), (9.4, 16), (12, 12.4), (13.6, 7.6)):
        canvas.poly([(x - 1.4, y + 2.4), (x - 2, y - 1.8), (x + 2.4, y + 1)], "accent")
    canvas.limb((13.4, 21), (16.6, 12), (5.6, 4.2), "body", edge="")
    canvas.limb((16, 22), (18, 15), (3.2, 2.2), "belly", edge="")
    canvas.limb((11.6, 22.6), (12.6 + swing * 2, 27.4 - max(0.0, swing)), (3.0, 2.0), "body")
    canvas.ball(13.4 + swing * 2, 28, 2.4, 1.0, "limb", edge="")
    hand = rig.hand(1, 19, 17.4, 3.2)
    canvas.limb((18.6, 17), hand, 1.0, "body")
    gape = 2.4 if rig.motion.mouth in ("roar", "open") else 0.6
    rig.top, rig.brow = (17.6, 3.8), 5.4
    canvas.limb((18, 11.6), (24.4, 11.4 + gape), (2.6, 1.7), "belly")
    canvas.limb((17.6, 8.2), (25, 8.8 - gape * 0.4), (4.6, 3.2), "body")
    for x in (20.4, 22.6, 24.8, 26.8):
        canvas.dot(x, 11.6 - gape * 0.2, "white", SHINE)
    canvas.dot(27, 7.4 - gape * 0.4, "ink")
    rig.face(18.6, 6.8, 3.7, mouth="none")


def robot(rig: Rig) -> None:
    """A riveted box with a screen for a face."""
    canvas, wide = rig.canvas, 6.6 + rig.shape("wide", 0.8)
    gear.behind(rig, 16, 18, 11)
    for side in (-1, 1):
        sole = rig.sole(side)
        canvas.limb((16 + side * 2.8, 23), (16 + side * 2.8, sole - 1), 1.2, "steel")
        canvas.poly(
            [
                (16 + side * 3 - 2.4, sole - 1.4),
                (16 + side * 3 + 2.4, sole - 1.4),
                (16 + side * 3 + 2.6, sole + 0.6),
                (16 + side * 3 - 2.6, sole + 0.6),
            ],
            "body",
        )
        hand = rig.hand(side, 16 + side * 6, 18.4)
        canvas.limb((16 + side * 5.6, 18.4), hand, 1.1, "steel")
        if side > 0 and rig.recipe.held:
            gear.hold(rig, *hand, rig.recipe.held)
        canvas.ball(*hand, 1.9, 1.9, "accent")
    canvas.poly([(11, 16.6), (21, 16.6), (21.6, 25), (10.4, 25)], "body", shine=True)
    canvas.ball(16, 20.6, 2.2, 2.2, "ember" if rig.recipe.shape("b") > 0 else "accent", shine=True)
    _robot_head(rig, wide, 5.6 + rig.shape("tall", 0.6))


def _robot_head(rig: Rig, wide: float, top: float) -> None:
    canvas = rig.canvas
    for side in (-1, 1):
        canvas.limb((16 + side * wide, 11), (16 + side * (wide + 1.8), 11), 1.6, "accent")
    if rig.recipe.hat == "":
        reach = rig.shape("a", 2)
        canvas.limb((16, top + 1), (16 + reach, top - 3), 0.55, "steel")
        canvas.ball(16 + reach, top - 3.4, 1.4, 1.4, "ruby", shine=True)
    rig.top, rig.brow = (16, top), wide
    canvas.poly(
        [
            (16 - wide, top + 0.6),
            (16 - wide + 1, top),
            (15 + wide, top),
            (16 + wide, top + 0.6),
            (16 + wide, 16),
            (16 - wide, 16),
        ],
        "body",
        shine=True,
    )
    canvas.poly(
        [(16 - wide + 1.6, top + 2.4), (14.4 + wide, top + 2.4), (14.4 + wide, 14.4), (17.6 - wide, 14.4)],
        "ink",
        flat=True,
    )
    eyes = "lamp" if rig.recipe.eyes in ("round", "tall") else "glow"
    rig.face(16, 10, 4, eyes=eyes, mouth="none")
    rows = ("GGGG",) if rig.motion.eyes not in ("happy",) else ("G..G", ".GG.")
    gx, gy = canvas.stance.out(16, 12.6)
    canvas.stamp(round(gx - 2), math.floor(gy), rows, {"G": ("ember", BASE)})
    rig.notes.add("antenna")


def golem(rig: Rig) -> None:
    """Boulders that walk, with moss and a light inside."""
    canvas, broad = rig.canvas, 7.6 + rig.shape("wide", 0.6)
    gear.behind(rig, 16, 16, 12)
    for side in (-1, 1):
        canvas.limb((16 + side * 4, 22), (16 + side * 4.2, rig.sole(side) - 1.6), (2.6, 2.6), "body")
    for side in (-1, 1):
        hand = rig.hand(side, 16 + side * broad, 14.6, 7.4)
        canvas.limb((16 + side * broad, 14.6), hand, (2.2, 2.0), "limb")
        canvas.ball(*hand, 3.3, 3.1, "body")
        canvas.ball(16 + side * (broad - 0.4), 13.2, 3.5, 3.2, "body")
    canvas.poly([(16 - broad, 12), (16 + broad, 12), (16 + broad - 2.4, 24), (18.4 - broad, 24)], "body")
    canvas.ball(16, 18, 2.3, 2.3, "ember", shine=True)
    for crack in (((11, 14), (13, 17)), ((20.6, 20), (18.8, 22.6)), ((20, 13.6), (21.4, 15.4))):
        canvas.limb(*crack, 0.45, "mark", edge="")
    rig.top, rig.brow = (16, 4.6), 5.4
    canvas.poly([(10.8, 12.4), (11, 6.6), (13, 4.8), (19.4, 4.6), (21.4, 7), (21.2, 12.4)], "body")
    rig.face(16, 9.4, 3.9, eyes="glow", drop=2.2, mouth="flat")
    if rig.recipe.shape("a") > -0.5:
        for x, y, r in ((12.6, 5.4, 1.8), (15, 4.8, 1.6), (8.4, 11, 1.7), (24, 11.4, 1.3)):
            canvas.ball(x, y, r, 1.1, "leaf" if not rig.has("fiery", "icy") else "ember", edge="")


def mushroom(rig: Rig) -> None:
    """A spotted cap with a shy face beneath."""
    canvas, tall = rig.canvas, rig.shape("tall", 1.2)
    for side in (-1, 1):
        canvas.ball(16 + side * 3, rig.sole(side) - 0.2, 2.2, 1.3, "limb")
    canvas.poly([(12, 17), (20, 17), (21.6, 27.4), (10.4, 27.4)], "bone")
    for side in (-1, 1):
        canvas.limb((16 + side * 5, 21.4), rig.hand(side, 16 + side * 5, 21.4, 3.4), 1.1, "bone")
    rig.face(16, 21.4, 3.9, drop=2.8)
    wide, top = 11.4 + rig.shape("wide", 1), 6 - tall
    points = [(16 - wide, 17.4), (16 - wide * 0.94, 13), (16 - wide * 0.5, top + 1), (16, top)]
    canvas.poly(
        [*points, (16 + wide * 0.5, top + 1), (16 + wide * 0.94, 13), (16 + wide, 17.4), (16, 18.8)], "body", shine=True
    )
    for dx, dy, r in (
        (-0.62, 13.4, 1.9),
        (0.02, 10, 2.3),
        (0.6, 14, 1.7),
        (-0.28, 16.2, 1.1),
        (0.4, 8.4 - tall * 0.5, 1.0),
    ):
        canvas.ball(16 + dx * wide, dy, r, r * 0.9, "white", edge="")
    rig.top, rig.brow = (16, top), 6


def plant(rig: Rig) -> None:
    """A flower with a face, on a stem with two leaves for arms."""
    canvas, sway = rig.canvas, rig.motion.flap * 0.8 + rig.motion.swing * 0.6
    x, y = 16 + sway, 11.4
    canvas.poly([(11, 24.6), (21, 24.6), (19.8, 28.8), (12.2, 28.8)], "wood")
    canvas.limb((10.6, 24.4), (21.4, 24.4), 1.1, "wood")
    canvas.limb((16, 24), (x, y + 5), 1.2, "leaf")
    for side in (-1, 1):
        lift = 3.6 * rig.motion.arm + rig.motion.flap * 0.5
        canvas.limb((16, 22.4), (16 + side * 7.4, 19.6 - lift), (1.0, 2.1), "leaf")
    petals = 6 + int((rig.recipe.shape("a") + 1) * 1.9)
    for petal in range(petals):
        angle = petal * math.tau / petals - math.pi / 2
        canvas.ball(x + 6.4 * math.cos(angle), y + 6.2 * math.sin(angle), 3.2, 3.2, "body", edge="soft")
    rig.top, rig.brow = (x, y - 7), 5
    canvas.ball(x, y, 5.4, 5.2, "ember")
    rig.face(x, y - 0.6, 3.9, drop=2.4)


def cactus(rig: Rig) -> None:
    """A pillar with two arms, spines and perhaps a bloom."""
    canvas, sway = rig.canvas, rig.motion.swing * 0.8
    for side, height in ((-1, 18.5), (1, 15.5)):
        up = height - 6 - 3.2 * rig.motion.arm + sway * side * 0.5
        canvas.chain(
            ((16, height + 2), (16 + side * 8.4, height + 1.4), (16 + side * 8.8, up)), (2.2, 2.2, 1.9), "body"
        )
    wide = 5.2 + rig.shape("wide", 0.5)
    canvas.limb((16, 9.6), (16, 25), (wide, wide), "body", shine=True)
    canvas.poly([(10, 25.2), (22, 25.2), (20.6, 29), (11.4, 29)], "leather")
    for x, y in ((12.4, 12), (19.8, 9.4), (13, 21.4), (18.4, 22), (7.4, 15.4), (24.8, 12.4), (16, 6.8)):
        canvas.dot(x, y, "white", LIGHT)
    rig.top, rig.brow = (16, 4.6), 4.6
    if rig.recipe.shape("a") > -0.4 and not rig.recipe.hat:
        for dx in (-1.5, 1.5, 0):
            canvas.ball(16 + dx, 4.4 - (dx == 0), 1.5, 1.5, "accent", edge="soft")
    rig.face(16, 14, 3.8, drop=3)


def tree(rig: Rig) -> None:
    """A crown of leaves or a fir, on a trunk with a face in it."""
    canvas, sway = rig.canvas, rig.motion.flap * 0.5
    for side in (-1, 1):
        canvas.limb((16 + side * 1.6, 24), (16 + side * 5, rig.sole(side)), (2.2, 1.0), "wood")
    canvas.poly([(13, 15), (19, 15), (20.4, 28.4), (11.6, 28.4)], "wood")
    if rig.recipe.shape("a") > 0.2:
        for low, half in ((20, 10), (14.6, 8), (9.4, 5.6)):
            canvas.poly([(16 - half, low), (16 + sway, low - 8), (16 + half, low)], "body")
        rig.face(16, 24, 3, eyes="dot", drop=2, mouth="smile")
        rig.top, rig.brow = (16, 2.4), 5
        return
    blobs = [(9.4, 14, 5.4), (22.6, 14, 5.4), (12, 8.6, 5.6), (20, 8.4, 5.6), (16, 13, 6.6)]
    for dx, dy, r in blobs:
        canvas.ball(dx + sway * (1 if dy < 10 else 0.4), dy, r, r * 0.92, "body", edge="soft")
    for dx, dy in ((9, 13), (13, 6.4), (21, 11), (24, 15), (16.6, 9.4), (12.4, 16)):
        if rig.recipe.shape("b") > -0.2:
            canvas.ball(dx + sway * 0.5, dy, 1.2, 1.2, "accent", edge="soft")
    rig.top, rig.brow = (16, 3.2), 6
    rig.face(16, 22.4, 3, eyes="dot", drop=2.4)


def pumpkin(rig: Rig) -> None:
    """Ribs, a stalk and a carved, lit face."""
    canvas, y = rig.canvas, 19.6
    canvas.chain(((16, 12), (16.4, 8), (18.4, 6.4)), (1.8, 1.3, 1.0), "moss")
    canvas.limb((17, 9.6), (22, 8.2), (0.6, 1.8), "leaf")
    for dx, r in ((-6.4, 5.4), (6.4, 5.4), (-3, 6), (3, 6), (0, 5.2)):
        canvas.ball(16 + dx, y, r, 8.6 - abs(dx) * 0.14, "body", edge="soft")
    rig.top, rig.brow = (16, 11.6), 6.6
    if rig.motion.eyes in ("closed", "hurt", "happy"):
        rig.face(16, y - 1, 5, mouth="smile", drop=4)
        return
    for side in (-1, 1):
        canvas.poly([(16 + side * 2, y), (16 + side * 4.4, y - 4.4), (16 + side * 6.6, y)], "ember", shine=True)
    canvas.poly(
        [
            (9.4, y + 1.6),
            (12, y + 3),
            (14, y + 2.2),
            (16, y + 3.4),
            (18, y + 2.2),
            (20, y + 3),
            (22.6, y + 1.6),
            (20, y + 6),
            (12, y + 6),
        ],
        "ember",
        flat=True,
    )


def snowman(rig: Rig) -> None:
    """Three balls, a carrot and twigs."""
    canvas = rig.canvas
    for side in (-1, 1):
        hand = rig.hand(side, 16 + side * 6, 17.4, 6)
        tip = (hand[0] + side * 1.5, hand[1] - 4)
        canvas.limb((16 + side * 5, 17.4), tip, 0.7, "wood")
        canvas.limb((tip[0] - side * 1.6, tip[1] + 1.2), (tip[0] - side * 0.6, tip[1] - 2), 0.5, "wood", edge="")
    canvas.ball(16, 24, 8 + rig.shape("wide", 0.5), 5.8, "body")
    canvas.ball(16, 17.6, 6.2, 4.8, "body")
    for y in (17, 20.4, 23.6):
        canvas.dot(15.6, y, "ink")
    canvas.limb((10.8, 14.6), (21.2, 14.6), 1.2, "accent")
    canvas.limb((19.6, 15), (20.6, 18.6), (1.2, 1.0), "accent")
    canvas.ball(16, 9.8, 5.6, 5.2, "body")
    rig.top, rig.brow = (16, 4.8), 5.6
    rig.face(16, 9.2, 3.7, eyes="dot", drop=3, mouth="smile")
    canvas.limb((16, 10.8), (20.4, 11.6), (1.1, 0.5), "flame")
    if not rig.recipe.hat:
        gear.HATS["tophat"](rig, 16, 4.8, 5.6)


def flame(rig: Rig) -> None:
    """A living fire, three tongues and a hot heart."""
    canvas, lick = rig.canvas, rig.motion.flap
    canvas.poly(
        [(8, 20), (6.4 + lick, 11), (12, 14.4), (15.4 - lick, 2.6), (20, 12), (25 + lick * 0.6, 9.4), (24.4, 20)],
        "body",
        edge="",
    )
    canvas.ball(16, 20.6, 9, 8.2, "body", edge="", shine=True)
    canvas.poly([(11, 20), (12 + lick * 0.5, 15), (16 - lick * 0.5, 9.4), (20, 15.6), (21.4, 20)], "ember", edge="")
    canvas.ball(16, 22, 6.2, 5.8, "ember", edge="")
    rig.top, rig.brow = (16, 8), 5
    rig.face(16, 20.6, 4.3, drop=3)
    for x, y in ((5, 8), (27, 13), (22, 4)):
        canvas.dot(x + lick, y - rig.motion.beat * 3, "ember", SHINE)


def monster(rig: Rig) -> None:
    """Whatever the hash puts together: body, eyes, limbs, horns, mouth."""
    canvas, recipe = rig.canvas, rig.recipe
    pick = [int((recipe.shape(name) + 1) * 49.99) for name in "abcd"]
    wide, tall = 7.4 + rig.shape("wide", 1.8), 9 + rig.shape("tall", 2)
    y = 27.4 - tall
    gear.behind(rig, 16, y, 12)
    if pick[3] % 3 == 0:
        wag = rig.motion.flap
        canvas.chain(((18, 25), (25, 26.4), (28, 21.4 + wag)), (2.4, 1.7, 0.9), "body")
        canvas.ball(28, 20.8 + wag, 1.8, 1.8, "accent")
    _monster_top(rig, pick[0], wide, y - tall)
    for side in (-1, 1):
        if pick[1] % 4 == 3:
            canvas.chain(
                ((16 + side * 3, 25), (16 + side * 7, 27.6), (16 + side * 10, 26 - rig.motion.lift(side))),
                (2.2, 1.6, 0.9),
                "limb",
            )
        else:
            canvas.limb(
                (16 + side * wide * 0.5, 25), (16 + side * wide * 0.55, rig.sole(side) - 0.6), (2.0, 1.8), "limb"
            )
            canvas.ball(16 + side * (wide * 0.55 + 0.7), rig.sole(side), 2.3, 1.2, "limb", edge="")
        hand = rig.hand(side, 16 + side * (wide - 0.6), y + 1, 4.5)
        canvas.limb((16 + side * (wide - 0.8), y + 0.6), hand, (1.5, 1.3), "limb")
        canvas.ball(*hand, 1.7, 1.7, "accent" if pick[2] % 2 else "limb")
    _monster_body(rig, pick[1], wide, tall, y)
    rig.top, rig.brow = (16, y - tall), wide * 0.72
    _monster_face(rig, pick[2], pick[3], y - tall * 0.3)


def _monster_top(rig: Rig, pick: int, wide: float, top: float) -> None:
    canvas = rig.canvas
    if rig.recipe.hat or rig.has("horned"):
        return
    match pick % 7:
        case 0:
            gear.horns(rig, 16, top + 3, wide * 0.55, 5)
        case 1:
            for side in (-1, 1):
                canvas.limb((16 + side * 2, top + 2), (16 + side * 4.4, top - 3), 0.6, "limb")
                canvas.ball(16 + side * 4.6, top - 3.4, 1.6, 1.6, "accent", shine=True)
        case 2:
            for side in (-1, 1):
                canvas.poly(
                    [(16 + side * 1.4, top + 2.4), (16 + side * wide, top - 4.4), (16 + side * wide * 0.98, top + 5)],
                    "body",
                )
        case 3:
            for dx, height in ((-2.6, 2.6), (0, 4.4), (2.6, 2.6)):
                canvas.limb((16 + dx * 0.8, top + 2), (16 + dx * 1.5, top - height), (1.6, 0.6), "hair", edge="")
        case 4:
            canvas.chain(((16, top + 2), (16.6, top - 2), (19, top - 2.6)), (0.7, 0.6, 0.6), "leaf")
            canvas.limb((18, top - 2.6), (21.4, top - 3.8), (0.9, 1.6), "leaf")
        case 5:
            for side in (-1, 1):
                canvas.ball(16 + side * wide * 0.72, top + 2, 2.6, 2.6, "body")
                canvas.ball(16 + side * wide * 0.72, top + 2.2, 1.4, 1.4, "accent", edge="")
        case _:
            gear.horn(rig, 16, top, 4)


def _monster_body(rig: Rig, pick: int, wide: float, tall: float, y: float) -> None:
    canvas = rig.canvas
    match pick % 4:
        case 0:
            canvas.ball(16, y, wide, tall, "body")
        case 1:
            canvas.ball(16, y + tall * 0.36, wide + 1, tall * 0.66, "body")
            canvas.ball(16, y - tall * 0.34, wide * 0.82, tall * 0.66, "body", edge="")
        case 2:
            corner = [
                (16 - wide, y - tall + 2),
                (18 - wide, y - tall),
                (14 + wide, y - tall),
                (16 + wide, y - tall + 2),
            ]
            canvas.poly([*corner, (16 + wide, y + tall - 1), (16 - wide, y + tall - 1)], "body")
        case _:
            canvas.poly(
                [
                    (16 - wide - 1, y + tall),
                    (12.6, y - tall + 1),
                    (16, y - tall),
                    (19.4, y - tall + 1),
                    (17 + wide, y + tall),
                ],
                "body",
            )
    canvas.ball(16, y + tall * 0.5, wide * 0.62, tall * 0.42, "belly", edge="")


def _monster_face(rig: Rig, eyes: int, mouth: int, y: float) -> None:
    style = ("teeth", "fang", "smile", "open", "roar")[mouth % 5]
    if eyes % 5 in (0, 3):
        rig.one_eye(16, y, 3.7)
        rig.mouth(16, y + 5.4, style)
    elif eyes % 5 == 1:
        rig.face(16, y + 0.6, 4.6, eyes="round", drop=3.4, mouth=style)
        rig.canvas.ball(16, y - 2.6, 1.7, 1.7, "white")
        rig.canvas.dot(15.8, y - 2.6, "ink")
    else:
        rig.face(16, y, 4.4, drop=3.6, mouth=style)
