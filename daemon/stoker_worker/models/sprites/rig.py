"""The rig: one creature's canvas, recipe and motion, with the faces and signs that every anatomy shares."""

import math
from dataclasses import dataclass, field
from random import Random

from stoker_worker.models.sprites.canvas import BASE, LIGHT, OUTLINE, SHADE, SHINE, SIDE, Canvas, Point
from stoker_worker.models.sprites.motion import Motion
from stoker_worker.models.sprites.prompt import Recipe

LEGEND = {
    "K": ("ink", BASE),
    "W": ("white", LIGHT),
    "w": ("white", BASE),
    "I": ("iris", BASE),
    "i": ("iris", LIGHT),
    "G": ("ember", SHINE),
    "g": ("ember", BASE),
    "R": ("mouth", BASE),
    "r": ("mouth", LIGHT),
    "B": ("blush", BASE),
    "F": ("feral", LIGHT),
    "Y": ("beak", BASE),
}

# The left eye; the right one is the same, except where "both" makes it the mirror image.
EYES: dict[str, tuple[str, ...]] = {
    "bean": ("WK", "KK", "KI"),
    "dot": ("WK", "KK"),
    "round": ("KKK", "WKI", "WKI"),
    "tall": ("WK", "KK", "KK", "II"),
    "shiny": ("WKK", "KKK", "KKI"),
    "glow": ("GG", "Gg"),
    "lamp": ("GGG", "GgG"),
    "pupil": ("WK", "KK"),
    "spook": (".KK.", "KKWK", "KKKK", ".KK."),
    "lit": ("GG", "GG"),
    "alien": ("KK..", "KWKK", "KKKK", ".KKK"),
    "lamp_big": (".GGG", "GGKK", "GGKK", ".GGG"),
    "slit": ("KKK", "FKF", "FKF"),
    "pale": ("WWW", "WKK", "WKI"),
    "void": ("KKK", "KKK", "KK."),
    "angry": ("KK.", "WKK", "WIK"),
    "happy": (".K.", "K.K"),
    "sleepy": ("KKK", "WKI"),
    "sad": (".KK", "KWK", "KKI"),
    "closed": ("K.K", ".K."),
    "hurt": ("K.K", ".K.", "K.K"),
}
LIDS = frozenset(("angry", "sad", "happy", "closed", "hurt", "sleepy"))
DARK = frozenset(("bean", "dot", "round", "tall", "shiny"))  # eyes that are lost on a dark face
MIRRORED = frozenset(("angry", "sad", "void", "alien", "lamp_big"))
MOUTHS: dict[str, tuple[str, ...]] = {
    "none": (),
    "smile": ("K..K", ".KK."),
    "cat": ("K.KK.K", ".K..K."),
    "flat": (".KK.",),
    "fang": ("KKKK", "W..W"),
    "open": ("KKKK", ".RR."),
    "teeth": ("KWKW", "KKKK"),
    "roar": ("KKKK", "WRRW", ".KK."),
    "o": ("KK", "KK"),
    "frown": (".KK.", "K..K"),
}


