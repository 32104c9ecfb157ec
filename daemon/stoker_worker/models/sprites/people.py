"""Those on two legs, seen from the front: one body plan, and a table of what each kind wears."""

import math
from dataclasses import dataclass

from stoker_worker.models.sprites import gear
from stoker_worker.models.sprites.rig import LIGHT, SHADE, SHINE, Rig


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the wardrobe; ramps by name, "" for none."""

    garment: str = "tunic"  # tunic, robe, armour, suit, dress, bare
    skin: str = "skin"
    head: str = "round"  # round, helm, skull, tall, wide, wrapped, bowl
    hair: str = ""  # short, long, bob, wild, bald, tuft
    hat: str = ""
    held: str = ""
    shield: bool = False
    eyes: str = ""
    mouth: str = ""
    extra: str = ""  # what _extras knows
    low: float = 0.0  # how much shorter
    broad: float = 0.0  # how much broader


PEOPLE: dict[str, Person] = {
    "knight": Person("armour", head="helm", held="sword", shield=True, broad=0.6),
    "wizard": Person("robe", hair="long", hat="wizard", held="staff", extra="beard"),
    "witch": Person("dress", "skin", hair="long", hat="wizard", held="wand"),
    "goblin": Person("tunic", "body", head="wide", held="axe", eyes="slit", mouth="fang", extra="ears", low=2.5),
    "skeleton": Person("bones", "bone", head="skull", held="sword", eyes="void", mouth="teeth"),
    "demon": Person("bare", "body", head="round", held="spear", eyes="glow", mouth="fang", extra="devil"),
    "fairy": Person("dress", hair="bob", held="wand", extra="fairy", low=1.5, broad=-0.8),
    "angel": Person("robe", hair="bob", hat="halo", extra="angel"),
    "ninja": Person("suit", head="wrapped", held="sword", eyes="dot", mouth="none", extra="band"),
    "king": Person("robe", hair="short", hat="crown", extra="royal", broad=0.8),
    "queen": Person("dress", hair="long", hat="crown", held="wand", extra="necklace"),
    "viking": Person("tunic", hair="wild", hat="viking", held="axe", extra="redbeard", broad=1.2),
    "archer": Person("tunic", hair="long", hat="robin", held="bow", extra="elf"),
    "pirate": Person("tunic", hair="short", hat="pirate", held="sword", extra="patch"),
    "zombie": Person("tunic", "leaf", hair="tuft", eyes="round", mouth="teeth", extra="reach"),
    "vampire": Person("suit", "white", hair="slick", mouth="fang", eyes="slit", extra="collar"),
    "astronaut": Person("suit", head="bowl", extra="pack", broad=0.6),
    "samurai": Person("armour", hair="short", held="sword", extra="kabuto"),
    "monk": Person("robe", hair="bald", held="staff", extra="beads"),
    "dwarf": Person("tunic", hair="short", held="hammer", hat="viking", extra="longbeard", low=4.0, broad=1.8),
    "hero": Person("tunic", hair="wild", held="sword", extra="cape"),
    "mummy": Person("suit", "body", head="wrapped", eyes="glow", mouth="none", extra="bandage"),
    "alien": Person("bare", "body", head="tall", eyes="alien", mouth="flat", extra="antennae", broad=-0.8),
}


def person(rig: Rig) -> None:
    """Draw the recipe's kind from the wardrobe."""
    row = PEOPLE[rig.recipe.kind]
    neck = 17.6 + row.low
    broad = 4.6 + row.broad + rig.shape("wide", 0.5)
    _behind(rig, row, neck)
    if row.garment not in ("robe", "dress"):
        rig.legs(16, 2.6, 23.5, 1.7, _leg_ramp(row), "skin" if row.garment == "bare" else "leather")
    _arm(rig, row, -1, neck, broad)
    _torso(rig, row, neck, broad)
    if row.shield:
        gear.shield(rig, 16 - broad - 2.0, neck + 5.2)
    _arm(rig, row, 1, neck, broad)
    _head(rig, row, neck - 5.4)
    _chest(rig, row, neck)


def _leg_ramp(row: Person) -> str:
    return {"bare": row.skin, "bones": "bone", "armour": "body", "suit": "body"}.get(row.garment, "limb")


