"""What is loaded on a GPU, what that costs, and which model gives way to another."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from stoker_daemon.scheduling.turns import Turns

JOIN, AND = " + ", " & "
"""In a residency, before each file that is put on the heavy weights, and between these where they are several."""


class Key(NamedTuple):
    """What a run needs loaded: `base & refiner + lora + vae`, the heavy weights and what is put on them."""

    engine: str
    residency: str

    @property
    def heavy(self) -> str:
        """The heavy weights; empty for what is only put on some."""
        return self.residency.partition(JOIN)[0]

    @property
    def files(self) -> list[str]:
        """All that make it up."""
        return [file for part in self.residency.split(JOIN) for file in part.split(AND)]

    def missing(self, residents: Sequence["Key"]) -> "Key":
        """What is loaded for it where these are: all, or with its heavy weights there only what is put on them."""
        heavy = self.heavy
        if self in residents or not any(each.heavy == heavy and each.engine == self.engine for each in residents):
            return self
        return Key(self.engine, JOIN + self.residency[len(heavy) + len(JOIN) :])


@dataclass(frozen=True, slots=True)
class Pins:
    """Models that stay as long as anything else can give way; where several make up what is loaded, one is enough."""

    models: frozenset[Key] = frozenset()

    def __contains__(self, key: object) -> bool:
        if not self.models or not isinstance(key, Key):
            return False
        return key in self.models or any(Key(key.engine, part) in self.models for part in (key.heavy, *key.files))

    def of(self, engine: str) -> int:
        """How many an engine has."""
        return sum(key.engine == engine for key in self.models)


NO_PINS = Pins()


class Costs(Protocol):
    """What is known of models, in seconds and GB."""

    def load_s(self, key: Key, /) -> float: ...

    def size_gb(self, key: Key, /) -> float: ...


class Estimates(Costs, Protocol):
    """What is known of work too; `batch` is how many of the ready items had best share a run."""

    def run_s(self, signature: int, items: int, /) -> float: ...

    def batch(self, signature: int, ready: int, at_most_s: float, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Gpu:
    """What is loaded, the last used last, and what the policy remembers of its own decisions.

    At most `slots` models fit, `room_gb` together. `worked_s`: how long this visit ran items. `patience`: how many
    times a load counts. `demand`: each model's share of what arrived lately. `tokens` pay for cut-ins: at first, all
    that there may be. `turns`: who had them, where clients take turns.
    """

    residents: tuple[Key, ...] = ()
    slots: int = 1
    room_gb: float = float("inf")
    pinned: Container[Key] = NO_PINS
    worked_s: float = 0.0
    patience: float = 1.0
    demand: Mapping[Key, float] = field(default_factory=dict[Key, float])
    tokens: float = float("inf")
    tokens_at_s: float = 0.0
    urgent_at_s: float = float("-inf")
    turns: Turns = ()


def switch_s(key: Key, residents: Sequence[Key], estimates: Costs) -> float:
    """Seconds to have a model that is not there where these are: no more than all of it takes."""
    missing, all_s = key.missing(residents), estimates.load_s(key)
    return all_s if missing == key else min(all_s, estimates.load_s(missing))


def make_room(key: Key, gpu: Gpu, estimates: Costs, wanted: Container[Key]) -> tuple[Key, ...]:
    """Which models give way to `key`: those whose reload is expected to cost least for each GB that they free.

    One that is `wanted` will surely be loaded again, another as likely as its share of the demand. Pinned ones stay,
    unless there is nothing else to give way.
    """
    number = len(gpu.residents)
    if number < gpu.slots and gpu.room_gb == float("inf"):
        return ()
    if number == 1 and gpu.slots == 1:
        return gpu.residents

    def cost(victim: Key) -> tuple[bool, float]:
        likely = 1.0 if victim in wanted else gpu.demand.get(victim, 0.0)
        return victim in gpu.pinned, likely * estimates.load_s(victim) / max(estimates.size_gb(victim), 1e-3)

    needed_gb = estimates.size_gb(key) + sum(estimates.size_gb(each) for each in gpu.residents) - gpu.room_gb
    evicts: list[Key] = []
    for victim in sorted(gpu.residents, key=cost):
        if number < gpu.slots and needed_gb <= 0:
            break
        evicts.append(victim)
        number -= 1
        needed_gb -= estimates.size_gb(victim)
    return tuple(evicts)
