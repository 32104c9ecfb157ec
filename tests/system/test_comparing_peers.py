"""Peers beside each other: all in turns, and who can't be measured is left out of all rounds."""

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.core.figures import Findings, Setting
from benchmarks.peers import comparing
from benchmarks.peers.contenders import Peer, Unavailable
from benchmarks.peers.work import Found, Order


class Fake(Peer):
    """Does one thing at a given rate, or says why it can't."""

    does = "nothing much"

    def __init__(self, name: str, rate: float, seen: list[str], fails_at: int = -1) -> None:
        self.name, self._rate, self._seen, self._fails_at = name, rate, seen, fails_at

    def version(self) -> str:
        return "1.0"

    def measure(self, folder: Path, order: Order) -> Found:
        assert list(folder.iterdir()) == []
        assert order.one_by_one > 0
        self._seen.append(self.name)
        if self._seen.count(self.name) == self._fails_at:
            raise Unavailable("it is tired")
        return {"one by one": self._rate}


def test_all_take_turns(tmp_path: Path) -> None:
    """We expect each round to have all of them once, forth and back, and their values to be in it."""
    seen: list[str] = []
    found = _compare(tmp_path, seen, 3, ("stoker", 100.0), ("limit", 200.0))
    assert seen == ["stoker", "limit", "limit", "stoker", "stoker", "limit"]
    rates = found.comparisons[0]
    assert (rates.name, rates.values) == ("one by one", {"stoker": [100.0] * 3, "limit": [200.0] * 3})
    assert [(figure.name, figure.value, figure.is_met) for figure in found.figures] == [
        ("submit one by one, to limit", 0.5, False)
    ]
    assert found.contenders["limit"] == "1.0; nothing much"


def test_who_fails_later_is_left_out_of_all(tmp_path: Path) -> None:
    """We expect a peer that fails in a later round to be left out with the reason, and not to be asked again."""
    seen: list[str] = []
    found = _compare(tmp_path, seen, 4, ("stoker", 100.0), ("huey", 50.0), fails_at={"huey": 2})
    assert seen.count("huey") == 2
    assert found.left_out == {"huey": "it is tired"}
    assert [comparison.values.keys() for comparison in found.comparisons] == [{"stoker"}] * 2
    assert found.contenders.keys() == {"stoker"}


def test_no_round_begins_that_there_is_no_time_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect the first round whatever it takes, and those left out told that there is no time for."""
    monkeypatch.setattr(comparing, "ROUNDS_S", 0.0)
    seen: list[str] = []
    found = _compare(tmp_path, seen, 5, ("stoker", 100.0), ("limit", 200.0))
    assert seen == ["stoker", "limit"]
    assert [what for what, _ in found.left_out.items()] == ["4 of 5 rounds"]
    assert found.comparisons[0].values == {"stoker": [100.0], "limit": [200.0]}


def _compare(
    folder: Path, seen: list[str], rounds: int, *peers: tuple[str, float], fails_at: dict[str, int] | None = None
) -> Findings:
    makers: dict[str, Callable[[], Peer]] = {
        name: lambda name=name, rate=rate: Fake(name, rate, seen, (fails_at or {}).get(name, -1))
        for name, rate in peers
    }
    found = comparing.compare(makers, Setting(folder, rounds, quick=False))
    assert list(folder.iterdir()) == []
    return found