def _behind(rig: Rig, row: Person, neck: float) -> None:
    match row.extra:
        case "fairy":
            for side in (-1, 1):
                gear.insect_wing(rig, 16 + side * 2, neck + 1, side, 11)
        case "angel":
            for side in (-1, 1):
                gear.feathered_wing(rig, 16 + side * 3, neck + 2, side, 10.5)
        case "devil":
            for side in (-1, 1):
                gear.leather_wing(rig, 16 + side * 3, neck + 2, side, 11.5)
            rig.canvas.chain(((16, 25), (9, 27), (6.5, 23)), (0.9, 0.8, 0.7), row.skin)
            rig.canvas.poly([(4.8, 23.4), (6.6, 20.2), (8.4, 23.4)], "accent")
            rig.notes.add("wings")
        case "cape" | "royal" | "collar":
            if row.extra == "collar":
                rig.canvas.poly(
                    [(16, neck + 2), (8, neck - 5.5), (9, neck + 3), (23, neck + 3), (24, neck - 5.5)], "velvet"
                )
            flow = rig.motion.swing * 0.8
            cape = "accent" if row.extra != "collar" else "velvet"
            rig.canvas.poly([(12, neck), (20, neck), (23.5 - flow, 28), (8.5 - flow, 28)], cape)
        case "pack":
            rig.canvas.poly([(9.8, neck), (22.2, neck), (22.2, neck + 7), (9.8, neck + 7)], "steel")
        case _:
            pass
    gear.behind(rig, 16, neck + 1, 10.5)


def _torso(rig: Rig, row: Person, neck: float, broad: float) -> None:
    left, right, canvas = 16 - broad, 16 + broad, rig.canvas
    sway = rig.motion.swing * 0.6
    match row.garment:
        case "robe" | "dress":
            flare = 2.2 if row.garment == "robe" else 3.0
            waist = broad - (1.6 if row.garment == "dress" else 0.4)
            points = [(16 - broad + 1, neck), (16 + broad - 1, neck), (16 + waist, neck + 4.5)]
            points += [(right + flare + sway, 28.8), (left - flare + sway, 28.8), (16 - waist, neck + 4.5)]
            canvas.poly(points, "body")
            canvas.limb((16 - waist, neck + 5), (16 + waist, neck + 5), 0.7, "accent", edge="")
        case "bones":
            canvas.poly([(left + 1.5, neck), (right - 1.5, neck), (right - 2, 24.5), (left + 2, 24.5)], "ink")
            for rib in (neck + 1.5, neck + 3.6):
                canvas.limb((left + 1.6, rib), (right - 1.6, rib), 0.6, "bone", edge="")
            canvas.limb((16, neck), (16, 24), 0.7, "bone", edge="")
            canvas.limb((left + 2, 24), (right - 2, 24), 1.1, "bone")
        case _:
            ramp = row.skin if row.garment == "bare" else "body"
            canvas.poly(
                [(left + 0.6, neck - 0.5), (right - 0.6, neck - 0.5), (right - 0.8, 25.4), (left + 0.8, 25.4)], ramp
            )
            _front(rig, row, neck, broad)


def _front(rig: Rig, row: Person, neck: float, broad: float) -> None:
    canvas, waist = rig.canvas, 23.2
    if row.garment == "bare":
        canvas.ball(16, neck + 4, broad * 0.6, 3, "belly", edge="")
        return
    if row.garment == "armour" or rig.has("armoured"):
        if row.garment != "armour":
            canvas.poly(
                [(16 - broad, neck), (16 + broad, neck), (16 + broad - 1, waist), (17 - broad, waist)],
                "metal",
                shine=True,
            )
        for side in (-1, 1):
            canvas.ball(16 + side * broad, neck + 1, 2, 1.8, "body" if row.garment == "armour" else "metal", shine=True)
    if row.garment == "suit" and row.extra == "collar":
        canvas.poly([(14.4, neck - 1), (17.6, neck - 1), (16, neck + 4)], "white")
    canvas.limb((17 - broad, waist), (15 + broad, waist), 0.75, "leather", edge="")
    canvas.dot(15.5, waist - 0.2, "gold", LIGHT)
    canvas.dot(16.4, waist - 0.2, "gold", LIGHT)


