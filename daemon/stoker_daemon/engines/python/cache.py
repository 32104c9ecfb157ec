"""Which models a worker keeps loaded within its budget, and which give way to another."""

import sys
from collections.abc import Mapping, Sequence

from stoker_daemon.jobs.records import Resident
from stoker_daemon.scheduling.residency import NO_PINS, Gpu, Key, Pins, make_room
from stoker_protocol.worker import Holding

_GB = 1e9
_MEMORY = 0.9
"""How much of a model's share of the demand is left after a run of another."""


class ModelCache:
    """The models that one worker holds, and what is known of each: bytes, seconds of a load, uses.

    They hold `budget_bytes` together at most, unless one alone is larger, and there are `most` of them; without either
    there is one beside those with `pins`, which give way last. What was learnt of a model outlasts it. Implements
    `residency.Costs`.
    """

    def __init__(self, engine: str, budget_bytes: int | None, most: int = 0, pins: Pins = NO_PINS) -> None:
        self._engine = engine
        self._budget_bytes = budget_bytes
        self._most = most or (1 + pins.of(engine) if budget_bytes is None else sys.maxsize)
        self._pins = pins
        self._held: list[str] = []  # the last used last
        self._bytes: dict[str, int] = {}
        self._on_gpu: set[str] = set()
        self._load_s: dict[str, float] = {}
        self._demand: dict[str, float] = {}

    @property
    def models(self) -> tuple[str, ...]:
        """What is loaded, the last used last."""
        return tuple(self._held)

    def residents(self, pid: int) -> list[Resident]:
        """What is loaded in a process, with the bytes that it holds on GPUs: those of the host are another matter."""
        return [Resident(model, self._bytes[model] if model in self._on_gpu else None, pid) for model in self._held]

    def expect(self, sizes: Mapping[str, int]) -> None:
        """What models will hold by their own account; what was measured counts for more."""
        self._bytes = {**sizes, **self._bytes}

    def hold(self, holdings: Sequence[Holding]) -> None:
        """What the worker says that it holds."""
        self._bytes.update({each.model: each.bytes for each in holdings if each.bytes is not None})
        self._on_gpu = {each.model for each in holdings if each.on_gpu and each.bytes is not None}
        names = [each.model for each in holdings]
        self._held = [model for model in self._held if model in names]
        self._held += [model for model in names if model not in self._held]

    def note_load(self, model: str, seconds: float) -> None:
        """A load took so long."""
        self._load_s[model] = seconds

    def note_use(self, model: str) -> None:
        """A run of a model begins."""
        self._held.sort(key=lambda each: each == model)
        self._demand = {each: share * _MEMORY for each, share in self._demand.items()}
        self._demand[model] = self._demand.get(model, 0.0) + 1 - _MEMORY

    def victims(self, model: str) -> tuple[str, ...]:
        """Which others give way so that `model` fits, by what their return is expected to cost for each byte."""
        gpu = Gpu(
            residents=tuple(Key(self._engine, each) for each in self._held if each != model),
            slots=self._most,
            room_gb=float("inf") if self._budget_bytes is None else self._budget_bytes / _GB,
            pinned=self._pins,
            demand={Key(self._engine, each): share for each, share in self._demand.items()},
        )
        return tuple(victim.residency for victim in make_room(Key(self._engine, model), gpu, self, wanted=()))

    def load_s(self, key: Key, /) -> float:
        """What its last load took."""
        return self._load_s.get(key.residency, 1.0)

    def size_gb(self, key: Key, /) -> float:
        """What it holds; one that nobody knows may need all that there is."""
        return self._bytes.get(key.residency, self._budget_bytes or 0) / _GB
