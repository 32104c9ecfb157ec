"""What lanes learned of costs outlives their daemon."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from stoker_daemon.execution.learning import Learning
from stoker_daemon.ports import JobStore
from stoker_protocol.errors import ErrorCode, Refused


@dataclass
class Store:
    """Keeps texts, unless it is full."""

    kept: dict[str, str] = field(default_factory=dict[str, str])
    writes: int = 0
    is_full: bool = False

    async def remember(self, key: str, text: str) -> None:
        if self.is_full:
            raise Refused(ErrorCode.STORAGE_UNAVAILABLE, "full")
        self.writes += 1
        self.kept[key] = text

    async def recall(self, key: str) -> str | None:
        return self.kept.get(key)


@dataclass
class Learner:
    """Knows a number."""

    number: int = 0

    def learned(self) -> bytes:
        return str(self.number).encode()

    def recall(self, costs: bytes) -> None:
        self.number = int(costs)


def learning(store: Store, **learners: Learner) -> Learning:
    """For these learners."""
    return Learning(cast("JobStore", store), learners)


def test_what_was_learned_is_known_to_the_next() -> None:
    """We expect each lane's own, written once for each change."""
    store = Store()
    first = learning(store, gpu=Learner(7), other=Learner(8))
    for _ in range(3):
        asyncio.run(first.keep())
    assert store.writes == 2
    gpu, other = Learner(), Learner()
    asyncio.run(learning(store, gpu=gpu, other=other).recall())
    assert (gpu.number, other.number) == (7, 8)


def test_nothing_is_lost_to_a_full_disk_or_to_nonsense() -> None:
    """We expect a write that failed to be made up for, and what can't be read to be learned anew."""
    store = Store(is_full=True)
    first = learning(store, gpu=Learner(7))
    asyncio.run(first.keep())
    store.is_full = False
    asyncio.run(first.keep())
    (key,) = store.kept
    store.kept[key] = "nonsense"
    gpu = Learner(3)
    asyncio.run(learning(store, gpu=gpu).recall())
    assert gpu.number == 3
