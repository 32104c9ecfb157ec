"""`stoker selftest`: the ordeal with a real daemon, the same for the same seed, and it must be able to fail."""

from pathlib import Path
from random import Random

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import run_process

from stoker_client.cli import ordeal


def test_all_is_kept_through_the_ordeal(tmp_path: Path) -> None:
    """We expect every claim to hold through twelve kills, and the folder to be gone."""
    ran = run_process("selftest", "--crash", "--seed", "7", "--dir", str(tmp_path), "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["ok"], ran.json["seed"], len(ran.json["claims"])) == (True, 7, 6)
    assert ran.json["kills"] == {"daemon": 5, "worker": 4, "submit": 3}
    assert list(tmp_path.iterdir()) == []


def test_the_figures_add_up(stoker: Stoker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect the items that came under fire to be told as well, so that what is counted was all announced."""
    monkeypatch.setattr(ordeal, "BLOWS", ("daemon", "worker", "submit"))
    monkeypatch.setattr(ordeal, "JOBS", 1)
    monkeypatch.setattr(ordeal, "ITEMS", 48)
    monkeypatch.setattr(ordeal, "EVENTS", range(6, 20))
    out = stoker("selftest", "--crash", "--dir", str(tmp_path)).out
    assert "48 items accepted" in out
    assert "4 items more accepted, 52 in all" in out
    assert "52 prompts, 52 results" in out


def test_what_is_lost_is_found(stoker: Stoker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect exit code 1, the claims that do not hold, and the folder kept, when an output has gone."""
    work = ordeal._Ordeal.work

    def work_and_lose(self: ordeal._Ordeal) -> None:
        work(self)
        next(tmp_path.glob("*/outputs/*/*/images/*.png")).unlink()

    monkeypatch.setattr(ordeal._Ordeal, "work", work_and_lose)
    ran = stoker("selftest", "--dir", str(tmp_path), "--json")
    assert ran.code == 1
    assert [claim["holds"] for claim in ran.json["claims"]] == [True, True, False, False, True, False]
    assert ran.json["kills"] == {"daemon": 0, "worker": 0, "submit": 0}
    assert Path(ran.json["directory"]).is_dir()


def test_a_seed_says_where_the_blows_fall(tmp_path: Path) -> None:
    """We expect the same blows for one seed and others for another."""

    def blows(seed: int) -> list[tuple[int, str]]:
        daemon = ordeal.PrivateDaemon(tmp_path)
        with ordeal.Client("tcp://127.0.0.1:1") as client:
            return ordeal._Ordeal(daemon, client, Random(seed), ordeal.BLOWS, print)._blows

    assert blows(7) == blows(7) != blows(8)
    assert sorted(victim for _, victim in blows(7)) == sorted(ordeal.BLOWS)
