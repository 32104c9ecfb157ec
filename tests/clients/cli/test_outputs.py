"""`stoker outputs`: what is on disk, in words and for scripts, and a removal that asks first."""

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import terminal
from tests.fakes.daemon import FakeDaemon

from stoker_protocol.requests import CleanOutputs


@pytest.fixture
def jobs(daemon: FakeDaemon) -> list[str]:
    """Three jobs with two files of 1500 bytes each."""
    names = [f"job-{number}" for number in range(3)]
    for name in names:
        daemon.add_job(name)
        for output in range(2):
            daemon.add_artifact(name, f"{output}.png", bytes(1500))
    return names


def left(daemon: FakeDaemon) -> int:
    """How many files the daemon still has."""
    return len(daemon.world.files)


def test_jobs_are_listed(stoker: Stoker, jobs: list[str]) -> None:
    """We expect a line for each job with its folder and size, and for scripts the same."""
    out = stoker("outputs", "list").out
    assert [name for name in jobs if f"outputs/{name}" in out] == jobs
    assert out.count("3 KiB") == 3
    shape = stoker("outputs", "list", "--json").json
    assert [(one["job_id"], one["artifacts"], one["bytes"]) for one in shape["jobs"]] == [(n, 2, 3000) for n in jobs]


def test_a_long_list_is_cut(stoker: Stoker, jobs: list[str]) -> None:
    """We expect at most the asked number of jobs, and to hear that there are more."""
    assert "There are more; --limit 10 shows them." in stoker("outputs", "list", "--limit", "2").out
    shape = stoker("outputs", "list", "--limit", "2", "--json").json
    assert [one["job_id"] for one in shape["jobs"]] == jobs[:2]
    assert shape["more"] is True


def test_files_of_one_job(stoker: Stoker, jobs: list[str]) -> None:
    """We expect the folder and each file below it."""
    out = stoker("outputs", "list", jobs[1]).out
    assert out.startswith("outputs/job-1\n")
    assert "images/1.png" in out
    assert [file["bytes"] for file in stoker("outputs", "list", jobs[1], "--json").json["files"]] == [1500, 1500]


def test_nothing_on_disk(stoker: Stoker) -> None:
    """We expect plain words where there is nothing."""
    assert stoker("outputs", "list").out == "No job has files.\n"
    assert stoker("outputs", "clean", "--older-than", "1d").out == "There is nothing to remove.\n"


@pytest.mark.usefixtures("jobs")
def test_totals_and_disk(stoker: Stoker) -> None:
    """We expect the sums and the room that is left."""
    assert "6 files, 9 KiB in all. The disk has 400 B free of 1000 B (40 %)." in stoker("outputs", "stats").out
    shape = stoker("outputs", "stats", "--json").json
    assert (shape["artifacts"], shape["bytes"], shape["disk"]) == (6, 9000, {"total": 1000, "free": 400})


@pytest.mark.usefixtures("jobs")
def test_a_dry_run_removes_nothing(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect to hear what would go, and all of it to be there still."""
    ran = stoker("outputs", "clean", "--older-than", "30d", "--dry-run")
    assert (ran.code, ran.out) == (0, "Would remove 6 files (9 KiB) of 3 jobs.\n")
    assert left(daemon) == 6


@pytest.mark.usefixtures("jobs")
def test_without_a_yes_nothing_goes(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect a script that did not say --yes to be refused, with what it would have removed."""
    ran = stoker("outputs", "clean", "--older-than", "30d", "--json")
    assert ran.code == 2
    assert "6 files" in ran.error["message"]
    assert "--yes" in ran.error["message"]
    assert left(daemon) == 6


@pytest.mark.usefixtures("jobs")
def test_a_yes_removes(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect all old files to be gone, and the sum to be told."""
    shape = stoker("outputs", "clean", "--older-than", "30d", "--yes", "--json").json
    assert shape == {"jobs": 3, "artifacts": 6, "bytes": 9000, "dry_run": False}
    assert left(daemon) == 0


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(("answer", "kept"), [("n\n", 6), ("y\n", 0)])
def test_a_person_is_asked(daemon: FakeDaemon, answer: str, kept: int) -> None:
    """We expect the question to name what goes, and the answer to be obeyed."""
    with terminal("outputs", "clean", "--older-than", "2w", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "Remove 6 files (9 KiB) of 3 jobs for good?" in screen)
        shown.type(answer)
        assert shown.end() == 0
        shown.wait_for(lambda screen: ("Nothing was removed" if kept else "Removed 6 files") in screen)
    assert left(daemon) == kept


@pytest.mark.parametrize("text", ["30", "d", "-1d", "1y", "1e3d", "", "9999999d"])
def test_what_is_no_age(stoker: Stoker, text: str) -> None:
    """We expect a mistyped age to be refused with examples."""
    ran = stoker("outputs", "clean", "--older-than", text, "--yes")
    assert ran.code == 2
    assert "8w is one" in ran.err


@pytest.mark.parametrize(("text", "ms"), [("90s", 90_000), ("1.5h", 5_400_000), ("30d", 2_592_000_000), ("0s", 0)])
def test_ages(stoker: Stoker, daemon: FakeDaemon, text: str, ms: int) -> None:
    """We expect seconds to weeks to be understood."""
    stoker("outputs", "clean", "--older-than", text, "--dry-run")
    assert [request.older_than_ms for request in daemon.requests if isinstance(request, CleanOutputs)] == [ms]
