"""Every verb says what it did, to both clients, alike whether a real daemon answers or the fake one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from msgspec import UNSET
from tests.clients.both import Connect, both
from tests.fakes.daemon import PATIENCE_S, FakeDaemon
from tests.fakes.offers import COMFYUI, PROFILE, RECIPE, SPRITES, WORKFLOW

from stoker_client.errors import BadRequest, Conflict, InvalidState, NotFound, StalePlan
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id
from stoker_client.sync_client import Client
from stoker_protocol import codec
from stoker_protocol.codec import REQUEST_TYPES
from stoker_protocol.jobs import Job, JobState
from stoker_protocol.requests import Submit


@dataclass
class Bench:
    """A daemon, whose queue is held so that nothing moves by itself, and a client of it."""

    client: Client
    work_off: Callable[[str], Job]
    """Let a job run to its end."""

    def jobs(self, count: int = 1, items: int = 2) -> list[str]:
        """Submit jobs of some items."""
        return [self.client.submit(["a dragon"] * items).job_id for _ in range(count)]


@pytest.fixture(params=["fake", "real"])
def bench(request: pytest.FixtureRequest, connect: Connect) -> Iterator[Bench]:
    """Each test is run with both daemons."""
    name = "daemon" if request.param == "fake" else "stokerd"
    server: FakeDaemon | PrivateDaemon = request.getfixturevalue(name)
    with connect(server.control) as client:

        def work_off(job_id: str) -> Job:
            if isinstance(server, FakeDaemon):
                return server.finish(job_id)
            client.resume()
            job = client.wait(job_id, PATIENCE_S)
            client.pause()
            return job

        client.pause(reason="so that nothing moves")
        yield Bench(client, work_off)
        client.cancel_all()
        client.resume()


@both
def test_hello(bench: Bench) -> None:
    """We expect that the daemon says who it is, who the caller is there, and where its events are."""
    welcome = bench.client.hello()
    assert (welcome.name, welcome.role, welcome.versions) == ("local", "admin", [1])
    assert welcome.events[0].startswith("tcp://127.0.0.1:")


@both
def test_ping(bench: Bench) -> None:
    """We expect that a ping is told in seconds."""
    assert 0 < bench.client.ping() < PATIENCE_S


@both
def test_health(bench: Bench) -> None:
    """We expect that each part which a job needs is named with how it is."""
    report = bench.client.health()
    assert report.findings
    assert all(finding.part for finding in report.findings)


@both
def test_check(bench: Bench) -> None:
    """We expect that each part of what is on the daemon's disk is named with how it is."""
    assert "database" in {finding.part for finding in bench.client.check()}


@both
def test_submit(bench: Bench) -> None:
    """We expect that a job is there as it was submitted."""
    reply = bench.client.submit(
        ["a dragon", {"params": {"prompt": "a slime"}, "custom_id": "mine"}],
        job_id=(job_id := new_job_id()),
        params={"steps": 3},
        name="beasts",
        priority="high",
        engine=None,
    )
    job = bench.client.job(job_id)
    assert (reply.job_id, reply.items, reply.dry_run) == (job_id, 2, False)
    assert (job.name, job.priority, job.state, job.items.total) == ("beasts", "high", JobState.QUEUED, 2)


@both
def test_submit_twice(bench: Bench) -> None:
    """We expect that the same submit again is the same job, and another one under its id a conflict."""
    job_id = new_job_id()
    first, again = (bench.client.submit(["a dragon"], job_id=job_id, priority="normal") for _ in range(2))
    assert (again.job_id, again.items) == (first.job_id, first.items)
    assert bench.client.submit(["a dragon"], job_id=job_id).job_id == job_id  # normal is what is meant without a word
    with pytest.raises(Conflict, match=job_id):
        bench.client.submit(["a slime"], job_id=job_id)
    assert bench.client.job(job_id).items.total == 1


@both
def test_dry_run(bench: Bench) -> None:
    """We expect that a dry run answers like a submit and stores nothing."""
    reply = bench.client.submit(["a dragon"], job_id=(job_id := new_job_id()), dry_run=True)
    assert (reply.job_id, reply.items, reply.dry_run) == (job_id, 1, True)
    with pytest.raises(NotFound):
        bench.client.job(job_id)


@both
def test_append_and_seal(bench: Bench) -> None:
    """We expect that an open job takes more items, each place once, and ends only after it is sealed."""
    job_id = bench.client.submit(["a dragon"], more=True).job_id
    assert [bench.client.append(job_id, 1, ["a slime", "a bat"]).total for _ in range(2)] == [3, 3]
    assert bench.client.job(job_id).is_open
    assert bench.client.seal(job_id).total == 3
    assert not bench.client.job(job_id).is_open
    assert bench.work_off(job_id).items.succeeded == 3


@both
def test_job(bench: Bench) -> None:
    """We expect that a job which is not there is not found, by its name."""
    with pytest.raises(NotFound, match="no-such-job"):
        bench.client.job("no-such-job")