def _arm(rig: Rig, row: Person, side: int, neck: float, broad: float) -> None:
    shoulder = (16 + side * (broad - 0.3), neck + 1.4)
    hand = rig.hand(side, *shoulder)
    if row.extra == "reach" and not rig.motion.strike:
        hand = (shoulder[0] + side * 3.4, neck + 2.2 + 0.6 * rig.motion.swing * side)
    sleeve = {"bare": row.skin, "bones": "bone", "dress": row.skin}.get(row.garment, "body")
    thick = 0.9 if row.garment == "bones" else 1.5 + row.broad * 0.15
    held = rig.recipe.held or row.held
    if side > 0 and held:
        gear.hold(rig, *hand, held)
    rig.canvas.limb(shoulder, hand, (thick, thick * 0.85), sleeve)
    rig.canvas.ball(*hand, 1.3, 1.3, "steel" if row.garment == "armour" else row.skin)


def _head(rig: Rig, row: Person, y: float) -> None:
    canvas = rig.canvas
    rx, ry = 6.2 + rig.shape("head", 0.4), 5.6 + rig.shape("tall", 0.3)
    if row.head == "wide":
        rx, ry = rx + 0.8, ry - 0.5
    if row.head == "tall":
        rx, ry, y = rx + 0.4, ry + 1.6, y - 1.2
    rig.top, rig.brow = (16, y - ry), rx
    if row.hair in ("long", "bob"):
        length = 8.5 if row.hair == "long" else 4.5
        canvas.poly(
            [(16 - rx - 0.8, y - 2), (16 + rx + 0.8, y - 2), (16 + rx, y + length), (16 - rx, y + length)], "hair"
        )
    if row.extra in ("ears", "elf"):
        for side in (-1, 1):
            reach = 6.0 if row.extra == "ears" else 3.8
            root = 16 + side * (rx - 1.2)
            canvas.poly([(root, y - 1.4), (root + side * reach, y - 2.6), (root, y + 2)], row.skin)
    _skull(rig, row, y, rx, ry)
    _hair(rig, row, y, rx, ry)
    _extras(rig, row, y, rx, ry)
    hat = rig.recipe.hat or row.hat
    if draw := gear.HATS.get(hat):
        if hat == "wizard" and not rig.recipe.hat:
            gear.wizard_hat(rig, 16, y - ry, rx, "body")
        else:
            draw(rig, 16, y - ry, rx)
    rig.notes.add("hat")


def _skull(rig: Rig, row: Person, y: float, rx: float, ry: float) -> None:
    canvas = rig.canvas
    match row.head:
        case "helm":
            canvas.ball(16, y, rx, ry, "body", shine=True)
            canvas.poly([(11, y - 1.4), (21, y - 1.4), (20.4, y + 2), (16, y + 2.8), (11.6, y + 2)], "ink", flat=True)
            rig.face(16, y + 0.6, 3.2, eyes="glow" if rig.has("night", "angry") else "lit", mouth="none")
            canvas.limb((16, y - ry + 0.6), (16, y - 2), 0.55, "gold", edge="")
            canvas.chain(((16, y - ry), (14.4, y - ry - 2.6), (10.4, y - ry - 1.6)), (1.3, 1.7, 0.9), "accent")
        case "skull":
            canvas.ball(16, y - 0.6, rx, ry - 0.4, "bone", shine=True)
            canvas.poly([(13, y + 3), (19, y + 3), (18.6, y + 5.8), (13.4, y + 5.8)], "bone")
            rig.face(16, y, 4.4, eyes=row.eyes, mouth="teeth", drop=3.8)
            canvas.dot(15.6, y + 2, "ink")
        case "bowl":
            canvas.ball(16, y, rx + 0.8, ry + 0.6, "body")
            canvas.ball(16, y + 0.4, rx - 0.6, ry - 1.2, "glass")
            rig.face(16, y + 0.6, 3.4, mouth="smile", drop=2)
            canvas.dot(13, y - 2, "white", SHINE)
        case "wrapped":
            canvas.ball(16, y, rx, ry, "body")
            slot = "skin" if row.extra == "band" else "ink"
            canvas.limb((16 - rx + 2.4, y + 0.4), (16 + rx - 2.4, y + 0.4), 1.9, slot)
            rig.face(16, y + 0.5, 3.6, eyes=row.eyes, mouth="none")
        case _:
            canvas.ball(16, y, rx, ry, row.skin)
            rig.face(16, y + 1, 4.2, eyes=row.eyes, mouth=row.mouth, drop=2.6)


