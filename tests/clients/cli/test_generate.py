"""`stoker generate`: what is typed is what is submitted."""

from pathlib import Path
from typing import Any

import pytest
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import run_process
from tests.fakes.daemon import FakeDaemon

from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import MAX_SEED
from stoker_protocol.requests import Submit


def submitted(daemon: FakeDaemon) -> Submit:
    """The last submit that the daemon got."""
    return next(request for request in reversed(daemon.requests) if isinstance(request, Submit))


def items(daemon: FakeDaemon) -> list[dict[str, Any]]:
    """The parameters of the items of the last submit."""
    return [codec.unpack_map(item.params) for item in submitted(daemon).items]


def seeds(daemon: FakeDaemon) -> list[int | None]:
    """The seeds of the items of the last submit."""
    return [item.get("seed") for item in items(daemon)]


def test_the_id_is_that_of_the_job(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that `--json` prints the id of the job that the daemon has."""
    ran = stoker("generate", "a dragon", "--json")
    assert ran.code == 0
    assert [ran.json["job_id"]] == list(daemon.world.jobs)


def test_every_prompt_is_an_item(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect that prompts come from arguments, options and the lines of a file, in this order, and only they."""
    file = tmp_path / "prompts.txt"
    file.write_text("\ufeffan owl\n\n  a fox  \n", encoding="utf-8")
    stoker("generate", "a dragon", "--prompt", "a knight", "--prompt", "a slime", "--prompts-file", str(file))
    wanted = ["a dragon", "a knight", "a slime", "an owl", "a fox"]
    assert items(daemon) == [{"prompt": prompt} for prompt in wanted]
    assert codec.unpack(submitted(daemon).params) == {}


def test_prompts_come_from_a_pipe(daemon: FakeDaemon) -> None:
    """We expect that `--prompts-file -` reads the standard input, in any language."""
    ran = run_process("generate", "--prompts-file", "-", endpoint=daemon.control, stdin="ein Drache\n一只狐狸\n")
    assert ran.code == 0
    assert [item["prompt"] for item in items(daemon)] == ["ein Drache", "一只狐狸"]


def test_options_are_parameters(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that each option arrives in its field under its name."""
    stoker(
        *("generate", "x", "--engine", "sprites", "--model", "neon", "--priority", "high", "--name", "a name"),
        *("--size", "64x32", "--steps", "9", "--seed", "7", "--batch-size", "4", "--meta", "shot=007"),
    )
    request = submitted(daemon)
    assert (request.engine, request.model, request.priority, request.name) == ("sprites", "neon", "high", "a name")
    assert request.batch_size == 4
    assert codec.unpack(request.params) == {"width": 64, "height": 32, "steps": 9}
    assert items(daemon) == [{"prompt": "x", "seed": 7}]
    assert codec.unpack(request.metadata) == {"shot": "007"}


def test_one_number_is_a_square(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that `--size 48` means 48 by 48."""
    stoker("generate", "x", "--size", "48")
    assert codec.unpack(submitted(daemon).params) == {"width": 48, "height": 48}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("18446744073709551615", 2**64 - 1),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("walk", "walk"),
        ("a=b", "a=b"),
        ("", ""),
        ("nan", "nan"),
        ("1_000", "1_000"),
    ],
)
def test_values_have_the_type_they_look_like(stoker: Stoker, daemon: FakeDaemon, text: str, value: object) -> None:
    """We expect that `--set` sends numbers, truths and text as what they look like."""
    stoker("generate", "x", "--set", f"some={text}")
    sent = codec.unpack(submitted(daemon).params)["some"]
    assert (sent, type(sent)) == (value, type(value))


