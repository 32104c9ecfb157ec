"""`stoker demo`: the story with a real daemon, and the proof, which must be able to fail."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import PATIENCE_S, Ran, run_process
from tests.fakes.daemon import FakeDaemon

from stoker_client.cli import story
from stoker_client.cli.proof import Claim, each_seen_once, prove
from stoker_client.cli.story import Told
from stoker_client.sync_client import Client
from stoker_protocol.jobs import Artifact, Item, ItemState, Job

BARE = """\
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name, *more: None if name == "structlog" else find(name, *more)
from stoker_client.cli import main
main()
"""


def test_the_story_ends_with_the_proof(tmp_path: Path) -> None:
    """We expect three whole jobs and a cancelled one across the kill, every claim to hold, and the pictures."""
    ran = run_process("demo", "--dir", str(tmp_path), "--json")
    assert ran.code == 0, ran.err
    assert ran.json["ok"]
    assert sorted(job["state"] for job in ran.json["jobs"]) == ["cancelled", "succeeded", "succeeded", "succeeded"]
    assert len(ran.json["claims"]) == 4
    assert len(list(tmp_path.glob("outputs/*/*/images/*.png"))) == 36
    log = (tmp_path / "stokerd.log").read_text()
    assert log.count('"event": "ready"') == 2
    assert "a run was cut short" in log
    assert run_process("ping", "--timeout", "0.3", endpoint=control_of(log)).code == 5


def test_the_pictures_are_one_click_away(
    stoker: Stoker, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """We expect the page of each job that made something, in full, and of no other."""
    pages = [tmp_path / f"outputs/2026-01-31/{job_id}/index.html" for job_id in ("bestiary-1", "mistake-2")]
    jobs: list[Job] = []
    for page, state in zip(pages, ("succeeded", "cancelled"), strict=True):
        page.parent.mkdir(parents=True)
        page.touch()
        daemon.add_job(page.parent.name, name="a name")
        jobs.append(daemon.finish(page.parent.name, state))

    def tell_story(*_: object) -> Told:
        return Told(jobs, [])

    monkeypatch.setattr(story, "tell_story", tell_story)
    out = stoker("demo", "--dir", str(tmp_path)).out
    assert re.search(rf"^a name +{re.escape(str(pages[0]))}$", out, re.MULTILINE)
    assert str(pages[1]) not in out
    assert f"All of it is in {tmp_path} (0 B), to be looked at; remove it when you like." in out


@pytest.mark.parametrize("is_found", [True, False])
def test_the_next_commands_can_be_typed(
    stoker: Stoker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_found: bool
) -> None:
    """We expect the environment to be activated first, but only where the shell does not find the commands."""

    def tell_story(*_: object) -> Told:
        return Told([], [])

    monkeypatch.setattr(story, "tell_story", tell_story)
    for name in ("activate", "python", "stokerd"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path) if is_found else str(tmp_path / "elsewhere"))
    _, _, steps = stoker("demo", "--dir", str(tmp_path / "place")).out.partition("TRY NEXT")
    commands = [line.split("  ")[0] for line in steps.splitlines()[1:]]
    assert commands == [
        *([] if is_found else [f". {tmp_path / 'activate'}"]),
        "stokerd",
        'stoker generate "a teal dragon" -n 8 --wait',
        "stoker status",
    ]


def test_a_proof_that_fails_is_no_success(stoker: Stoker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """We expect exit code 1 and the claim that does not hold, to scripts and to people."""
    told = Told(
        [], [Claim("all is there", holds=False, figures="1 of 2"), Claim("whole", holds=True, figures="1 of 1")]
    )

    def tell_story(*_: object) -> Told:
        return told

    monkeypatch.setattr(story, "tell_story", tell_story)
    ran = stoker("demo", "--dir", str(tmp_path), "--json")
    assert (ran.code, ran.json["ok"]) == (1, False)
    ran = stoker("demo", "--dir", str(tmp_path))
    assert ran.code == 1
    assert re.search(r"^NO +all is there +1 of 2$", ran.out, re.MULTILINE)


def control_of(log: str) -> str:
    """The endpoint that a daemon's log tells."""
    return "tcp://" + log.partition('"control": ["tcp://')[2].partition('"')[0]


