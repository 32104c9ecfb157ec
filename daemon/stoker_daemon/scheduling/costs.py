"""What loads and runs cost on this host: learned from those that were, seeded from a table."""

from dataclasses import dataclass, field

import msgspec

from stoker_daemon.scheduling.residency import JOIN, Key

SEPARATOR = "\x1f"
"""Between the parts of a name that something is learned under."""
FORGETTING = 0.97
"""What an older observation counts for, relative to the next: some fifty are remembered."""
TRUSTED_AFTER = 3
"""Observations before they replace the seed's word."""
WARM_UP_WEIGHT = 0.02
"""The first run after a load loads lazily and compiles: it counts so little, and beside others not at all."""
OUTLIER = 2.5
"""A residual beyond so many usual ones counts as if it were no larger (Huber's loss)."""
CHANGE = 3
"""So many outliers in a row on one side are none: something has changed, and what was before counts a tenth."""
LEAST_SPREAD = 0.02
"""No fit is believed to be better than this, of its value."""
LIGHT = 0.1
"""What is put on weights that are there takes so much of what these do, until it was seen: it is smaller yet."""
UNKNOWN_LOAD_S = 30.0
"""A load that nobody knows: rather too dear, since believing loads to be cheap costs more than the reverse."""


@dataclass(slots=True)
class Line:
    """y = offset + slope * u, both at least 0: least squares that forget, and give way to no single outlier.

    Until there are two different u, the seed's line is scaled to what was seen. `spread` is the usual residual.
    """

    seed_offset: float
    seed_slope: float
    count: int = 0
    spread: float = 0.0
    offset: float = -1.0
    slope: float = -1.0
    weight: float = 0.0
    sum_u: float = 0.0
    sum_uu: float = 0.0
    sum_y: float = 0.0
    sum_uy: float = 0.0
    astray: int = 0

    def __post_init__(self) -> None:
        if self.offset < 0:
            self.offset, self.slope = self.seed_offset, self.seed_slope

    @property
    def is_trusted(self) -> bool:
        """Whether it says what was seen, not what the seed does."""
        return self.count >= TRUSTED_AFTER

    def at(self, u: float) -> float:
        """The expected y."""
        return self.offset + self.slope * u

    def learn(self, u: float, y: float, weight: float = 1.0) -> None:
        """One more observation."""
        expected = self.at(u)
        keep = FORGETTING
        if self.is_trusted:
            bound = OUTLIER * max(self.spread, LEAST_SPREAD * expected)
            self._count_outlier(y - expected, bound)
            if abs(self.astray) >= CHANGE:
                self.astray, keep = 0, 0.1
            else:
                y = min(expected + bound, max(expected - bound, y))
        self.count += 1
        self.weight = keep * self.weight + weight
        self.sum_u = keep * self.sum_u + weight * u
        self.sum_uu = keep * self.sum_uu + weight * u * u
        self.sum_y = keep * self.sum_y + weight * y
        self.sum_uy = keep * self.sum_uy + weight * u * y
        if self.is_trusted:
            self.offset, self.slope = self._fit()
            self.spread += (abs(y - expected) - self.spread) / min(self.count - TRUSTED_AFTER + 1, 10)

    def _count_outlier(self, residual: float, bound: float) -> None:
        if abs(residual) <= bound:
            self.astray = 0
        else:
            step = 1 if residual > 0 else -1
            self.astray = self.astray + step if self.astray * step >= 0 else step

    def _fit(self) -> tuple[float, float]:
        mean_u, mean_y = self.sum_u / self.weight, self.sum_y / self.weight
        variance = self.sum_uu / self.weight - mean_u * mean_u
        if variance <= 1e-6 * mean_u * mean_u:
            seed_y = self.seed_offset + self.seed_slope * mean_u
            scale = mean_y / seed_y if seed_y > 0 else 0.0
            return (self.seed_offset * scale, self.seed_slope * scale) if scale else (mean_y, 0.0)
        slope = (self.sum_uy / self.weight - mean_u * mean_y) / variance
        offset = mean_y - slope * mean_u
        if slope < 0:
            return max(0.0, mean_y), 0.0
        if offset < 0:
            return 0.0, self.sum_uy / self.sum_uu
        return offset, slope


@dataclass(slots=True)
class Load:
    """Seconds that a model takes to load: a mean that forgets, and gives way to no single outlier."""

    seconds: float
    count: int = 0

    def learn(self, seconds: float) -> None:
        """One more load."""
        if self.count >= TRUSTED_AFTER:
            seconds = min(OUTLIER * self.seconds, seconds)
        self.count += 1
        self.seconds += (seconds - self.seconds) / min(self.count, 10)


