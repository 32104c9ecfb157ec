"""What the policy asks of costs, answered from what was learned, and learning from what runs."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from stoker_daemon.scheduling.batch_size import Memory, Trials, best_size, first_trials
from stoker_daemon.scheduling.costs import Costs, Line, Table
from stoker_daemon.scheduling.residency import Key

LOOK_S = 10.0
"""A ceiling that time lifts is looked at anew after so long."""
NOTHING = "nothing"
"""The mode of an engine that keeps no model for the next run: there a switch costs no more than to stay."""


@dataclass(frozen=True, slots=True)
class Keeps:
    """What an engine keeps besides what is resident: its `mode`, and the residencies that it need not read again."""

    mode: str = ""
    kept: frozenset[str] = frozenset()

    def price_of(self, residency: str) -> str:
        """Under which name a load of this costs what it does."""
        return f"{self.mode} kept" if residency in self.kept else self.mode


@dataclass(frozen=True, slots=True)
class Kind:
    """What matters of a signature for its costs.

    Runs and memory are learned for each `family` of an engine (the same model, sampler and shape class), over units of
    work. `most` is what engine and job allow in one run; `controls` counts active LoRAs, ControlNets, masks and so on.
    """

    key: Key
    family: str
    most: int
    units_per_item: float = 1.0
    controls: int = 0


@dataclass(slots=True)
class Estimator:
    """Estimates for the policy as of the last `look`; the same question is answered once until something is learned.

    `kinds` is by signature, `tables` and `keeps` by engine, `sizes_gb` what models weigh.
    """

    costs: Costs
    kinds: dict[int, Kind] = field(default_factory=dict[int, Kind])
    tables: dict[str, Table] = field(default_factory=dict[str, Table])
    keeps: dict[str, Keeps] = field(default_factory=dict[str, Keeps])
    sizes_gb: dict[Key, float] = field(default_factory=dict[Key, float])
    trials: dict[int, Trials] = field(default_factory=dict[int, Trials])
    _free_gb: Mapping[str, float] = field(default_factory=dict[str, float])
    _now_s: float = 0.0
    _looked_s: float = 0.0
    _loads_s: dict[Key, float] = field(default_factory=dict[Key, float])
    _lines: dict[int, Line] = field(default_factory=dict[int, Line])
    _sizes: dict[tuple[int, int, float], int] = field(default_factory=dict[tuple[int, int, float], int])

    def copy(self) -> "Estimator":
        """The same, which learns nothing that this one does."""
        return Estimator(
            deepcopy(self.costs),
            dict(self.kinds),
            dict(self.tables),
            dict(self.keeps),
            dict(self.sizes_gb),
            dict(self.trials),
            self._free_gb,
            self._now_s,
        )

    def look(self, now_s: float, free_gb: Mapping[str, float]) -> None:
        """Take in what is free for each engine's runs once its model is loaded; without an entry nobody knows."""
        is_stale = free_gb != self._free_gb or abs(now_s - self._looked_s) > LOOK_S
        self._now_s, self._free_gb = now_s, free_gb
        if is_stale:
            self._looked_s = now_s
            self._forget_answers()

    def keep(self, keeps: Mapping[str, Keeps]) -> None:
        """Take in what engines keep now."""
        if keeps != self.keeps:
            self.keeps = dict(keeps)
            self._loads_s.clear()

    def load_s(self, key: Key, /) -> float:
        if key not in self._loads_s:
            mode = self._mode(key)
            self._loads_s[key] = 0.0 if mode == NOTHING else self.costs.load_s(key, mode, self.tables.get(key.engine))
        return self._loads_s[key]

    def size_gb(self, key: Key, /) -> float:
        return self.sizes_gb.get(key, 1.0)

    def run_s(self, signature: int, items: int, /) -> float:
        kind = self.kinds[signature]
        if signature not in self._lines:
            engine = kind.key.engine
            self._lines[signature] = self.costs.run_line(engine, kind.family, self.tables.get(engine))
        return self._lines[signature].at(items * kind.units_per_item)

    def is_trusted(self, signature: int, /) -> bool:
        """Whether runs of this signature were seen often enough to be known."""
        kind = self.kinds[signature]
        return self.costs.run_line(kind.key.engine, kind.family, self.tables.get(kind.key.engine)).is_trusted

    def batch(self, signature: int, ready: int, at_most_s: float, /) -> int:
        asked = signature, min(ready, self.kinds[signature].most), at_most_s
        if asked not in self._sizes:
            self._sizes[asked] = self._best_size(*asked)
        return self._sizes[asked]

    def loaded(self, key: Key, seconds: float, mode: str | None = None) -> None:
        """A model was loaded, in this mode or the one in which it would be now; not to be told if it was there."""
        self.costs.learn_load(key, seconds, self._mode(key) if mode is None else mode)
        self._forget_answers()

    def ran(self, signature: int, items: int, seconds: float, *, warm: bool, peak_gb: float | None = None) -> None:
        """A run came to its end; not `warm`: it was the first after a load."""
        kind = self.kinds[signature]
        engine, table, work = kind.key.engine, self.tables.get(kind.key.engine), items * kind.units_per_item
        if warm and self.is_trusted(signature):
            expected_s = self.run_s(signature, items)
            self.trials[signature] = self._trials(signature).went_well(items, seconds, expected_s, self._now_s)
        self.costs.learn_run(engine, kind.family, work, seconds, warm=warm, table=table)
        if peak_gb is not None:
            self.costs.learn_memory(engine, kind.family, work, peak_gb, kind.controls, table)
        self._forget_answers()

    def ran_out(self, signature: int, items: int) -> None:
        """A run failed for want of memory."""
        free_gb = self._free_gb.get(self.kinds[signature].key.engine, 0.0)
        self.trials[signature] = self._trials(signature).ran_out(items, free_gb, self._now_s)
        self._forget_answers()

    def _mode(self, key: Key) -> str:
        return self.keeps.get(key.engine, Keeps()).price_of(key.residency)

    def _best_size(self, signature: int, ready: int, at_most_s: float) -> int:
        kind = self.kinds[signature]
        memory = self._memory(kind)
        return best_size(
            ready,
            self._trials(signature).allowed(kind.most, memory, self._now_s),
            lambda items: self.run_s(signature, items),
            at_most_s,
            load_s=self.load_s(kind.key),
            memory=memory,
        )

    def _memory(self, kind: Kind) -> Memory | None:
        free_gb = self._free_gb.get(kind.key.engine)
        if free_gb is None:
            return None
        line = self.costs.memory_line(kind.key.engine, kind.family, kind.controls, self.tables.get(kind.key.engine))
        return Memory(free_gb, line, kind.units_per_item)

    def _trials(self, signature: int) -> Trials:
        return self.trials.get(signature) or first_trials(self.kinds[signature].controls)

    def _forget_answers(self) -> None:
        self._loads_s.clear()
        self._lines.clear()
        self._sizes.clear()