def test_the_demo_wants_a_directory_of_its_own(tmp_path: Path) -> None:
    """We expect a directory with somebody's queue to be left alone."""
    (tmp_path / "stoker.sqlite3").touch()
    ran = run_process("demo", "--dir", str(tmp_path))
    assert ran.code == 2
    assert [file.name for file in tmp_path.iterdir()] == ["stoker.sqlite3"]


def test_a_bare_install_says_what_to_install(tmp_path: Path) -> None:
    """We expect exit code 5 and the command that installs the daemon where only the client is."""
    done = subprocess.run(
        [sys.executable, "-c", BARE, "demo", "--dir", str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert ran.code == 5
    assert 'pip install "stoker[daemon]"' in ran.error["hint"]


@pytest.fixture
def place(daemon: FakeDaemon, tmp_path: Path) -> Path:
    """The data directory of a daemon that made two pictures for two prompts."""
    daemon.add_job("mine", 2)
    images = tmp_path / "outputs" / "today" / "mine" / "images"
    images.mkdir(parents=True)
    for index in range(2):
        (images / f"{index}.png").write_bytes(bytes([index]))
    daemon.world.items["mine"] = [item(index) for index in range(2)]
    return tmp_path


def item(index: int) -> Item:
    """An item that made its picture."""
    sha256 = hashlib.sha256(bytes([index])).hexdigest()
    artifact = Artifact(index, index, 0, f"outputs/today/mine/images/{index}.png", "image/png", sha256, 1)
    return Item(index=index, state=ItemState.SUCCEEDED, attempts=1, artifacts=[artifact])


def lose_a_file(_: FakeDaemon, images: Path) -> None:
    """A picture is gone."""
    (images / "0.png").unlink()


def double_a_file(_: FakeDaemon, images: Path) -> None:
    """There is a picture that nobody recorded."""
    (images / "1 again.png").write_bytes(b"")


def tear_a_file(_: FakeDaemon, images: Path) -> None:
    """A picture is not whole."""
    (images / "1.png").write_bytes(b"")


def fail_an_item(daemon: FakeDaemon, _: Path) -> None:
    """A prompt has no result."""
    daemon.world.items["mine"][1] = Item(index=1, state=ItemState.FAILED, attempts=1)


def record_a_file_twice(daemon: FakeDaemon, _: Path) -> None:
    """A result is recorded for two prompts."""
    first, second = daemon.world.items["mine"]
    daemon.world.items["mine"][1] = structs.replace(second, artifacts=first.artifacts)


def test_the_proof_holds(daemon: FakeDaemon, place: Path) -> None:
    """We expect every claim to hold where one picture for each prompt is there, whole."""
    with Client(daemon.control) as client:
        assert all(claim.holds for claim in prove(client, place, {"mine": 2}))


@pytest.mark.parametrize(
    ("harm", "broken"),
    [
        (lose_a_file, {1, 2}),
        (double_a_file, {1}),
        (tear_a_file, {2}),
        (fail_an_item, {0, 1}),
        (record_a_file_twice, {1}),
    ],
)
def test_the_proof_can_fail(
    daemon: FakeDaemon, place: Path, harm: Callable[[FakeDaemon, Path], None], broken: set[int]
) -> None:
    """We expect each kind of harm to break the claims that it contradicts, and no other."""
    harm(daemon, place / "outputs" / "today" / "mine" / "images")
    with Client(daemon.control) as client:
        claims = prove(client, place, {"mine": 2})
    assert {number for number, claim in enumerate(claims) if not claim.holds} == broken


@pytest.mark.parametrize(
    ("seen", "holds"),
    [
        ({("mine", 0): 1, ("mine", 1): 1}, True),
        ({("mine", 0): 1}, False),
        ({("mine", 0): 1, ("mine", 1): 2}, False),
        ({("mine", 0): 1, ("mine", 1): 1, ("mine", 2): 1}, False),
    ],
)
def test_a_watch_that_missed_something_shows(seen: dict[tuple[str, int], int], holds: bool) -> None:
    """We expect endings that were missed, seen twice or never asked for to break the claim."""
    assert each_seen_once(seen, {"mine": 2}).holds is holds