def test_copies_count_seeds_up(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that with a seed the copies of each prompt have that seed and the next ones."""
    stoker("generate", "a", "b", "-n", "3", "--seed", "100")
    assert [(item["prompt"], item["seed"]) for item in items(daemon)] == [
        *(("a", 100), ("a", 101), ("a", 102)),
        *(("b", 100), ("b", 101), ("b", 102)),
    ]


def test_copies_without_a_seed_differ(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that copies without `--seed` get seeds that differ, others in another job."""
    stoker("generate", "a", "-n", "50")
    first = set(seeds(daemon))
    stoker("generate", "a", "-n", "50")
    assert None not in first
    assert len(first) == 50
    assert first.isdisjoint(seeds(daemon))


def test_one_copy_has_no_seed_of_ours(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that without `--seed` and copies the engine chooses the seed."""
    stoker("generate", "a")
    assert seeds(daemon) == [None]


def test_a_limit_takes_the_first(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that `--limit` submits the first items of all, and that a large one changes nothing."""
    stoker("generate", "a", "b", "-n", "4", "--seed", "1", "--limit", "5")
    assert [item["prompt"] for item in items(daemon)] == ["a", "a", "a", "a", "b"]
    stoker("generate", "a", "--limit", "99")
    assert len(items(daemon)) == 1


def test_the_same_command_is_the_same_job(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that a command repeated with its `--job-id` makes no second job, although seeds are drawn for it."""
    codes = [stoker("generate", "a", "-n", "9", "--job-id", "mine").code for _ in range(2)]
    assert codes == [0, 0]
    assert list(daemon.world.jobs) == ["mine"]


def test_another_command_under_an_id_is_a_conflict(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect exit code 4 when something else is submitted under a taken id."""
    stoker("generate", "a", "--job-id", "mine")
    ran = stoker("generate", "b", "--job-id", "mine", "--json")
    assert (ran.code, ran.error["code"]) == (4, "conflict")
    assert len(daemon.world.jobs) == 1


def test_a_dry_run_submits_nothing(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that `--dry-run` says what would happen, waits for nothing and makes no job."""
    ran = stoker("generate", "a", "-n", "3", "--dry-run", "--wait")
    assert ran.code == 0
    assert "3 items" in ran.out
    assert not daemon.world.jobs


def test_a_refusal_is_told_whole(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that a refused parameter is told with its field and hint, to people and to scripts."""
    refused = Refused(ErrorCode.BAD_REQUEST, "no parameter 'stebs'", field="params.stebs", hint="did you mean steps?")
    daemon.refuse("submit", refused, times=2)
    ran = stoker("generate", "a", "--set", "stebs=2", "--json")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.error == {
        "code": "bad_request",
        "message": "no parameter 'stebs'",
        "field": "params.stebs",
        "hint": "did you mean steps?",
    }
    told = stoker("generate", "a", "--set", "stebs=2").err
    assert "no parameter 'stebs'" in told
    assert "did you mean steps?" in told


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "Give a prompt"),
        (["a", "-n", "6000", "--prompt", "b"], "12000 items"),
        (["a", "-n", "2", "--seed", str(MAX_SEED)], str(MAX_SEED)),
        (["a", "--size", "big"], "64x32"),
        (["a", "--size", "64x"], "64x32"),
        (["a", "--set", "steps"], "NAME=VALUE"),
        (["a", "--set", f"x={2**64}"], "64 bits"),
        (["a", "--set", "x=1e999"], "too large"),
        (["a", "--meta", "=v"], "NAME=VALUE"),
        (["a", "--batch-size", "0"], "auto"),
        (["a", "--priority", "hgih"], "high"),
        (["a", "-n", "0"], "--count"),
        (["a", "--prompts-file", "/nowhere"], "/nowhere"),
    ],
)
def test_usage_is_explained(stoker: Stoker, daemon: FakeDaemon, args: list[str], told: str) -> None:
    """We expect exit code 2 with a word on what would do, and that nothing is sent."""
    ran = stoker("generate", *args)
    assert ran.code == 2
    assert told in ran.err
    assert not daemon.requests


def test_as_many_items_as_a_job_takes(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect that 10 000 items are submitted, also when a limit cuts more down to that."""
    stoker("generate", "a", "b", "-n", "6000", "--limit", "10000")
    assert len(items(daemon)) == 10_000
