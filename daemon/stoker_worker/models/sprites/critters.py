"""Small folk without a common plan: slimes, bugs, sea life and the like, one function each."""

import math

from stoker_worker.models.sprites import gear
from stoker_worker.models.sprites.rig import BASE, LIGHT, OUTLINE, SHADE, SHINE, Rig


def slime(rig: Rig) -> None:
    """A glossy drop that wobbles."""
    canvas, wide = rig.canvas, 10 + rig.shape("wide", 1.2)
    tall = 10.5 + rig.shape("tall", 1.5) + rig.motion.flap * 0.5 - abs(rig.motion.swing) * 0.8
    wide -= rig.motion.flap * 0.3
    y = 29 - tall * 0.82
    gear.behind(rig, 16, y, 11)
    if rig.recipe.shape("a") > -0.2:
        tip = rig.shape("b", 2)
        canvas.poly([(12, y - tall * 0.6), (16 + tip, y - tall - 3.4), (20, y - tall * 0.6)], "body")
    rig.top, rig.brow = (16, y - tall), wide * 0.6
    canvas.ball(16, y + 1, wide, tall, "body", edge="", shine=True)
    canvas.ball(16, 28, wide + 1.2, 2.4, "body", edge="")
    canvas.ball(16, y + 5, wide * 0.72, 3.2, "belly", edge="")
    rig.face(16, y - 0.5, 4.8, drop=3.5)
    canvas.stamp(*_at(rig, 16 - wide * 0.58, y - tall * 0.55), ("WW", "W."), {"W": ("white", SHINE)})
    if rig.has("armoured"):
        gear.shield(rig, 16 - wide, 23)


def ghost(rig: Rig) -> None:
    """A floating sheet with a wavy hem."""
    canvas, drift = rig.canvas, rig.motion.flap
    y, wide = 12.6 - 0.6 * drift, 7.6 + rig.shape("wide", 0.6)
    gear.behind(rig, 16, y + 3, 11)
    rig.top, rig.brow = (16, y - 7.4), 6.6
    hem = [(16 + wide * (1 - k / 3), 26.4 if k % 2 else 22.6 + 0.8 * drift * (1 if k % 4 else -1)) for k in range(1, 6)]
    body = [(16 - wide, y), (16 + wide, y), (16 + wide + 0.6, 25.2), *hem, (16 - wide - 0.6, 25.2)]
    canvas.poly(body, "body")
    canvas.ball(16, y, wide, 7.4, "body", edge="")
    for side in (-1, 1):
        hand = rig.hand(side, 16 + side * (wide - 1), y + 4.4, 4.2)
        canvas.limb((16 + side * (wide - 1), y + 4.6), (hand[0] + side, hand[1] - 2), (1.9, 1.3), "body")
    rig.face(16, y, 5.0, eyes="spook", drop=4, mouth="o" if rig.recipe.mouth in ("flat", "none") else "")


def bat(rig: Rig) -> None:
    """A round body between two great wings."""
    canvas, y = rig.canvas, 17 - rig.motion.flap
    for side in (-1, 1):
        gear.leather_wing(rig, 16 + side * 3, y, side, 12.4)
        canvas.poly([(16 + side * 1, y - 4), (16 + side * 5.4, y - 10.4), (16 + side * 6, y - 2)], "body")
        canvas.poly([(16 + side * 2.6, y - 4.5), (16 + side * 5, y - 8.4), (16 + side * 5.2, y - 3)], "nose", edge="")
        canvas.limb((16 + side * 2, y + 5), (16 + side * 2.2, y + 7), 0.7, "limb")
    rig.notes.add("wings")
    rig.top, rig.brow = (16, y - 6), 5.5
    canvas.ball(16, y, 6.4, 6.2, "body")
    canvas.ball(16, y + 3, 3.8, 2.8, "belly", edge="")
    rig.face(16, y - 0.6, 4.4, drop=3, mouth="fang")
    gear.trinket(rig, 16, y + 5, 3.4)


