"""The logical 32 x 32 grid: shapes that shade themselves as solids and keep a dark line where they overlap."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SIDE = 32
GROUND = 29.0  # design coordinates: the soles stand on it, nothing is drawn below
OUTLINE, SHADE, BASE, LIGHT, SHINE = range(5)

Point = tuple[float, float]
Normal = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stance:
    """How the whole figure is stretched, leaned and moved, about the point on the ground under it."""

    sx: float = 1.0
    sy: float = 1.0
    lean: float = 0.0
    dx: float = 0.0
    dy: float = 0.0

    def out(self, x: float, y: float) -> Point:
        """Design coordinates to grid coordinates."""
        up = (GROUND - y) * self.sy
        return 16 + (x - 16) * self.sx + self.lean * up + self.dx, GROUND - up + self.dy

    def back(self, x: float, y: float) -> Point:
        """Grid coordinates to design coordinates."""
        up = GROUND + self.dy - y
        return 16 + (x - 16 - self.dx - self.lean * up) / self.sx, GROUND - up / self.sy


def _level(nx: float, ny: float, shine: bool) -> int:
    """The step of the ramp for a surface direction, lit from the upper left and a little from the front."""
    flat = nx * nx + ny * ny
    glow = -0.45 * nx - 0.74 * ny + 0.50 * math.sqrt(1 - flat if flat < 1 else 0.0)
    if glow < 0.02:
        return SHADE
    if glow < 0.66:
        return BASE
    return SHINE if shine and glow > 0.93 else LIGHT


@dataclass(slots=True)
class Canvas:
    """A grid of (ramp name, level); an empty name is a transparent pixel."""

    stance: Stance = field(default_factory=Stance)
    ramps: list[str] = field(default_factory=lambda: [""] * (SIDE * SIDE))
    levels: list[int] = field(default_factory=lambda: [0] * (SIDE * SIDE))

    def ball(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        ramp: str,
        *,
        tilt: float = 0.0,
        edge: str = "line",
        shine: bool = False,
        dim: bool = False,
    ) -> None:
        """An ellipse shaded as a ball; `tilt` in radians, clockwise."""
        rx, ry = max(rx, 0.6), max(ry, 0.6)
        cos, sin = math.cos(tilt), math.sin(tilt)

        def normal(px: float, py: float) -> Normal | None:
            u, v = px - x, py - y
            nx, ny = (u * cos + v * sin) / rx, (v * cos - u * sin) / ry
            if nx * nx + ny * ny > 1:
                return None
            return (nx * cos - ny * sin, nx * sin + ny * cos) if tilt else (nx, ny)

        half_x, half_y = math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)
        self._fill((x - half_x, y - half_y, x + half_x, y + half_y), normal, ramp, edge, shine, dim)

    def limb(
        self,
        start: Point,
        end: Point,
        thick: float | Point,
        ramp: str,
        *,
        edge: str = "line",
        shine: bool = False,
        dim: bool = False,
    ) -> None:
        """A round-ended bar; `thick` is its radius, or the radius at either end."""
        r0, r1 = thick if isinstance(thick, tuple) else (thick, thick)
        (x0, y0), (x1, y1) = start, end
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy or 1e-6

        def normal(px: float, py: float) -> Normal | None:
            along = min(1.0, max(0.0, ((px - x0) * dx + (py - y0) * dy) / length))
            radius = r0 + (r1 - r0) * along
            nx, ny = (px - x0 - along * dx) / radius, (py - y0 - along * dy) / radius
            return (nx * 0.8, ny * 0.8) if nx * nx + ny * ny <= 1 else None

        far = max(r0, r1)
        bounds = (min(x0, x1) - far, min(y0, y1) - far, max(x0, x1) + far, max(y0, y1) + far)
        self._fill(bounds, normal, ramp, edge, shine, dim)

    def chain(self, points: Sequence[Point], thick: Sequence[float], ramp: str, *, edge: str = "line") -> None:
        """A bent limb through `points`, one radius per point."""
        for index in range(len(points) - 1):
            first = edge if index == 0 else ""
            self.limb(points[index], points[index + 1], (thick[index], thick[index + 1]), ramp, edge=first)

    def poly(
        self,
        points: Sequence[Point],
        ramp: str,
        *,
        edge: str = "line",
        shine: bool = False,
        dim: bool = False,
        flat: bool = False,
    ) -> None:
        """A polygon shaded as an upright roll of cloth, or as a `flat` plate."""
        ys = [y for _, y in points]
        xs = [x for x, _ in points]
        top, height = min(ys), max(0.5, max(ys) - min(ys))
        sides = list(zip(points, [*points[1:], points[0]], strict=True))

        def normal(px: float, py: float) -> Normal | None:
            cuts = [ax + (py - ay) * (bx - ax) / (by - ay) for (ax, ay), (bx, by) in sides if (ay <= py) != (by <= py)]
            cuts.sort()
            for left, right in zip(cuts[::2], cuts[1::2], strict=False):
                if left <= px <= right:
                    if flat:
                        return -0.1, -0.3
                    across = (2 * px - left - right) / max(1.0, right - left)
                    return across * 0.85, ((py - top) / height - 0.45) * 0.7
            return None

        self._fill((min(xs), top, max(xs), max(ys)), normal, ramp, edge, shine, dim)

    def _fill(
        self,
        bounds: tuple[float, float, float, float],
        normal: Callable[[float, float], Normal | None],
        ramp: str,
        edge: str,
        shine: bool,
        dim: bool,
    ) -> None:
        corners = [self.stance.out(x, y) for x in bounds[::2] for y in bounds[1::2]]
        left, right = (int(pick(x for x, _ in corners)) for pick in (min, max))
        top, bottom = (int(pick(y for _, y in corners)) for pick in (min, max))
        covered: dict[int, int] = {}
        back = self.stance.back
        for py in range(max(0, top), min(SIDE - 1, bottom) + 1):
            for px in range(max(0, left), min(SIDE - 1, right) + 1):
                x, y = back(px + 0.5, py + 0.5)
                if y <= GROUND and (found := normal(x, y)) is not None:
                    level = _level(*found, shine)
                    covered[py * SIDE + px] = max(SHADE, level - 1) if dim else level
        if edge:
            self._separate(covered, edge)
        for index, level in covered.items():
            self.ramps[index], self.levels[index] = ramp, level

    def _separate(self, covered: Mapping[int, int], edge: str) -> None:
        """Darken what lies next to a new part, so that the parts read as parts."""
        for index in covered:
            for near in neighbours(index):
                if near not in covered and self.ramps[near]:
                    self.levels[near] = OUTLINE if edge == "line" else max(SHADE, self.levels[near] - 1)

    def dot(self, x: float, y: float, ramp: str, level: int = BASE) -> None:
        """One pixel at a design position."""
        gx, gy = self.stance.out(x, y)
        self.pixel(math.floor(gx), math.floor(gy), ramp, level)

    def pixel(self, px: int, py: int, ramp: str, level: int = BASE) -> None:
        """One pixel at a grid position; outside the grid nothing happens."""
        if 0 <= px < SIDE and 0 <= py < SIDE:
            self.ramps[py * SIDE + px], self.levels[py * SIDE + px] = ramp, level

    def stamp(self, px: int, py: int, rows: Iterable[str], legend: Mapping[str, tuple[str, int]]) -> None:
        """Pixels from text, the upper left one at a grid position; characters without a meaning are skipped."""
        for down, row in enumerate(rows):
            for along, sign in enumerate(row):
                if sign in legend:
                    self.pixel(px + along, py + down, *legend[sign])

    def repaint(self, ramp: str, new: str, where: Callable[[float, float], bool]) -> None:
        """Give pixels of one ramp another where `where(x, y)` in design coordinates says so."""
        for index, name in enumerate(self.ramps):
            if name == ramp and self.levels[index]:
                x, y = self.stance.back(index % SIDE + 0.5, index // SIDE + 0.5)
                if where(x, y):
                    self.ramps[index] = new

    def outline(self) -> None:
        """Close the silhouette with a line in the darkest step of whatever it borders on."""
        lines: dict[int, str] = {}
        for index, name in enumerate(self.ramps):
            if not name:
                near = [self.ramps[other] for other in neighbours(index) if self.ramps[other]]
                if near:
                    lines[index] = near[-1]
        for index, name in lines.items():
            self.ramps[index], self.levels[index] = name, OUTLINE


def neighbours(index: int) -> tuple[int, ...]:
    """The indices above, left, right and below, inside the grid."""
    return _NEIGHBOURS[index]


def _around(index: int) -> tuple[int, ...]:
    x, y = index % SIDE, index // SIDE
    places = ((x, y - 1), (x - 1, y), (x + 1, y), (x, y + 1))
    return tuple(py * SIDE + px for px, py in places if 0 <= px < SIDE and 0 <= py < SIDE)


_NEIGHBOURS = tuple(_around(index) for index in range(SIDE * SIDE))
