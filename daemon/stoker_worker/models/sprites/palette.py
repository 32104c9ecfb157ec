"""Colours: short ramps with hue shift (cool shadows, warm lights), and the looks that tell the models apart."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

Rgba = tuple[int, int, int, int]
Ramp = tuple[Rgba, Rgba, Rgba, Rgba, Rgba]  # outline, shadow, base, light, highlight


class Tone(NamedTuple):
    """One colour in OKLCH: lightness 0..1, chroma 0..0.3, hue in degrees."""

    light: float
    chroma: float
    hue: float

    def moved(self, *, light: float = 0.0, chroma: float = 1.0, hue: float = 0.0) -> "Tone":
        """The tone with `light` and `hue` added and its chroma multiplied."""
        return Tone(min(0.97, max(0.1, self.light + light)), self.chroma * chroma, (self.hue + hue) % 360)


COOL_HUE, WARM_HUE = 285.0, 95.0

COLOURS: Mapping[str, Tone] = {
    "red": Tone(0.59, 0.21, 26),
    "crimson": Tone(0.50, 0.19, 18),
    "orange": Tone(0.73, 0.17, 55),
    "golden": Tone(0.80, 0.155, 84),
    "yellow": Tone(0.87, 0.17, 99),
    "lime": Tone(0.84, 0.20, 124),
    "green": Tone(0.67, 0.18, 144),
    "forest": Tone(0.50, 0.12, 148),
    "olive": Tone(0.60, 0.11, 115),
    "mint": Tone(0.87, 0.10, 165),
    "teal": Tone(0.65, 0.115, 192),
    "cyan": Tone(0.80, 0.13, 213),
    "sky": Tone(0.76, 0.11, 235),
    "blue": Tone(0.57, 0.19, 260),
    "navy": Tone(0.40, 0.12, 264),
    "indigo": Tone(0.48, 0.18, 282),
    "purple": Tone(0.55, 0.20, 303),
    "lavender": Tone(0.78, 0.10, 303),
    "magenta": Tone(0.65, 0.25, 335),
    "pink": Tone(0.79, 0.13, 355),
    "rose": Tone(0.66, 0.19, 8),
    "peach": Tone(0.82, 0.09, 50),
    "brown": Tone(0.51, 0.085, 55),
    "rust": Tone(0.55, 0.13, 42),
    "tan": Tone(0.73, 0.07, 75),
    "cream": Tone(0.90, 0.05, 88),
    "white": Tone(0.91, 0.012, 240),
    "silver": Tone(0.79, 0.02, 250),
    "grey": Tone(0.63, 0.018, 255),
    "slate": Tone(0.47, 0.035, 255),
    "black": Tone(0.36, 0.035, 285),
}

SKINS = (Tone(0.86, 0.06, 62), Tone(0.78, 0.075, 60), Tone(0.65, 0.08, 55), Tone(0.52, 0.07, 50), Tone(0.83, 0.075, 75))

# Ramps that look the same on every sprite.
FIXED: Mapping[str, Tone] = {
    "ink": Tone(0.27, 0.035, 285),
    "white": Tone(0.92, 0.012, 230),
    "metal": Tone(0.74, 0.025, 250),
    "steel": Tone(0.56, 0.03, 255),
    "gold": Tone(0.80, 0.15, 84),
    "wood": Tone(0.52, 0.09, 55),
    "leather": Tone(0.44, 0.075, 48),
    "bone": Tone(0.89, 0.045, 88),
    "leaf": Tone(0.66, 0.17, 142),
    "moss": Tone(0.50, 0.12, 148),
    "flame": Tone(0.74, 0.19, 52),
    "ember": Tone(0.88, 0.17, 96),
    "frost": Tone(0.84, 0.075, 222),
    "toxic": Tone(0.80, 0.22, 134),
    "volt": Tone(0.92, 0.18, 104),
    "ruby": Tone(0.58, 0.22, 22),
    "mouth": Tone(0.55, 0.18, 15),
    "blush": Tone(0.76, 0.13, 12),
    "feral": Tone(0.83, 0.19, 115),
    "velvet": Tone(0.47, 0.18, 20),
    "stone": Tone(0.62, 0.02, 260),
    "glass": Tone(0.86, 0.05, 220),
    "nose": Tone(0.70, 0.13, 5),
    "beak": Tone(0.79, 0.165, 70),
    "star": Tone(0.95, 0.10, 98),
}


@lru_cache(maxsize=8192)
def rgb(tone: Tone) -> tuple[int, int, int]:
    """`tone` as sRGB bytes, with the chroma lowered until it fits (OKLab matrices: Björn Ottosson, 2020)."""
    light, chroma, hue = tone
    angle = math.radians(hue)
    while True:
        a, b = chroma * math.cos(angle), chroma * math.sin(angle)
        long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
        medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
        linear = (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
        if chroma < 0.004 or all(-0.0005 <= part <= 1.0005 for part in linear):
            red, green, blue = (_gamma(part) for part in linear)
            return red, green, blue
        chroma *= 0.93


def _gamma(part: float) -> int:
    part = min(1.0, max(0.0, part))
    curved = 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
    return round(curved * 255)


def _toward(hue: float, goal: float, share: float) -> float:
    """`hue` turned toward `goal` the short way, 28 degrees at most, so that red never shades to green."""
    gap = (goal - hue + 180) % 360 - 180
    return (hue + max(-28.0, min(28.0, gap * share))) % 360


def _steps(tone: Tone) -> tuple[Tone, Tone, Tone, Tone, Tone]:
    light, chroma, hue = tone
    return (
        Tone(min(0.36, max(0.17, light * 0.44)), chroma * 0.62 + 0.012, _toward(hue, COOL_HUE, 0.30)),
        Tone(light - 0.06 - 0.13 * light, chroma * 0.96 + 0.008, _toward(hue, COOL_HUE, 0.16)),
        tone,
        Tone(min(0.95, light + 0.085), chroma * 0.97, _toward(hue, WARM_HUE, 0.10)),
        Tone(min(0.985, light + 0.17), chroma * 0.66, _toward(hue, WARM_HUE, 0.18)),
    )


def _classic(_name: str, tone: Tone) -> Ramp:
    """The full palette."""
    one, two, three, four, five = ((*rgb(step), 255) for step in _steps(tone))
    return one, two, three, four, five


GREENS = ((18, 44, 36, 255), (52, 104, 70, 255), (130, 170, 82, 255), (214, 232, 158, 255))


def _handheld(name: str, tone: Tone) -> Ramp:
    """Four greens: the darkest for lines, the others by a mix of the colour's lightness and its place in the ramp."""
    if name == "ink":
        return GREENS[0], GREENS[0], GREENS[0], GREENS[0], GREENS[0]
    middle = 1 if tone.light < 0.56 else 2 if tone.light < 0.84 else 3
    steps = (max(1, middle - 1) if middle < 3 else 2, middle, min(3, middle + 1) if middle == 2 else middle, 3)
    one, two, three, four = (GREENS[step] for step in steps)
    return GREENS[0], one, two, three, four