def bee(rig: Rig) -> None:
    """A striped bumblebee in the air."""
    canvas, y = rig.canvas, 18.5 - rig.motion.flap * 0.8
    for side in (-1, 1):
        gear.insect_wing(rig, 13 + side * 1.5, y - 5, side, 10)
    rig.notes.add("wings")
    canvas.poly([(5.6, y - 1), (2.8, y + 1.4), (6, y + 2.4)], "ink")
    canvas.ball(13, y + 0.6, 8.2, 6.2, "body")
    canvas.repaint("body", "ink", lambda px, _y: int(px - 5.5 + 20) % 5 < 2 and px < 17)
    rig.top, rig.brow = (20.4, y - 6), 5
    for dx in (-1.6, 1.8):
        canvas.chain(((20.4 + dx, y - 4.4), (21 + dx * 1.8, y - 8), (22 + dx * 2, y - 8.6)), (0.55, 0.5, 0.8), "ink")
    canvas.ball(20.4, y - 0.4, 5.4, 5.2, "body")
    rig.face(21, y - 0.6, 3.9, drop=2.8)
    for x in (10, 13.5, 17):
        canvas.limb((x, y + 6), (x + 0.6 + rig.motion.swing * 0.5, y + 8), 0.6, "ink")
    gear.trinket(rig, 17.6, y + 4.4, 2.8)


def butterfly(rig: Rig) -> None:
    """Four bright wings, folded and spread by the beat."""
    canvas, open_ = rig.canvas, 0.86 + 0.14 * rig.motion.flap
    y = 15.5
    for side in (-1, 1):
        x = 16 + side * 6.6 * open_
        canvas.ball(16 + side * 4.6 * open_, y + 7, 4.4 * open_, 4.4, "accent", tilt=side * 0.5)
        canvas.ball(x, y - 2.4, 6.4 * open_, 6.6, "body", tilt=side * 0.5)
        canvas.ball(x + side * 0.8, y - 3, 3.6 * open_, 3.8, "belly", edge="")
        canvas.ball(x + side, y - 3, 1.7 * open_, 1.8, "accent", edge="")
        canvas.ball(16 + side * 5 * open_, y + 7.4, 1.8 * open_, 1.8, "trim", edge="")
        canvas.chain(
            ((16 + side, y - 6), (16 + side * 2.6, y - 10.5), (16 + side * 4, y - 11.2)), (0.5, 0.5, 0.8), "ink"
        )
    rig.notes.add("wings")
    canvas.limb((16, y - 2), (16, y + 9), (2.0, 1.1), "limb")
    rig.top, rig.brow = (16, y - 7), 3.6
    canvas.ball(16, y - 3.6, 3.7, 3.5, "limb")
    rig.face(16, y - 3.8, 3.0, eyes="dot", mouth="smile", drop=1.8)


def spider(rig: Rig) -> None:
    """Eight legs, and more eyes than needed."""
    canvas, y = rig.canvas, 20.0
    for side in (-1, 1):
        for leg in range(4):
            step = rig.motion.swing * (1 if (leg + (side > 0)) % 2 else -1)
            lift = -2.4 * rig.motion.arm if leg == 0 else 0
            knee = (16 + side * (8 + leg * 0.9), y - 7 + leg * 2.3 - max(0, step) + lift)
            foot = (16 + side * (9.4 + leg * 1.6 - 3.4 * (leg > 1)), 21.5 + leg * 2.3 - max(0.0, step) * 1.5 + lift)
            canvas.chain(((16 + side * 3.6, y + leg * 0.6), knee, foot), (1.0, 0.85, 0.6), "limb")
    canvas.ball(16, y - 5, 7.0, 6.4, "body", shine=True)
    canvas.poly([(14.2, y - 9), (17.8, y - 9), (14.8, y - 5.4), (17.2, y - 5.4)], "accent", edge="")
    rig.top, rig.brow = (16, y - 11), 5.5
    canvas.ball(16, y + 1.6, 5.6, 4.8, "body")
    if not rig.motion.eyes and not rig.recipe.mood:
        for side in (-1, 1):
            canvas.dot(16 + side * 1.2 - 0.4, y - 1.4, "ember", SHINE)
            canvas.dot(16 + side * 4.3 - 0.4, y - 0.8, "ember", SHINE)
    rig.face(16, y + 1.6, 3.8, eyes="bean", drop=2.6, mouth="fang")


