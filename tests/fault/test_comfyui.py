"""A daemon and its ComfyUI server, either or both of which die: each item ends once, and no result is made twice."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.comfyui_case import CHECKPOINTS, WORKFLOW
from tests.conformance.real_harness import SERVER, RealComfy, real_server
from tests.fakes.comfyui.harness import ComfyProcess
from tests.fault.audit import audit_settled
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol import codec
from stoker_protocol.errors import ErrorCode
from stoker_protocol.jobs import ItemState, Job, JobState, Priority
from stoker_protocol.replies import ErrorReply, Submitted
from stoker_protocol.requests import ItemSpec, Submit

HOLD = {"2.seconds": -1.0}
"""Parameters of an item that is at work until it is released or interrupted."""
PLAIN: dict[str, Any] = {}


def plain(count: int) -> list[dict[str, Any]]:
    """So many items that are done at once."""
    return [PLAIN] * count


def graph() -> dict[str, Any]:
    """A workflow without weights, as a person may send it."""
    nodes = {node_id: {**node, "inputs": dict(node["inputs"])} for node_id, node in WORKFLOW.items()}
    nodes["4"]["inputs"]["ckpt_name"] = CHECKPOINTS[0]
    return nodes


@pytest.fixture(scope="module", autouse=True)
def _real_server_at_its_end() -> Iterator[None]:
    """A real server ends with these tests."""
    yield
    if SERVER:
        real_server().close()


class Studio:
    """A daemon with a ComfyUI server of its own."""

    def __init__(self, rig: Rig, server: ComfyProcess | RealComfy) -> None:
        self.rig = rig
        self.server = server
        self._first_color = 0

    def request(self, job_id: str, *items: Mapping[str, Any], **options: Any) -> Submit:
        """A job over these items; no two items that come from here are the same to the server."""
        colors = range(self._first_color, self._first_color + len(items))
        self._first_color += len(items)
        specs = [
            ItemSpec(params=codec.pack({"1.color": color, **item})) for color, item in zip(colors, items, strict=True)
        ]
        workflow = codec.pack(options.pop("workflow", graph()))
        options.setdefault("engine", "comfyui")
        return Submit(id="1", job_id=job_id, workflow=workflow, items=specs, **options)

    def submit(self, job_id: str, *items: Mapping[str, Any], **options: Any) -> str:
        """Submit such a job."""
        reply = self.rig.ask(self.request(job_id, *items, **options))
        assert isinstance(reply, Submitted), reply
        return reply.job_id

    def refused(self, request: Submit) -> ErrorReply:
        """Why a request is refused."""
        reply = self.rig.ask(request)
        assert isinstance(reply, ErrorReply), reply
        return reply

    def succeeded(self, job_id: str, count: int) -> Job:
        """Wait until so many items of a job succeeded."""
        return self.rig.wait_until(job_id, lambda job: job.items.succeeded >= count)

    def executions(self) -> Counter[str]:
        """How often the server began each prompt."""
        return Counter(self.server.executions())

    def check_bytes(self, job_id: str) -> None:
        """Each item that succeeded has one file, and it is byte for byte one that the server holds."""
        held = {path.read_bytes() for path in (self.server.directory / "output").rglob("*.png")}
        kept = [
            (self.rig.data_dir / artifact.path).read_bytes()
            for item in self.rig.items(job_id)
            for artifact in item.artifacts
        ]
        assert len(kept) == len(set(kept)) == self.rig.client.job(job_id).items.succeeded
        assert set(kept) <= held


@contextmanager
def a_studio(folder: Path) -> Generator[Studio]:
    """A studio, audited at its end: all that was accepted is settled."""
    with real_server() if SERVER else ComfyProcess(folder / "server") as server:
        engine = f'[engines.comfyui]\nkind = "comfyui"\nurl = "{server.url}"\n'
        with a_rig(folder, config(engines=engine, stop_grace_s=5)) as rig:
            wait_for(lambda: server.state()["connections"])
            yield Studio(rig, server)
        audit_settled(rig.data_dir)


def test_three_priorities(tmp_path: Path) -> None:
    """Fifty prompts of three priorities are made once each, the urgent ones first, and kept as the server made them."""
    with a_studio(tmp_path) as studio:
        studio.rig.client.pause()
        jobs = {
            priority: studio.submit(priority.value, *plain(count), priority=priority)
            for priority, count in ((Priority.LOW, 20), (Priority.NORMAL, 20), (Priority.URGENT, 10))
        }
        studio.rig.client.resume()
        for job_id in jobs.values():
            assert studio.rig.wait(job_id).state is JobState.SUCCEEDED
            studio.check_bytes(job_id)
        ends = [
            studio.rig.client.job(jobs[priority]).finished_at_ms or 0 for priority in sorted(jobs, key=lambda p: p.rank)
        ]
        assert ends == sorted(ends)
        assert Counter(studio.executions().values()) == {1: 50}


def test_cancel_what_waits_and_what_is_at_work(tmp_path: Path) -> None:
    """A cancel stops the prompt at work and drops those that wait; other jobs and other people's prompts go on."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("cancelled", HOLD, PLAIN, PLAIN)
        other = studio.submit("other", PLAIN)
        studio.server.wait_until_held()
        studio.rig.client.cancel(job_id)
        job = studio.rig.wait(job_id)
        assert (job.state, job.items.cancelled) == (JobState.CANCELLED, 3)
        assert studio.rig.wait(other).state is JobState.SUCCEEDED
        assert len(studio.executions()) == 2


