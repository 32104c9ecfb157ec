"""Poses: what each one does to the body at a frame of its loop; frame n of n is frame 0 again."""

import math
from dataclasses import dataclass, replace

POSES = ("idle", "walk", "attack", "sleep", "jump", "cheer", "hurt")


@dataclass(frozen=True, slots=True)
class Motion:
    """The moving quantities that every anatomy reads; lengths in logical pixels, turns from -1 to 1."""

    pose: str
    beat: float  # place in the loop, 0 <= beat < 1
    swing: float = 0.0  # legs and arms, forth and back
    arm: float = 0.0  # 0 hanging, 1 raised
    strike: float = 0.0  # 0 at rest, 1 at the far end of a blow
    flap: float = 0.0  # wings, down and up
    sx: float = 1.0
    sy: float = 1.0
    lean: float = 0.0
    dx: int = 0
    dy: int = 0
    eyes: str = ""  # overrides the creature's own
    mouth: str = ""

    def lift(self, side: int) -> float:
        """How far the foot on `side` (-1 or 1) is off the ground."""
        return max(0.0, self.swing * side) * 2.2 if self.pose in ("walk", "cheer") else 0.0


def posed(pose: str, frame: int, frames: int) -> Motion:
    """The motion of `pose` at `frame` of a loop of `frames`."""
    beat = (frame % frames) / frames
    turn = math.tau * beat
    wave, rock = math.sin(turn), math.cos(turn)
    rest = Motion(pose, beat, flap=rock)
    match pose:
        case "walk":
            hop = round(-1.4 * abs(wave))
            return replace(rest, swing=rock, dy=hop, lean=0.03, flap=wave)
        case "attack":
            blow = (1 + rock) / 2
            return replace(
                rest, strike=blow, arm=blow, lean=0.16 * blow, dx=round(2 * blow) - 2, eyes="angry", mouth="roar"
            )
        case "sleep":
            breath = 0.02 * wave
            return replace(rest, sx=1.05 - breath, sy=0.84 + breath, eyes="closed", mouth="flat", flap=-1.0)
        case "jump":
            air = (1 + rock) / 2
            return replace(
                rest, sx=1.04 - 0.06 * air, sy=0.9 + 0.06 * air, dy=round(-3.4 * air), arm=0.7 * air, swing=0.6
            )
        case "cheer":
            return replace(rest, arm=1.0, swing=rock, dy=round(-1.4 * abs(rock)), eyes="happy", mouth="open")
        case "hurt":
            return replace(rest, lean=-0.16, dx=-1 + round(wave), sy=0.95, eyes="hurt", mouth="o", arm=0.4)
        case _:
            return replace(rest, sy=1 + 0.035 * wave, sx=1 - 0.02 * wave)