def beetle(rig: Rig) -> None:
    """A ladybird from the front, wing cases and spots."""
    canvas, y = rig.canvas, 19.5
    for side in (-1, 1):
        for leg in range(3):
            step = rig.motion.swing * (1 if (leg + (side > 0)) % 2 else -1)
            canvas.limb(
                (16 + side * 6, y + leg * 2.4 - 1),
                (16 + side * (10.4 - leg), y + 2.6 + leg * 2.6 - max(0, step)),
                0.75,
                "ink",
            )
        canvas.chain(
            ((16 + side * 2, y - 7.5), (16 + side * 4, y - 12), (16 + side * 5.6, y - 12)), (0.55, 0.5, 0.9), "ink"
        )
    canvas.ball(16, y - 5.6, 5.6, 5.0, "ink")
    canvas.ball(16, y + 1.6, 9.2 + rig.shape("wide", 0.6), 7.6, "body", shine=True)
    for side in (-1, 1):
        for dx, dy, r in ((3.4, -1.4, 1.7), (6.2, 2.4, 1.4), (2.8, 4.6, 1.5)):
            canvas.ball(16 + side * dx, y + dy + 0.4, r, r, "ink", edge="")
    canvas.limb((16, y - 5), (16, y + 9), 0.5, "ink", edge="")
    rig.top, rig.brow = (16, y - 10), 5
    canvas.ball(16, y - 6.4, 5.6, 4.4, "limb")
    rig.face(16, y - 6.6, 4.2, drop=2.2, mouth="smile")


def snail(rig: Rig) -> None:
    """A spiral shell on a soft foot."""
    canvas, stretch = rig.canvas, rig.motion.swing * 0.9
    canvas.limb((4.5 - stretch * 0.4, 27.4), (25 + stretch, 27), (1.4, 2.1), "belly")
    canvas.limb((24 + stretch, 27), (24.6 + stretch, 21), (2.4, 2.2), "belly", edge="")
    for dx in (-1.8, 2.2):
        canvas.limb((24.6 + stretch + dx * 0.5, 20), (24.6 + stretch + dx, 14.6), 0.7, "belly")
        canvas.ball(24.6 + stretch + dx, 14, 1.5, 1.5, "white")
        canvas.dot(24.8 + stretch + dx, 14, "ink")
    if rig.motion.eyes in ("closed", "hurt"):
        canvas.repaint("white", "belly", lambda _x, py: py < 16)
    rig.mouth(25.4 + stretch, 22.4, "smile")
    canvas.ball(13.5, 18.6, 8.8, 8.4, "body", shine=True)
    for turn in range(22):
        angle, r = turn * 0.55, 6.6 - turn * 0.28
        canvas.dot(13.5 + r * math.cos(angle), 18.6 + r * math.sin(angle), "mark", OUTLINE if turn > 15 else SHADE)
    rig.top, rig.brow = (13.5, 10), 6


def snake(rig: Rig) -> None:
    """Coils with a raised head and a tongue."""
    canvas, sway = rig.canvas, rig.motion.flap * 0.7 + rig.motion.swing
    canvas.chain(((4.5, 24 + sway), (5.5, 27), (11, 27.2)), (0.7, 1.4, 2.2), "body")
    canvas.ball(15.5, 26.2, 9.6, 2.9, "body")
    canvas.ball(16.2, 23.2, 7.4, 2.7, "body")
    canvas.chain(((14, 22.4), (19.4 + sway * 0.4, 19), (18 + sway, 12)), (2.6, 2.6, 2.7), "body")
    canvas.chain(((16, 21.6), (20.2 + sway * 0.4, 18.6), (19.4 + sway, 13)), (0.9, 1.1, 1.1), "belly", edge="")
    x, y = 18.4 + sway, 10.0
    rig.top, rig.brow = (x, y - 4.4), 5
    canvas.repaint("body", "mark", lambda px, py: int(px + py * 0.3 + 30) % 5 < 2 and py > 15)
    canvas.ball(x, y, 6.2, 4.8, "body")
    canvas.ball(x + 0.6, y + 2.2, 4.2, 2.2, "belly", edge="")
    rig.face(x + 0.2, y - 0.8, 4.6, eyes="slit", drop=2.6, mouth="smile")
    if not rig.motion.eyes or rig.motion.strike:
        canvas.stamp(*_at(rig, x, y + 4.6), ("RR..", ".RRR", ".R.."), {"R": ("ruby", BASE)})
    if rig.recipe.shape("a") > 0.3:
        for side in (-1, 1):
            canvas.poly([(x + side * 4, y - 2), (x + side * 8, y + 3), (x + side * 3, y + 7)], "accent", edge="soft")