@dataclass(slots=True)
class Table:
    """What is believed before anything was seen: seconds to load, and lines of seconds and GB over units of work.

    The memory is SDXL's as published, 10, 22 and 38 GB for 1, 4 and 8 images: 6 + 4 for each. `control_gb`: what a
    LoRA, ControlNet or the like adds.
    """

    load_s: float = UNKNOWN_LOAD_S
    run_s: tuple[float, float] = (1.0, 1.8)
    run_gb: tuple[float, float] = (6.0, 4.0)
    control_gb: float = 1.0


@dataclass(slots=True)
class Costs:
    """All that was learned, as it is kept across restarts: `encoded`, `decoded`.

    Loads are by engine, what differs (the heavy weights, or what is put on those that are there) and the engine's cache
    mode; runs and memory by engine and signature family.
    """

    loads: dict[str, Load] = field(default_factory=dict[str, Load])
    runs: dict[str, Line] = field(default_factory=dict[str, Line])
    memory: dict[str, Line] = field(default_factory=dict[str, Line])

    def load_s(self, key: Key, mode: str = "", table: Table | None = None) -> float:
        """How long a load is expected to take: what was learned, else the mean of its engine's, else the table's.

        Those in the same mode are nearer to it than others are. What is put on weights is like others that are, and
        before there are any a part of what the weights take.
        """
        known = self.loads.get(_load_name(key, mode))
        if known is not None:
            return known.seconds
        if key.residency.startswith(JOIN):
            light_s = self._mean_load_s(key.engine, mode, is_light=True)
            return LIGHT * self.load_s(Key(key.engine, ""), mode, table) if light_s is None else light_s
        all_s = self._mean_load_s(key.engine, mode, is_light=False)
        return (table or Table()).load_s if all_s is None else all_s

    def _mean_load_s(self, engine: str, mode: str, *, is_light: bool) -> float | None:
        ours, light = _name(engine, ""), _name(engine, JOIN)
        mine = {
            name: each.seconds
            for name, each in self.loads.items()
            if name.startswith(ours) and name.startswith(light) == is_light
        }
        others = [seconds for name, seconds in mine.items() if name.endswith(_name("", mode))] or list(mine.values())
        return sum(others) / len(others) if others else None

    def learn_load(self, key: Key, seconds: float, mode: str = "") -> None:
        """A load took so long; one that found the model loaded is not to be told."""
        self.loads.setdefault(_load_name(key, mode), Load(seconds)).learn(seconds)

    def guess_load(self, key: Key, seconds: float, mode: str = "") -> None:
        """Believe that a load takes so long, until one has been learned."""
        self.loads.setdefault(_load_name(key, mode), Load(seconds))

    def run_line(self, engine: str, family: str, table: Table | None = None) -> Line:
        """Seconds over units of work."""
        known = self.runs.get(_name(engine, family))
        return known or Line(*(table or Table()).run_s)

    def learn_run(
        self, engine: str, family: str, units: float, seconds: float, *, warm: bool, table: Table | None = None
    ) -> None:
        """A run of so many units took so long; not `warm`: it was the first after a load."""
        name = _name(engine, family)
        line = self.runs.get(name)
        if line is None:
            line = self.runs[name] = Line(*(table or Table()).run_s)
        if warm:
            line.learn(units, seconds)
        elif line.weight < 1:
            line.learn(units, seconds, WARM_UP_WEIGHT)

    def memory_line(self, engine: str, family: str, controls: int = 0, table: Table | None = None) -> Line:
        """GB over units of work."""
        known = self.memory.get(_name(engine, family))
        return known or _memory_seed(table or Table(), controls)

    def learn_memory(
        self, engine: str, family: str, units: float, peak_gb: float, controls: int = 0, table: Table | None = None
    ) -> None:
        """A run of so many units used so much at its peak."""
        seed = _memory_seed(table or Table(), controls)
        self.memory.setdefault(_name(engine, family), seed).learn(units, peak_gb)

    def encoded(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def decoded(cls, text: bytes) -> "Costs":
        """What `encoded` gave, also before loads were by level. Raises msgspec.ValidationError."""
        costs = msgspec.json.decode(text, type=cls)
        for name in [name for name in costs.loads if name.count(SEPARATOR) == 2]:
            engine, residency, mode = name.split(SEPARATOR)
            load = costs.loads.pop(name)
            costs.loads.setdefault(_load_name(Key(engine, residency), mode), load)
        return costs


def units(items: int, steps: int, megapixels: float, *, guided: bool) -> float:
    """The work of a diffusion run: one unit is one step of one megapixel, twice that where guidance doubles it."""
    return items * steps * megapixels * (2 if guided else 1)


def _memory_seed(table: Table, controls: int) -> Line:
    return Line(table.run_gb[0] + table.control_gb * controls, table.run_gb[1])


def _name(*parts: str) -> str:
    return SEPARATOR.join(parts)


def _load_name(key: Key, mode: str) -> str:
    return _name(key.engine, key.heavy or key.residency, mode)