@both
def test_jobs(bench: Bench) -> None:
    """We expect that all pages of jobs come as one stream, newest first, or only those in some states."""
    job_ids = bench.jobs(7)
    bench.client.cancel(*job_ids[:3])
    assert [job.job_id for job in bench.client.jobs()][:7] == job_ids[::-1]
    queued = [job.job_id for job in bench.client.jobs(["queued", "running"])]
    assert queued == job_ids[:2:-1]


@both
def test_find(bench: Bench) -> None:
    """We expect a job by its id, by enough of it, or by its name, and no guess where that may mean several."""
    ids = ["zebra", "zebra-1", "zebra-22"]
    for job_id, name in zip(ids, ["night shift", "twin", "twin"], strict=True):
        bench.client.submit(["a"], job_id=job_id, name=name)
    found = [bench.client.find(said).job_id for said in ("zebra", "zebra-1", "zebra-2", "night shift")]
    assert found == ["zebra", "zebra-1", "zebra-22", "zebra"]
    for said, meant in (("zeb", ids), ("twin", ids[1:])):
        with pytest.raises(BadRequest, match=f"{len(meant)} jobs are called") as caught:
            bench.client.find(said)
        assert caught.value.field == "job_id"
        assert all(job_id in caught.value.message for job_id in meant)
    for said in ("zebra-3", "night", "no such job"):
        with pytest.raises(NotFound, match=said):
            bench.client.find(said)
    bench.client.submit(["a"], name="zebra")
    assert bench.client.find("zebra").job_id == "zebra"


@both
def test_items(bench: Bench) -> None:
    """We expect that all pages of items come as one stream in order, or only those in some states."""
    (job_id,) = bench.jobs(items=7)
    bench.work_off(job_id)
    assert [item.index for item in bench.client.items(job_id)] == list(range(7))
    assert list(bench.client.items(job_id, ["failed"])) == []
    with pytest.raises(NotFound):
        list(bench.client.items("no-such-job"))


@both
def test_cancel(bench: Bench) -> None:
    """We expect that a cancel says what it did, does it once, and touches no other job."""
    one, other = bench.jobs(2)
    first, again = (bench.client.cancel(one).jobs for _ in range(2))
    assert [(job.job_id, job.state, job.dropped) for job in first] == [(one, JobState.CANCELLED, 2)]
    assert [(job.job_id, job.state, job.dropped) for job in again] == [(one, JobState.CANCELLED, 0)]
    assert bench.client.job(other).state is JobState.QUEUED


@both
def test_cancel_nothing(bench: Bench) -> None:
    """We expect that a cancel which names nothing cancels nothing."""
    (job_id,) = bench.jobs()
    with pytest.raises(BadRequest):
        bench.client.cancel()
    assert bench.client.job(job_id).state is JobState.QUEUED


@both
def test_cancel_all(bench: Bench) -> None:
    """We expect that all jobs that are not over are cancelled, and told."""
    job_ids = bench.jobs(3)
    done = bench.client.cancel_all("queued").jobs
    assert {job.job_id for job in done} == set(job_ids)
    assert bench.client.cancel_all().jobs == []


@both
def test_retry(bench: Bench) -> None:
    """We expect that items which ended in the named states go back to the queue."""
    (job_id,) = bench.jobs()
    bench.client.cancel(job_id)
    retried = bench.client.retry(job_id, ["cancelled"])
    job = bench.client.job(job_id)
    assert (retried.requeued, retried.rev, job.state) == (2, job.rev, JobState.QUEUED)


@both
def test_move(bench: Bench) -> None:
    """We expect that a job gets another priority."""
    (job_id,) = bench.jobs()
    moved = bench.client.move(job_id, "urgent", front=True)
    assert (moved.priority, moved.rev) == ("urgent", 1)
    assert bench.client.job(job_id).priority == "urgent"
    with pytest.raises(BadRequest, match="urgent, high, normal, low"):
        bench.client.move(job_id, "soon")


@both
def test_pause_and_resume_a_job(bench: Bench) -> None:
    """We expect that a job is held back with reason and author until it is resumed."""
    (job_id,) = bench.jobs()
    paused = bench.client.pause(job_id, reason="lunch")
    assert (paused.job_id, paused.paused.reason, paused.paused.author) == (job_id, "lunch", "local")
    assert bench.client.job(job_id).paused == paused.paused
    assert [bench.client.resume(job_id).was_paused for _ in range(2)] == [True, False]
    assert bench.client.job(job_id).paused is None


@both
def test_pause_and_resume_the_queue(bench: Bench) -> None:
    """We expect that the whole queue is held back until it is resumed."""
    paused = bench.client.snapshot().queue.paused
    assert (paused and paused.reason) == "so that nothing moves"
    assert [bench.client.resume().was_paused for _ in range(2)] == [True, False]
    assert bench.client.snapshot().queue.paused is None