def worm(rig: Rig) -> None:
    """A caterpillar of balls, each on its stubs."""
    canvas = rig.canvas
    for link in range(5):
        wave = math.sin(link * 1.3 + rig.motion.beat * math.tau) * (1.6 if rig.motion.pose == "walk" else 0.8)
        x, y = 4.8 + link * 3.8, 24 - max(0.0, wave)
        canvas.limb((x, y + 2), (x + 0.4, 28.4), 0.9, "limb")
        canvas.ball(x, y, 3.6, 3.8, "body" if link % 2 else "mark")
        canvas.dot(x - 0.6, y - 3, "accent", LIGHT)
    rig.top, rig.brow = (23.6, 13), 5
    for side in (-1, 1):
        canvas.limb((23.6 + side * 2, 14.5), (23.6 + side * 3.4, 10.5), 0.6, "limb")
        canvas.ball(23.6 + side * 3.6, 10, 1.2, 1.2, "accent")
    canvas.ball(23.6, 18.8, 6.0, 5.8, "body", shine=True)
    rig.face(24, 18.4, 4.2, drop=3)


def scorpion(rig: Rig) -> None:
    """Claws before, the sting above."""
    canvas, y = rig.canvas, 22.6
    sting = -3.2 * rig.motion.strike
    tail = ((11, y + 1), (5.4, y - 3), (6, y - 11 - sting * 0.3), (12.5 - sting, y - 15 - sting * 0.4))
    canvas.chain(tail, (2.5, 2.2, 1.9, 1.7), "body")
    canvas.poly([(12 - sting, y - 17), (17.4 - sting * 1.5, y - 13.5 - sting), (12.4 - sting, y - 13.6)], "accent")
    for leg in range(4):
        step = rig.motion.swing * (1 if leg % 2 else -1)
        canvas.chain(
            ((11 + leg * 2.4, y + 2), (9 + leg * 3, y + 3.4 - max(0, step)), (8 + leg * 3.4 + step, 28.2)),
            (0.8, 0.7, 0.6),
            "limb",
        )
    canvas.ball(14.6, y + 0.6, 7.2, 4.4, "body", shine=True)
    for cx, cy in ((25.6, y + 3.4), (26.4, y - 4.6)):
        canvas.limb((19, y + 1), (cx - 1, cy), (1.3, 1.3), "limb")
        _claw(rig, cx, cy, 3.1)
    rig.top, rig.brow = (19, y - 4), 4.5
    canvas.ball(19, y, 4.8, 4.2, "body")
    rig.face(19.4, y - 0.6, 3.8, eyes="bean", drop=2.4)


def _claw(rig: Rig, x: float, y: float, r: float) -> None:
    rig.canvas.ball(x, y, r, r, "body", shine=True)
    gape = 0.5 + 0.5 * abs(rig.motion.flap)
    for reach in (1.2, 2.2, 3.2):
        rig.canvas.dot(x + reach * 0.5, y - reach, "body", 0)
        if gape > 0.8:
            rig.canvas.dot(x + reach * 0.5 + 1, y - reach, "body", 0)


def crab(rig: Rig) -> None:
    """A broad shell, eyes on stalks, two raised claws."""
    canvas, y = rig.canvas, 21.6
    wide = 9 + rig.shape("wide", 0.8)
    for side in (-1, 1):
        for leg in range(3):
            step = rig.motion.swing * (1 if (leg + (side > 0)) % 2 else -1)
            knee = (16 + side * (wide + 1.6 - leg), y + 2 + leg - max(0.0, step))
            canvas.chain(
                (
                    (16 + side * (wide - 2), y + 1 + leg),
                    knee,
                    (16 + side * (wide + 2.6 - leg * 2), 28.4 - max(0.0, step)),
                ),
                (0.95, 0.9, 0.6),
                "limb",
            )
        raise_ = 2.6 * rig.motion.arm + 0.8 * rig.motion.flap
        elbow, claw = (16 + side * (wide + 1), y - 3), (16 + side * (wide + 0.6), y - 9 - raise_)
        canvas.chain(((16 + side * (wide - 2), y - 1), elbow, (claw[0], claw[1] + 2)), (1.2, 1.2, 1.2), "limb")
        canvas.ball(*claw, 3.8, 3.9, "body", shine=True)
        for reach in (1, 2, 3, 4):
            rig.canvas.dot(claw[0] - side * reach * 0.25 - 0.4, claw[1] - reach, "body", 0)
        canvas.limb((16 + side * 3, y - 4), (16 + side * 3.2, y - 8.4), 0.8, "limb")
    canvas.ball(16, y + 0.6, wide, 5.8, "body", shine=True)
    canvas.ball(16, y + 4.6, wide * 0.6, 1.8, "belly", edge="")
    rig.top, rig.brow = (16, y - 6), 5
    for side in (-1, 1):
        canvas.ball(16 + side * 3.3, y - 8.6, 2.2, 2.2, "white")
    if rig.motion.eyes or rig.recipe.mood:
        canvas.repaint("white", "body", lambda _x, py: py < y - 5)
    rig.face(16, y - 8.4, 4.1, eyes="pupil", drop=9.6)


