"""`stoker status`, `items`, `engines` and `ping`: what scripts and people read."""

import re

from msgspec import structs
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.test_doctor import UNWELL
from tests.fakes.daemon import FakeDaemon

from stoker_protocol import codec
from stoker_protocol.jobs import Failure, Pause

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
COUNTS = {"total", "pending", "running", "succeeded", "failed", "rejected", "cancelled", "skipped"}


def test_a_job_has_its_promised_fields(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `status JOB --json` to have exactly the types and names that scripts rely on."""
    daemon.add_job("mine", 2, name="a name", metadata=codec.pack({"shot": 7}))
    shape = stoker("status", "mine", "--json").json
    assert set(shape.pop("items")) == COUNTS
    assert RFC_3339.fullmatch(shape.pop("created_at"))
    assert shape == {
        "job_id": "mine",
        "name": "a name",
        "state": "queued",
        "priority": "normal",
        "engine": "sprites",
        "model": "plain",
        "recipe": "",
        "max_concurrency": 0,
        "client": "local",
        "metadata": {"shot": 7},
        "paused": None,
        "started_at": None,
        "finished_at": None,
        "error": None,
    }


def test_a_failure_has_its_reason(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the error of a job with its kind and message, times where there are some, and who paused it."""
    pause = Pause("lunch", "ann", 1_000)
    daemon.add_job("mine", error=Failure("crash", "gone"), started_at_ms=0, finished_at_ms=1, paused=pause)
    shape = stoker("status", "mine", "--json").json
    assert shape["error"] == {"kind": "crash", "message": "gone"}
    assert shape["started_at"] == "1970-01-01T00:00:00.000Z"
    assert shape["finished_at"] == "1970-01-01T00:00:00.001Z"
    assert shape["paused"] == {"reason": "lunch", "author": "ann", "at": "1970-01-01T00:00:01.000Z"}


def test_the_queue_lists_unfinished_jobs(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect jobs, queue and daemon; finished jobs only with `--all`, over as many pages as it takes."""
    for number in range(7):
        daemon.add_job(f"job-{number}")
    daemon.finish("job-3")
    shape = stoker("status", "--json").json
    assert [job["job_id"] for job in shape["jobs"]] == [f"job-{number}" for number in (0, 1, 2, 4, 5, 6)]
    assert shape["queue"]["paused"] is None
    assert shape["daemon"]["instance_id"] == "db-1"
    assert len(stoker("status", "--all", "--json").json["jobs"]) == 7


def test_the_queue_says_that_it_is_paused(stoker: Stoker) -> None:
    """We expect a paused queue to be told with its reason and author, to scripts and to people."""
    stoker("pause", "--reason", "gaming")
    paused = stoker("status", "--json").json["queue"]["paused"]
    assert (paused["reason"], paused["author"]) == ("gaming", "local")
    assert "gaming" in stoker("status").out


def test_a_job_whose_engine_is_down_says_so(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect no job to seem to run, nor to have an end in sight, while its engine is down."""
    daemon.add_job("stuck", model="")
    daemon.add_job("other", engine="comfyui")
    daemon.answer_instead("health", UNWELL)
    lines = {line.split()[0]: line for line in stoker("status").out.splitlines() if line.startswith(("stuck", "other"))}
    assert "engine down" in lines["stuck"]
    assert "sprites" in lines["stuck"]
    assert "queued" in lines["other"]


def test_people_see_what_finished_last(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the table of people to have the running jobs, and below them the finished ones."""
    daemon.add_job("done")
    daemon.finish("done")
    daemon.add_job("at-work")
    daemon.start_run("at-work")
    out = stoker("status").out
    assert out.index("at-work") < out.index("Finished lately") < out.index("done")


def test_one_job_names_the_next_step(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect a job to say what can be done now: watch, fetch, retry or resume."""
    daemon.add_job("mine")
    assert "stoker watch mine" in stoker("status", "mine").out
    stoker("pause", "mine")
    assert "stoker resume mine" in stoker("status", "mine").out
    daemon.finish("mine")
    assert "stoker fetch mine" in stoker("status", "mine").out
    daemon.finish("mine", "failed")
    assert "stoker retry mine" in stoker("status", "mine").out


def test_all_jobs_are_listed_in_a_told_order(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `--all` to say where the newest job is, and to put it there."""
    for job_id in "abc":
        daemon.add_job(job_id)
        daemon.finish(job_id)
    _, _, listed = stoker("status", "--all").out.partition("All jobs, the newest last:\n")
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["a", "b", "c"]


def test_an_unknown_job_is_not_found(stoker: Stoker) -> None:
    """We expect exit code 3 and the error on the standard error stream only."""
    ran = stoker("status", "nope", "--json")
    assert (ran.code, ran.out, ran.error["code"]) == (3, "", "not_found")


def test_an_empty_queue_says_how_to_begin(stoker: Stoker) -> None:
    """We expect no empty table but the command that makes a job."""
    assert "stoker generate" in stoker("status").out


def test_names_cannot_steer_the_terminal(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect control characters that others wrote into a name to be harmless."""
    daemon.add_job("mine", name="red\x1b[31m\x07\nalert")
    for out in (stoker("status").out, stoker("status", "mine").out):
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "red [31m  alert" in out


def test_items_have_their_promised_fields(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `items JOB --json` to list all items, over as many pages as it takes."""
    daemon.add_job("mine", 7)
    shape = stoker("items", "mine", "--json").json
    assert [item["index"] for item in shape["items"]] == list(range(7))
    assert shape["items"][0] == {
        "index": 0,
        "custom_id": None,
        "state": "pending",
        "attempts": 0,
        "error": None,
        "artifacts": [],
    }


def test_items_show_what_they_were_made_from(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `--parameters` to show those of each item in a column, clipped, and whole in JSON; without it none."""
    daemon.add_job("mine", 2)
    params = {"prompt": "a red dragon", "seed": 7, "story": "x" * 200}
    first, second = daemon.world.items["mine"]
    daemon.world.items["mine"] = [structs.replace(first, params=codec.pack(params)), second]
    out = stoker("items", "mine", "--parameters").out
    assert re.search(r"^ +0  pending +0  prompt=a red dragon, seed=7, story=x+…$", out, re.MULTILINE)
    assert "PARAMETERS" not in stoker("items", "mine").out
    assert stoker("items", "mine", "--parameters", "--json").json["items"][0]["params"] == params


def test_items_can_be_picked_by_state(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect `--state` to list items in these states only."""
    daemon.add_job("mine", 2)
    assert len(stoker("items", "mine", "--state", "pending", "--json").json["items"]) == 2
    assert stoker("items", "mine", "--state", "failed", "--json").json == {"items": []}


def test_engines_list_models(stoker: Stoker) -> None:
    """We expect the engine with its state and models."""
    out = stoker("engines").out
    assert "sprites is ready" in out
    assert re.search(r"^plain +default", out, re.MULTILINE)
    assert stoker("engines", "--json").json["engines"][0]["models"][0]["name"] == "plain"


def test_ping_measures(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect the endpoint that answered and a time that passed."""
    shape = stoker("ping", "--json").json
    assert shape["endpoint"] == daemon.control
    assert shape["round_trip_ms"] > 0


def test_what_keeps_jobs_from_going_on(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect why an engine is down above the jobs that wait for it and before staying with one, and only there."""
    daemon.answer_instead("health", UNWELL, times=3)
    assert "it is down" not in stoker("status").out
    daemon.add_job("mine")
    assert stoker("status").out.startswith("engine sprites: it is down\n")
    daemon.after("health", lambda: daemon.world.finish("mine"))
    assert stoker("watch", "mine").out.startswith("engine sprites: it is down\n")
    daemon.answer_instead("health", UNWELL)
    daemon.add_job("yours", engine="comfyui")
    assert "it is down" not in stoker("status").out


def test_jobs_of_an_engine_that_is_gone(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect jobs whose engine is configured no more to be told of, as they wait without an end in sight."""
    daemon.answer_instead("health", UNWELL)
    daemon.add_job("yours", engine="comfyui")
    assert stoker("status").out.splitlines()[0].startswith("engine comfyui: the configuration does not name it any")