@dataclass(slots=True)
class Rig:
    """What an anatomy draws with. `top` and `back` tell the later layers where a hat or wings would go."""

    canvas: Canvas
    recipe: Recipe
    motion: Motion
    detail: Random
    top: Point = (16, 8)
    brow: float = 6.0  # half the width of the head at the hat's rim
    notes: set[str] = field(default_factory=set[str])  # parts that an anatomy has drawn itself

    def has(self, *traits: str) -> bool:
        """Whether the recipe has any of the traits."""
        return bool(self.recipe.traits.intersection(traits))

    def shape(self, name: str, reach: float) -> float:
        """A proportion of this prompt, scaled to plus or minus `reach` pixels."""
        return self.recipe.shape(name) * reach

    def face(self, x: float, y: float, gap: float, *, eyes: str = "", mouth: str = "", drop: float = 3.0) -> None:
        """Two eyes `gap` to either side of `x`, a mouth `drop` below; arguments replace the recipe's own."""
        style = self.motion.eyes or self.recipe.mood or eyes or self.recipe.eyes
        if self.has("undead", "mechanical") and style not in ("closed", "hurt", "happy"):
            style = "glow"
        if self.canvas.stance.sx < 0.8 and len(EYES[style]) > 2 and style not in LIDS:
            style = "dot"
        rows, gap = EYES[style], gap * self.canvas.stance.sx
        width, height = len(rows[0]), len(rows)
        gx, gy = self.canvas.stance.out(x, y)
        left = math.floor(gx - gap + 0.01)
        if style in DARK and self._dark(left, math.floor(gy)):
            rows = EYES["pale"]
            width, height = 3, 3
        right = math.ceil(gx + gap - 0.01) - width
        top = math.floor(gy - height / 2)
        self.canvas.stamp(left, top, rows, LEGEND)
        other = [row[::-1] for row in rows] if style in MIRRORED else rows
        self.canvas.stamp(right, top, other, LEGEND)
        if self.recipe.trinket == "glasses":
            self._glasses(left, right, top, width)
        if self.recipe.trinket == "blush" and gap >= 3:
            self.canvas.stamp(left - 1, top + height, ("BB",), LEGEND)
            self.canvas.stamp(right + width - 1, top + height, ("BB",), LEGEND)
        self.mouth(x, y + drop, mouth)

    def _glasses(self, left: int, right: int, top: int, width: int) -> None:
        for start in (left, right):
            self.canvas.stamp(start - 1, top, ("K" * (width + 2), "KWK" + "K" * (width - 1), "K" * (width + 2)), LEGEND)
        self.canvas.stamp(left + width, top, ("K" * max(0, right - left - width),), LEGEND)

    def _dark(self, px: int, py: int) -> bool:
        if not (0 <= px < SIDE and 0 <= py < SIDE and self.canvas.stance.sx >= 0.8):
            return False
        tone = self.recipe.tones.get(self.canvas.ramps[py * SIDE + px])
        return tone is not None and tone.light < 0.47

    def mouth(self, x: float, y: float, mouth: str = "") -> None:
        """A mouth with its middle at (x, y)."""
        rows = MOUTHS.get(self.motion.mouth or mouth or self.recipe.mouth, ())
        if rows and mouth != "none":
            gx, gy = self.canvas.stance.out(x, y)
            self.canvas.stamp(round(gx - len(rows[0]) / 2), math.floor(gy), rows, LEGEND)

    def one_eye(self, x: float, y: float, r: float) -> None:
        """A single large eye that looks at you."""
        if self.motion.eyes in ("closed", "hurt", "happy"):
            self.canvas.ball(x, y, r, r, "limb")
            gx, gy = self.canvas.stance.out(x, y)
            self.canvas.stamp(math.floor(gx) - 2, math.floor(gy), ("K...K", ".KKK."), LEGEND)
            return
        self.canvas.ball(x, y, r, r, "white")
        self.canvas.ball(x + 0.5, y + 0.4, r * 0.62, r * 0.62, "iris", edge="")
        self.canvas.ball(x + 0.6, y + 0.5, r * 0.34, r * 0.4, "ink", edge="")
        self.canvas.dot(x - r * 0.25, y - r * 0.3, "white", SHINE)
        if self.recipe.mood == "angry" or self.motion.eyes == "angry":
            self.canvas.limb((x - r, y - r), (x + r, y - r * 0.45), 1.0, "mark")

    def legs(self, x: float, gap: float, top: float, thick: float, ramp: str, foot: str = "") -> None:
        """Two legs seen from the front, with feet."""
        for side in (-1, 1):
            hip, sole = x + side * gap, 28.2 - self.motion.lift(side)
            self.canvas.limb((hip, top), (hip + side * 0.3, sole - 0.4), thick, ramp)
            if foot:
                self.canvas.ball(hip + side * 0.7, sole, thick + 0.7, 1.2, foot, edge="line")

    def sole(self, side: int) -> float:
        """The height of the foot on `side`."""
        return 28.3 - self.motion.lift(side)

    def hand(self, side: int, x: float, y: float, reach: float = 5.0) -> Point:
        """Where a hand is, from its shoulder at (x, y): hanging, swinging or raised."""
        move = self.motion
        if side > 0 and move.strike:
            angle = -1.2 + 1.3 * move.strike
        elif move.arm and not move.strike:
            angle = 0.9 - 1.9 * move.arm
        else:
            angle = 1.15 - 0.35 * move.swing * side
        return x + side * reach * math.cos(angle), y + reach * math.sin(angle)


__all__ = ["BASE", "LIGHT", "OUTLINE", "SHADE", "SHINE", "Point", "Rig"]