def fish(rig: Rig) -> None:
    """A round fish with fins that sway."""
    canvas, sway, y = rig.canvas, rig.motion.flap, 17.0
    deep = 7.4 + rig.shape("tall", 1)
    canvas.poly([(10, y), (2.6, y - 6 + sway), (4.6, y + sway * 0.6), (2.6, y + 6 + sway)], "accent")
    canvas.poly([(10, y - deep + 2), (12, y - deep - 4.4), (20, y - deep - 1.6), (20, y - deep + 3)], "accent")
    canvas.poly([(13, y + deep - 3), (12, y + deep + 3.6), (18, y + deep - 2)], "accent")
    canvas.ball(16.6, y, 9.6, deep, "body", shine=True)
    canvas.ball(17.4, y + deep * 0.55, 6.6, deep * 0.4, "belly", edge="")
    shift = rig.shape("b", 1)
    if rig.recipe.shape("a") > 0:
        canvas.repaint("body", "white", lambda px, _y: abs(px - 15.4 - shift) < 1.3 or abs(px - 9.4) < 0.9)
    canvas.limb((15.2, y + 1.6), (12.4 + sway, y + 3.6), (1.9, 1.3), "accent")
    rig.top, rig.brow = (19, y - deep), 5
    rig.face(21, y - 1.6, 3.9, eyes="round", mouth="o", drop=3.4)
    _bubbles(rig, 27.6, 8)


def _bubbles(rig: Rig, x: float, y: float) -> None:
    rise = rig.motion.beat * 4
    for dx, dy in ((0, 0), (1.6, 3.6)):
        rig.canvas.dot(x + dx, y + dy - rise, "glass", LIGHT)


def shark(rig: Rig) -> None:
    """A grey torpedo with too many teeth."""
    canvas, sway, y = rig.canvas, rig.motion.flap, 18.4
    gape = 1.6 * rig.motion.strike
    canvas.poly([(7, y), (1.4, y - 8 + sway), (4, y - 0.6), (1.8, y + 5 + sway), (7, y + 2)], "body")
    canvas.poly([(11, y - 4), (13, y - 12), (18.4, y - 4)], "body")
    canvas.limb((7, y), (20, y - 0.4), (2.4, 6.6), "body")
    canvas.ball(22, y - 0.4, 7.2, 6.0, "body", edge="")
    canvas.limb((9, y + 2.2), (21, y + 4), (0.8, 2.2), "white", edge="")
    canvas.poly([(13, y + 3), (10.4, y + 9.4), (17.4, y + 4.6)], "limb")
    canvas.poly([(19.4, y + 1.4 - gape), (28.6, y + 0.4 - gape), (27, y + 3.6), (21, y + 4)], "mouth", flat=True)
    for tooth in range(4):
        x = 20.4 + tooth * 2
        canvas.stamp(*_at(rig, x, y + 1.4 - gape), ("W",), {"W": ("white", SHINE)})
        canvas.stamp(*_at(rig, x - 0.6, y + 3.2), ("W",), {"W": ("white", LIGHT)})
    for gill in (15, 16.8):
        canvas.limb((gill, y - 1.4), (gill - 0.4, y + 1), 0.4, "mark", edge="")
    rig.top, rig.brow = (22, y - 6), 5
    rig.face(23, y - 2.4, 3.8, eyes="bean", mouth="none")