def test_one_bad_item_of_many(tmp_path: Path) -> None:
    """An item that fails at the server fails alone, with the server's words."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("mixed", PLAIN, {"3.fits": 0}, PLAIN, max_attempts=2)
        job = studio.rig.wait(job_id)
        assert (job.items.succeeded, job.items.failed) == (2, 1)
        failed = studio.rig.items(job_id)[1]
        assert failed.error is not None
        assert (failed.state, failed.error.kind) == (ItemState.FAILED, "oom")
        assert "node 3 (StokerTestOom)" in failed.error.message
        studio.check_bytes(job_id)


@pytest.mark.parametrize(
    ("node", "name", "value", "words"),
    [
        ("4", "ckpt_name", "nope.safetensors", "nope.safetensors"),
        ("1", "width", -1, "-1"),
        ("1", "width", "wide", "'wide'"),
        ("9", "images", ["7", 0], "'7'"),
        ("9", "images", ["4", 0], "MODEL"),
        ("1", "class_type", "NoSuchNode", "NoSuchNode"),
    ],
)
def test_refused_at_submit(tmp_path: Path, node: str, name: str, value: Any, words: str) -> None:
    """A workflow that the server would refuse is refused at once, and the message names the node and the value."""
    with a_studio(tmp_path) as studio:
        wrong = graph()
        if name == "class_type":
            wrong[node]["class_type"] = value
        else:
            wrong[node]["inputs"][name] = value
        reply = studio.refused(studio.request("wrong", PLAIN, workflow=wrong))
        assert reply.code is ErrorCode.BAD_REQUEST
        assert words in reply.message
        assert reply.hint
        assert studio.executions() == Counter()


def test_the_server_is_killed_half_way(tmp_path: Path) -> None:
    """A server that comes back empty is given what it lost, and nothing that had come from it before."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("half", *plain(5), HOLD, *plain(4), batch_size=1)
        studio.succeeded(job_id, 5)
        studio.server.wait_until_held()
        studio.server.restart()
        studio.server.wait_until_held()
        studio.server.release()
        assert studio.rig.wait(job_id).items.succeeded == 10
        assert sorted(studio.executions().values()) == [1] * 9 + [2] or len(studio.executions()) == 11
        studio.check_bytes(job_id)