def _neon(name: str, tone: Tone) -> Ramp:
    """A dark body that glows at every line."""
    if name in ("ink", "star"):
        bright = (*rgb(Tone(0.97, 0.05, 200)), 255)
        return bright, bright, bright, bright, bright
    hue = tone.hue if tone.chroma > 0.03 else 225.0
    vivid = max(tone.chroma, 0.16) if tone.chroma > 0.03 else 0.09
    rim = Tone(0.58 + 0.26 * tone.light, vivid, hue)
    shades = (rim, Tone(0.17, 0.05, hue), Tone(0.23, 0.07, hue), Tone(0.33, 0.10, hue), Tone(0.74, vivid, hue))
    one, two, three, four, five = ((*rgb(shade), 255) for shade in shades)
    return one, two, three, four, five


LOOKS: Mapping[str, Callable[[str, Tone], Ramp]] = {"classic": _classic, "handheld": _handheld, "neon": _neon}


@lru_cache(maxsize=4096)
def ramp(look: str, name: str, tone: Tone) -> Ramp:
    """The five colours of `tone` in the given look; `name` is the ramp's role ("ink" stays readable everywhere)."""
    return LOOKS[look](name, tone)


def shadow(look: str, body: Tone) -> Rgba:
    """The half-transparent colour of the shadow on the ground; in neon it is the light that the body casts."""
    if look == "neon":
        return (*rgb(Tone(0.6, max(0.12, body.chroma), body.hue)), 70)
    if look == "handheld":
        return (*GREENS[1][:3], 110)
    return (*rgb(Tone(0.22, 0.05, COOL_HUE)), 80)