@both
def test_snapshot(bench: Bench) -> None:
    """We expect that a snapshot has the named jobs, or those that are not over, or all, and the seq of its state."""
    job_ids = bench.jobs(5)
    bench.client.cancel(job_ids[0])
    active = bench.client.snapshot()
    everything = bench.client.snapshot(include_final=True)
    named = bench.client.snapshot([job_ids[0], job_ids[4], "no-such-job"])
    assert [job.job_id for job in active.jobs] == job_ids[1:]
    assert [job.job_id for job in everything.jobs][-5:] == job_ids
    assert [job.job_id for job in named.jobs] == [job_ids[0], job_ids[4]]
    assert active.seq == everything.seq == named.seq > 0
    with pytest.raises(BadRequest):
        bench.client.snapshot([])


@both
def test_engines(bench: Bench) -> None:
    """We expect that each engine is told with its models."""
    engine = bench.client.engines()[0]
    assert engine.name == "sprites"
    assert engine.default_model in [model.name for model in engine.models]


@both
def test_models(bench: Bench) -> None:
    """We expect the models of each engine, those of a kind, of one engine, and a refusal where there is no such one."""
    (first, *_), engine = bench.client.models(), bench.client.engines()[0]
    assert (first.engine, first.models) == (engine.name, engine.models)
    assert [one.models for one in bench.client.models(kind="lora", engine="sprites")] == [[]]
    with pytest.raises(BadRequest, match="sprits"):
        bench.client.models(engine="sprits")


@both
def test_recipes_and_profiles(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect the recipes, one with its workflow, of the engine that is meant, and the profiles."""
    daemon.world.engines = [SPRITES, COMFYUI]
    with connect(daemon.control) as client:
        assert client.recipes() == [RECIPE]
        assert codec.unpack(client.recipe("txt2img").workflow) == WORKFLOW
        assert codec.unpack(client.recipe("txt2img", engine="comfyui").workflow) == WORKFLOW
        assert client.profiles() == [PROFILE]
        with pytest.raises(NotFound, match="txt3img"):
            client.recipe("txt3img")
        with pytest.raises(NotFound, match="it is of comfyui"):
            client.recipe("txt2img", engine="sprites")


@both
def test_submit_by_a_recipe(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect recipe, workflow and profile to arrive in their fields."""
    with connect(daemon.control) as client:
        client.submit(["a"], recipe="txt2img", profile="speed")
        client.submit(["a"], workflow=WORKFLOW)
        with pytest.raises(BadRequest, match="workflow"):
            client.submit(["a"], workflow={"1": object()})
    first, second = [one for one in daemon.requests if isinstance(one, Submit)]
    assert (first.recipe, first.profile, first.workflow) == ("txt2img", "speed", UNSET)
    assert (second.recipe, codec.unpack(second.workflow)) == ("", WORKFLOW)


@both
def test_describe(bench: Bench) -> None:
    """We expect that each request is described."""
    assert set(bench.client.describe().requests) == set(REQUEST_TYPES)


@both
def test_shutdown(connect: Connect, config_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """We expect that a daemon which is told to stop says who stops, and ends."""
    with PrivateDaemon(tmp_path_factory.mktemp("stopped"), args=config_args) as stokerd:
        with connect(stokerd.control) as client:
            boot = client.hello().daemon.boot
            assert client.shutdown("the day is over").boot == boot
        assert stokerd._process is not None
        assert stokerd._process.wait(PATIENCE_S) == 0


@both
def test_what_only_a_real_daemon_knows(stokerd: PrivateDaemon, connect: Connect) -> None:
    """We expect that parameters, ids, metadata, attempts and artifacts of a finished job come back as they were."""
    with connect(stokerd.control) as client:
        job_id = client.submit(
            ["a dragon", {"params": {"prompt": "a slime", "seed": 7}, "custom_id": "mine"}],
            metadata={"shot": [1, 2.5, None]},
            params={"steps": 3},
        ).job_id
        client.wait(job_id, PATIENCE_S)
        items = list(client.items(job_id, with_params=True))
        assert codec.unpack(client.job(job_id).metadata) == {"shot": [1, 2.5, None]}
        assert [artifact.index for artifact in client.artifacts(job_id)] == [0, 1]
        with pytest.raises(InvalidState):
            client.move(job_id, "urgent")
    assert [(item.custom_id, item.attempts, len(item.artifacts)) for item in items] == [(None, 1, 1), ("mine", 1, 1)]
    assert codec.unpack(items[1].params)["seed"] == 7


@both
def test_gpu(bench: Bench) -> None:
    """We expect the host to be looked at, whether or not there is a GPU."""
    report = bench.client.gpu()
    assert report.sample is not None
    assert report.sample.host.memory_total > 0


@both
def test_looking_ahead(bench: Bench) -> None:
    """We expect a plan with a token, a reason for each job, and a refusal of a plan that is none."""
    job_id = bench.client.submit(["a"], params={"prompt": "a"}).job_id
    assert bench.client.why(job_id).job_id == job_id
    assert bench.client.plan().token
    with pytest.raises(StalePlan):
        bench.client.execute_plan("no such plan")