def _hair(rig: Rig, row: Person, y: float, rx: float, ry: float) -> None:
    canvas, top = rig.canvas, y - ry
    fringe = rig.shape("a", 1.2)
    peak = ((18.4, y - 3.4), (16, y - 1.4), (13.6, y - 3.4))
    match row.hair:
        case "long" | "bob" | "short" | "slick":
            points = [(16 - rx - 0.4, y + 0.2), (16 - rx * 0.9, y - 3), (16 - 3, top - 0.6), (16 + 3, top - 0.6)]
            points += [(16 + rx * 0.9, y - 3), (16 + rx + 0.4, y + 0.2), (16 + rx - 1.2, y - 2.2)]
            points += [*(peak if row.hair == "slick" else ((16 + fringe, y - 3.0),)), (16 - rx + 1.2, y - 2.2)]
            canvas.poly(points, "hair" if row.hair != "slick" else "ink")
        case "wild":
            locks = [(16 + rx * math.cos(math.pi * (1.02 + turn / 8.4)), turn) for turn in range(9)]
            crest = [(x + fringe, top + abs(turn - 4) * 0.8 - (2.2 if turn % 2 else 0.0)) for x, turn in locks]
            canvas.poly(
                [(16 - rx - 0.6, y + 0.4), *crest, (16 + rx + 0.6, y + 0.4), (18.6, y - 2.6), (15, y - 3.4)], "hair"
            )
        case "tuft":
            canvas.chain(((15, top + 1), (16.5, top - 1.6), (18.4, top - 1.4)), (1.2, 0.9, 0.6), "hair")
        case _:
            pass


def _extras(rig: Rig, row: Person, y: float, rx: float, ry: float) -> None:
    canvas, top = rig.canvas, y - ry
    match row.extra:
        case "beard":
            gear.beard(rig, 16, y + 4, 4.4)
        case "redbeard" | "longbeard":
            gear.beard(rig, 16, y + 4, 5.2, "hair")
        case "devil":
            gear.horns(rig, 16, top + 1.8, 3.6, 5)
            rig.notes.add("horns")
        case "patch":
            canvas.stamp(round(16 + 1.6), round(y), ("KKK", "KKK"), {"K": ("ink", 2)})
            canvas.limb((11, y - 2), (20.5, y + 0.5), 0.5, "ink", edge="")
        case "band":
            canvas.limb((16 - rx + 0.4, y - 2.4), (16 + rx - 0.4, y - 2.4), 0.9, "accent")
            canvas.limb((16 + rx, y - 2.2), (16 + rx + 3, y - 0.4), (0.9, 0.6), "accent")
        case "kabuto":
            canvas.poly(
                [
                    (16 - rx - 1.6, y + 1),
                    (16 - 4, top - 0.8),
                    (16 + 4, top - 0.8),
                    (16 + rx + 1.6, y + 1),
                    (16, y - 2.2),
                ],
                "body",
            )
            for side in (-1, 1):
                canvas.chain(
                    ((16 + side, top), (16 + side * 4, top - 3), (16 + side * 4.6, top - 5)), (0.9, 0.8, 0.6), "gold"
                )
        case "antennae":
            for side in (-1, 1):
                canvas.limb((16 + side * 2, top + 1), (16 + side * 4, top - 2.6), 0.5, row.skin)
                canvas.ball(16 + side * 4.2, top - 3, 1.2, 1.2, "accent", shine=True)
        case "bandage":
            for line in (-3.2, 3.4):
                canvas.limb((16 - rx + 1, y + line), (16 + rx - 1, y + line + 0.6), 0.5, "mark", edge="")
        case _:
            pass
    if rig.has("old") and "beard" not in row.extra:
        gear.beard(rig, 16, y + 4, 4.4)


def _chest(rig: Rig, row: Person, neck: float) -> None:
    canvas = rig.canvas
    if row.extra == "royal":
        canvas.limb((12, neck + 0.6), (20, neck + 0.6), 1.2, "white")
        for x in (13, 16, 19):
            canvas.dot(x, neck + 0.6, "ink", SHADE)
    if row.extra == "beads":
        for x, y in ((12.6, 1), (14, 2.6), (16, 3.2), (18, 2.6), (19.4, 1)):
            canvas.ball(x, neck + y, 0.8, 0.8, "wood", edge="")
    if row.extra not in ("royal", "collar") and "beard" not in row.extra:
        gear.trinket(rig, 16, neck, 3.6)