def octopus(rig: Rig) -> None:
    """A great head over curling arms."""
    canvas, y = rig.canvas, 13.2
    for arm, place in enumerate((-1.0, 1.0, -0.62, 0.62, -0.2, 0.2)):
        curl = rig.motion.swing * (1 if arm % 2 else -1) + rig.motion.flap * 0.6
        far = 16 + place * 12.4
        lift = 5 * rig.motion.arm if abs(place) == 1 else 0
        sign = 1 if place > 0 else -1
        points = (
            (16 + place * 6, y + 4),
            (16 + place * 9, 26),
            (far, 27.4 - lift),
            (far + sign * 1.2, 24.4 + curl - lift),
        )
        canvas.chain(points, (2.2, 1.9, 1.5, 0.9), "body")
        canvas.dot(16 + place * 9.4, 25.6, "belly", LIGHT)
    wide = 8.2 + rig.shape("wide", 0.6)
    canvas.ball(16, y + 4.8, wide * 0.82, 4.6, "body", edge="")
    canvas.ball(16, y - 1.4, wide, 8.4, "body", edge="", shine=True)
    for dx, dy, r in ((-4.6, -5, 1.2), (4, -6, 1.4), (5.4, -2.6, 0.9)):
        canvas.ball(16 + dx, y + dy, r, r, "mark", edge="")
    rig.top, rig.brow = (16, y - 9.6), wide * 0.8
    rig.face(16, y + 2, 4.9, drop=3.6)


def jellyfish(rig: Rig) -> None:
    """A clear bell that pulses over trailing threads."""
    canvas, beat = rig.canvas, rig.motion.flap * 0.6
    y = 13.0
    for thread in range(5):
        x = 9.6 + thread * 3.2
        sway = math.sin(thread * 1.7 + rig.motion.beat * math.tau) * 1.4
        canvas.chain(
            ((x, y + 3), (x + sway, y + 9), (x - sway, y + 13 + thread % 2 * 2)),
            (1.2, 0.95, 0.6),
            "accent" if thread % 2 else "limb",
        )
    canvas.ball(16, y, 10 + beat, 8.4 - beat, "body", shine=True)
    canvas.poly([(6.4, y + 2), (25.6, y + 2), (24.4, y + 5), (7.6, y + 5)], "body", edge="")
    for lobe in range(5):
        canvas.ball(8.4 + lobe * 3.8, y + 4.8, 1.9, 1.4, "belly", edge="")
    for dx, dy in ((-5.4, -4), (4.6, -4.8), (0, -6)):
        canvas.ball(16 + dx, y + dy, 1.1, 1.0, "trim", edge="")
    rig.top, rig.brow = (16, y - 8), 7
    rig.face(16, y, 4.9, drop=2.8, mouth="smile")


def whale(rig: Rig) -> None:
    """A great round back, a fluke and a fountain."""
    canvas, sway = rig.canvas, rig.motion.flap
    canvas.chain(((9, 23), (4.4, 19.5), (4, 15 + sway)), (4, 2.2, 1.2), "body")
    for side in (-1, 1):
        canvas.poly([(4, 16 + sway), (4 + side * 3.6, 11 + sway), (4 + side * 0.4, 14 + sway)], "body")
    canvas.ball(17, 20.4, 11, 8.2, "body", shine=True)
    canvas.ball(18.4, 25.6, 9, 4, "white", edge="")
    for line in (14.5, 17.5, 20.5):
        canvas.limb((line, 25), (line - 0.4, 28), 0.4, "metal", edge="")
    canvas.limb((14.5, 23), (11.6, 26.4 + sway), (2.0, 1.2), "limb")
    rig.top, rig.brow = (18, 12.4), 6
    rig.face(21.6, 19.6, 4.3, drop=3, mouth="smile")
    for side in (-1, 1):
        spray = 7.6 - 0.8 * sway
        canvas.chain(
            ((17, 11.6), (17 + side, spray - 0.6), (17 + side * 3.4, spray + 1.2)), (0.8, 0.9, 0.7), "frost", edge=""
        )


