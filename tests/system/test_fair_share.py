"""Two clients with work of one priority for one model: in turns, or one after the other."""

from pathlib import Path

import pytest
from tests.system.locked import REQUIRE, Locked, a_locked_daemon
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_protocol.plans import Delay

MANY, FEW, AT_ONCE = 200, 5, 8
FAIR = "\n[scheduling]\nfair_share = true\n"


def submit(client: Client, prompt: str, items: int, folder: Path) -> str:
    """A job of so many items, whose executions are counted."""
    params = {"log": str(folder / "log")}
    return client.submit([prompt] * items, params=params, batch_size=AT_ONCE).job_id


def planned(locked: Locked, names: dict[str, str]) -> str:
    """Whose items are to run, in order."""
    with locked.client(locked.chief) as chief:
        runs = [run for wave in chief.plan().waves for run in wave.runs]
        return "".join(names[share.job_id] * share.items for run in runs for share in run.shares)


def executed(folder: Path) -> str:
    """Whose items did run, in order."""
    return "".join(line.partition(" ")[2] for line in (folder / "log").read_text().splitlines())


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (FAIR, "a" * 8 + "b" * 5 + "a" * 192),
        ("", "a" * 200 + "b" * 5),
    ],
    ids=["in turns", "as they came"],
)
def test_a_small_job_beside_a_large_one(tmp_path: Path, tail: str, expected: str) -> None:
    """We expect the second run to be the other client's where they take turns, planned and done, else the last one."""
    with (
        a_locked_daemon(tmp_path, REQUIRE, tail) as locked,
        locked.client(locked.ann) as ann,
        locked.client(locked.bob) as bob,
        locked.client(locked.chief) as chief,
    ):
        chief.pause()
        jobs = [submit(ann, "a", MANY, tmp_path), submit(bob, "b", FEW, tmp_path)]
        assert planned(locked, dict(zip(jobs, "ab", strict=True))) == expected
        chief.resume()
        assert [chief.wait(job, BOUND_S).state for job in jobs] == ["succeeded"] * 2
    assert executed(tmp_path) == expected


def test_why_it_is_not_ones_turn(tmp_path: Path) -> None:
    """We expect somebody whose work came first to be told whose turn it is, and that he had one."""
    with (
        a_locked_daemon(tmp_path, REQUIRE, FAIR) as locked,
        locked.client(locked.ann) as ann,
        locked.client(locked.bob) as bob,
    ):
        gate = tmp_path / "gate"
        ann.submit([{"params": {"prompt": "held", "gate": str(gate)}}], batch_size=1)
        wait_for(Path(f"{gate}.reached").exists)
        jobs = [client.submit(["next"], batch_size=1).job_id for client in (ann, bob)]
        said = [ann.why(job) for job in jobs]
        gate.touch()
        assert [ann.wait(job, BOUND_S).state for job in jobs] == ["succeeded"] * 2
    assert [each.delay for each in said] == [Delay.BEHIND, Delay.NEXT]
    assert all("it is bob's turn, ann had one" in each.text for each in said)
