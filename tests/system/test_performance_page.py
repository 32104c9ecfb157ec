"""docs/performance.md: what the newest result says, in words for people, with what is lost and why."""

import re
import sys
from pathlib import Path

import pytest
from benchmarks import reasons
from benchmarks.core.figures import Comparison, Figure, Findings, medians, ratio
from benchmarks.document import DOCUMENT, document
from benchmarks.machine import facts, kind
from benchmarks.results import PartResult, Result, agreement, newest, save

EMBEDDED = reasons.ahead("huey", "memory")
MACHINE = {
    "cores": 2,
    "processor": "AMD EPYC 7763 64-Core Processor",
    "memory_gib": 23,
    "kernel": "6.1",
    "file_system": "ext4",
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "libzmq": "4.3.5",
    "load_before": 0.1,
}


def test_the_page_is_what_the_newest_result_says() -> None:
    """We expect the page to be made from the newest result that is kept, and no page where none is."""
    file = newest()
    assert DOCUMENT.exists() == (file is not None)
    if file is not None:
        assert DOCUMENT.read_text(encoding="utf-8") == document(Result.read(file))


def test_targets_missed_are_told_with_the_reason() -> None:
    """We expect each target with what was found and its range, and why one is missed."""
    page = document(_result(_findings()))
    assert "1 of 2 targets are met." in page
    assert "| submit one by one, to limit | 0.50 (0.40 to 0.60) | >= 0.8 | **no** |" in page
    assert "- submit one by one, to limit: what a submit can't do without costs more" in page
    assert "| growth | 1.00 MiB | <= 5 | yes | of ten looks |" in page
    assert "- growth" not in page


def test_where_a_peer_is_ahead() -> None:
    """We expect peers that are faster, or need less, to be named with the reason, and the limit not to count."""
    page = document(_result(_findings()))
    _, _, rest = page.partition("Where a peer is ahead of Stoker, and why:")
    ahead, _, _ = rest.partition("##")
    assert [line for line in ahead.splitlines() if line] == [
        f"- **huey**: one by one 2.00 of Stoker's (1.50 to 2.00), memory 0.80 of Stoker's (0.80 to 0.80): {EMBEDDED}."
    ]
    assert "| celery | 50.0 (0.50; 0.50 to 0.50) |" in page


def test_what_stoker_is_the_fastest_at() -> None:
    """We expect no claim where a service was faster in one round; an embedded queue is none."""
    claim = "Of the durable queue services in Python, Stoker is the fastest in each round at: "
    assert f"{claim}one by one." in document(_result(_findings()))
    faster = Comparison("one by one", "/s", {"stoker": [100.0, 100.0], "rq": [101.0, 50.0]})
    assert f"{claim}nothing." in document(_result(Findings([], [faster])))


def test_a_busy_machine_is_told() -> None:
    """We expect the page to warn of figures from a machine that had other work, and not of those from a quiet one."""
    busy = _result(_findings())
    busy.machine["load_before"] = 6.5
    assert "**The machine was busy** (load 6.5 before the run)" in document(busy)
    assert "was busy" not in document(_result(_findings()))


def test_reasons_lead_to_decisions_that_exist() -> None:
    """We expect each page that a reason names to be there."""
    named = re.findall(r"\(([\w/.-]+\.md)\)", " ".join([*reasons.UNMET.values(), *reasons.AHEAD.values()]))
    assert named
    assert [name for name in named if not (DOCUMENT.parent / name).is_file()] == []


def test_what_was_left_out_or_failed() -> None:
    """We expect the page to say which peers were left out, and which parts did not work, and why."""
    parts = {"keys": PartResult(1.0, [90.0, 110.0], failed="TimeoutError: no answer")}
    page = document(_result(_findings(), parts))
    assert "- left out: procrastinate: initdb is not installed" in page
    assert "- What keys cost: TimeoutError: no answer" in page


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    """We expect a result to be the same when it is read again, in a file named by time and kind of machine."""
    result = _result(_findings())
    assert result.name == "2026-11-30-1940-2-cores-amd-epyc.json"
    assert Result.read(save(result, tmp_path / result.name)) == result
    later = tmp_path / "2026-12-01-0000-2-cores-amd-epyc.json"
    later.touch()
    assert newest(tmp_path) == later


@pytest.mark.parametrize(
    ("rounds", "overlaps", "within"), [([0.5, 0.6, 0.9], 1, 1), ([0.6, 0.7, 0.8], 1, 0), ([0.7, 0.8, 0.9], 0, 0)]
)
def test_two_runs_agree_where_their_ranges_overlap(rounds: list[float], overlaps: int, within: int) -> None:
    """We expect two runs to be told as agreeing where the ranges of a ratio overlap, and apart where they do not."""
    earlier = _result(Findings([ratio("rate", [0.4, 0.5, 0.6], [1, 1, 1], ">=", None)]))
    said = agreement(earlier, _result(Findings([ratio("rate", rounds, [1, 1, 1], ">=", None)])))
    assert f"of 1 ranges {overlaps} overlap, and {within} medians are within the earlier range" in said
    assert ("apart: rate: 0.40 to 0.60, now 0.70 to 0.90" in said) == (overlaps == 0)


def test_facts_of_a_machine_tell_no_name(tmp_path: Path) -> None:
    """We expect what is said of this machine to make a name for files, and to have all that the page shows."""
    machine = facts(tmp_path)
    assert machine.keys() == MACHINE.keys()
    assert kind(machine).startswith(f"{machine['cores']}-cores-")
    assert sys.version.startswith(machine["python"])


def test_portions_of_a_run() -> None:
    """We expect as many medians as there are rounds, each of its own portion in order."""
    assert medians([1, 2, 3, 10, 20, 30, 99], 2) == [2, 20]


def _findings() -> Findings:
    rates = {"stoker": [100.0] * 3, "limit": [300.0] * 3, "huey": [200.0, 200.0, 150.0], "celery": [50.0] * 3}
    figures = [
        Figure("submit one by one, to limit", 0.5, "", ">=", 0.8, "", 0.4, 0.6),
        Figure("growth", 1.0, "MiB", "<=", 5, "of ten looks"),
    ]
    comparisons = [
        Comparison("one by one", "/s", rates),
        Comparison("memory", "MiB", {"stoker": [50.0], "huey": [40.0], "celery": [90.0]}),
    ]
    return Findings(figures, comparisons, {"procrastinate": "initdb is not installed"}, {"stoker": "all of it"})


def _result(findings: Findings, more: dict[str, PartResult] | None = None) -> Result:
    parts = {"peers": PartResult(1.0, [100.0, 120.0], findings), **(more or {})}
    return Result("2026-11-30T19:40", "abc1234", 3, dict(MACHINE), parts)