def test_the_server_stays_away_for_a_while(tmp_path: Path) -> None:
    """While the server is away work waits for it, and goes on by itself when it is back."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("away", HOLD, PLAIN, PLAIN)
        studio.server.wait_until_held()
        studio.server.kill()
        wait_for(lambda: studio.rig.client.engines()[0].state == "down")
        studio.server.start()
        studio.server.wait_until_held()
        studio.server.release()
        assert studio.rig.wait(job_id).items.succeeded == 3
        studio.check_bytes(job_id)


def test_cancel_while_the_server_is_away(tmp_path: Path) -> None:
    """A job whose server is away is cancelled without it."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("gone", HOLD, PLAIN)
        studio.server.wait_until_held()
        studio.server.kill()
        wait_for(lambda: studio.rig.client.engines()[0].state == "down")
        studio.rig.client.cancel(job_id)
        assert studio.rig.wait(job_id).state is JobState.CANCELLED


def test_the_daemon_is_killed_while_a_prompt_is_at_work(tmp_path: Path) -> None:
    """A prompt at work when the daemon dies is followed to its end by the next daemon, and not made again."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("followed", PLAIN, HOLD, PLAIN, batch_size=1)
        studio.succeeded(job_id, 1)
        studio.server.wait_until_held()
        studio.rig.restart()
        studio.server.release()
        assert studio.rig.wait(job_id).items.succeeded == 3
        assert Counter(studio.executions().values()) == {1: 3}
        studio.check_bytes(job_id)


def test_a_prompt_ends_while_no_daemon_is_there(tmp_path: Path) -> None:
    """What finished while no daemon was there is adopted from the history."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("adopted", PLAIN, HOLD, PLAIN, batch_size=1)
        studio.succeeded(job_id, 1)
        studio.server.wait_until_held()
        studio.rig.kill()
        studio.server.release()
        wait_for(lambda: studio.server.state()["held"] == 0)
        studio.rig.restart()
        assert studio.rig.wait(job_id).items.succeeded == 3
        assert Counter(studio.executions().values()) == {1: 3}
        studio.check_bytes(job_id)


@pytest.mark.parametrize("wish", ["requeue", "fail"])
def test_both_die_at_once(tmp_path: Path, wish: str) -> None:
    """When both die, what was at work is treated as its job wishes, and what was done stays done."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("both", PLAIN, PLAIN, HOLD, PLAIN, batch_size=1, on_interrupt=wish)
        studio.succeeded(job_id, 2)
        studio.server.wait_until_held()
        studio.rig.kill()
        studio.server.restart()
        studio.rig.restart()
        if wish == "requeue":
            studio.server.wait_until_held()
            studio.server.release()
        job = studio.rig.wait(job_id)
        lost = int(wish == "fail")
        assert (job.items.succeeded, job.items.failed) == (4 - lost, lost)
        assert sum(studio.executions().values()) == 5 - lost
        studio.check_bytes(job_id)


def test_a_frozen_stream(tmp_path: Path) -> None:
    """A stream that says nothing costs time and no more."""
    if SERVER:
        pytest.skip("a real server's stream freezes only by another client's fault")
    with a_studio(tmp_path) as studio:
        assert isinstance(studio.server, ComfyProcess)
        studio.server.defects(stream_frozen=True)
        job_id = studio.submit("frozen", *plain(6))
        assert studio.rig.wait(job_id).items.succeeded == 6
        assert Counter(studio.executions().values()) == {1: 6}
        studio.check_bytes(job_id)


def test_a_stop_and_a_start(tmp_path: Path) -> None:
    """A graceful stop lets the prompt at work end within its grace."""
    with a_studio(tmp_path) as studio:
        job_id = studio.submit("graceful", HOLD, PLAIN, batch_size=1)
        studio.server.wait_until_held()
        studio.server.release()
        studio.rig.stop()
        studio.rig.restart()
        assert studio.rig.wait(job_id).items.succeeded == 2
        assert Counter(studio.executions().values()) == {1: 2}