def turtle(rig: Rig) -> None:
    """A patterned dome on four stubs."""
    canvas, swing = rig.canvas, rig.motion.swing
    canvas.limb((5.8, 25), (2.8, 26.4), (1.3, 0.6), "belly")
    for hip, phase in ((8.6, 1), (18, -1)):
        canvas.limb((hip, 25), (hip + swing * phase * 1.6, 27.2), (2.9, 2.6), "belly")
    x, y = 24.6 - (2.6 if rig.motion.pose == "sleep" else 0), 19.6
    canvas.limb((19, 24), (x - 1, y + 2), (2.4, 2.2), "belly")
    canvas.poly([(3.6, 26), (5, 18.2), (9, 13.4), (17, 13.4), (21, 18.2), (22.4, 26)], "body", shine=True)
    for px, py, r in ((13, 17.2, 2.6), (8, 20.6, 2.0), (18, 20.6, 2.0), (13, 22.4, 1.9)):
        canvas.ball(px, py, r, r * 0.9, "mark", edge="")
        canvas.ball(px - 0.3, py - 0.4, r * 0.6, r * 0.5, "body", edge="")
    canvas.limb((3.8, 25.4), (22.2, 25.4), 0.9, "limb", edge="soft")
    rig.top, rig.brow = (x, y - 4.6), 4.4
    canvas.ball(x, y, 4.9, 4.7, "belly")
    rig.face(x + 0.4, y - 0.6, 3.7, drop=2.6, mouth="smile")


def frog(rig: Rig) -> None:
    """A wide mouth between folded legs, eyes on top."""
    canvas, y, puff = rig.canvas, 20.6, rig.motion.flap * 0.5
    for side in (-1, 1):
        canvas.ball(16 + side * 8, 24.4, 4.4, 3.8, "body", tilt=side * 0.5)
        canvas.limb((16 + side * 8, 27.6), (16 + side * 11.6, 28), (1.2, 1.0), "limb")
    canvas.ball(16, y + 2.4, 8.6, 6.6, "body")
    canvas.ball(16, y + 4.4, 6 + puff, 4.6, "belly", edge="")
    for side in (-1, 1):
        sole = rig.sole(side)
        canvas.limb((16 + side * 4.6, y + 3), (16 + side * 4.8, sole - 0.6), (1.6, 1.3), "body")
        canvas.ball(16 + side * 5, sole, 2.0, 0.9, "limb", edge="")
        canvas.ball(16 + side * 5, y - 8, 3.4, 3.4, "body")
    canvas.ball(16, y - 3.6, 9.2 + rig.shape("wide", 0.5), 5.6, "body", edge="")
    rig.top, rig.brow = (16, y - 9.8), 4.4
    if not rig.motion.eyes and not rig.recipe.mood:
        for side in (-1, 1):
            canvas.ball(16 + side * 5, y - 8.2, 2.3, 2.3, "white", edge="")
    rig.face(16, y - 8, 6.3, eyes="pupil", mouth="none")
    canvas.limb((9.6, y - 2.4), (16, y - 1), 0.5, "ink", edge="")
    canvas.limb((16, y - 1), (22.4, y - 2.4), 0.5, "ink", edge="")
    if rig.motion.strike:
        canvas.limb((16, y - 1), (27, y - 1), (1.2, 1.0), "nose")
    gear.trinket(rig, 16, y + 1.6, 4.6)


def eyeball(rig: Rig) -> None:
    """A floating eye with smaller ones on stalks."""
    canvas, y = rig.canvas, 17.6 - rig.motion.flap * 0.8
    gear.behind(rig, 16, y, 14)
    for stalk in range(5):
        angle = math.pi * (1.14 + stalk * 0.18)
        sway = rig.motion.flap * (1 if stalk % 2 else -1) * 0.8
        tip = (16 + 12.4 * math.cos(angle) + sway, y + 11.6 * math.sin(angle))
        canvas.limb((16 + 7 * math.cos(angle), y + 7 * math.sin(angle)), tip, (1.3, 0.9), "limb")
        canvas.ball(*tip, 1.7, 1.7, "white")
        canvas.dot(tip[0] - 0.2, tip[1], "ink")
    canvas.ball(16, y, 9.6, 9.4, "body", shine=True)
    rig.top, rig.brow = (16, y - 9), 6
    rig.one_eye(16, y - 1.8, 5.0)
    rig.mouth(16, y + 5, "teeth" if rig.recipe.mood != "happy" else "smile")


def _at(rig: Rig, x: float, y: float) -> tuple[int, int]:
    gx, gy = rig.canvas.stance.out(x, y)
    return round(gx), math.floor(gy)
