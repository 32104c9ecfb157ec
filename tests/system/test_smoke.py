"""Engines that have to do a small item before work begins: until they do, their jobs wait, at no cost."""

from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.fakes.openai.harness import OpenAIProcess
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.jobs import JobState

ENGINE = """
[engines.llm]
kind = "openai"
url = "URL"
limits.concurrency = 3
[engines.other]
model = "tests.models.faults:Faults"
python_path = ["PATH"]
[preflight.smoke.llm]
params = {prompt = "SMOKE", max_tokens = 4}
timeout_s = 0.5
"""


@pytest.fixture(name="server")
def fixture_server() -> Generator[OpenAIProcess]:
    """A server."""
    with OpenAIProcess() as server:
        yield server


def a_daemon(folder: Path, server: OpenAIProcess, smoke: str) -> AbstractContextManager[Rig]:
    """One whose engine has to answer this first."""
    path = str(Path(__file__).parents[2])
    return a_rig(
        folder, config(engines=ENGINE.replace("URL", server.url).replace("SMOKE", smoke).replace("PATH", path))
    )


def asked(server: OpenAIProcess) -> list[str]:
    """What the server was asked since its start."""
    return [body["messages"][0]["content"] for body in server.state()["requests"]]


def test_before_work_begins(tmp_path: Path, server: OpenAIProcess) -> None:
    """We expect one small item before the first run, however many lanes there are, and none that jobs or files show."""
    with a_daemon(tmp_path, server, "smoke") as rig:
        assert asked(server) == []
        jobs = [rig.client.submit([text], engine="llm").job_id for text in ("a", "b", "c", "d")]
        assert {rig.wait(job).state for job in jobs} == {JobState.SUCCEEDED}
        assert sorted(asked(server)) == ["a", "b", "c", "d", "smoke"]
        assert asked(server)[0] == "smoke"
        assert {job.job_id for job in rig.client.jobs()} == set(jobs)
        assert [finding.ok for finding in rig.client.health().findings if "smoke" in finding.part] == [True]


def test_until_it_is_done(tmp_path: Path, server: OpenAIProcess) -> None:
    """We expect jobs to wait with the reason while the item fails, at no cost, others to go on, and the end of that."""
    server.defects(broken=1_000)
    with a_daemon(tmp_path, server, "smoke") as rig:
        job_id = rig.client.submit(["a"], engine="llm", max_attempts=1).job_id
        wait_for(lambda: "smoke item" in rig.client.why(job_id).text)
        assert rig.wait(rig.client.submit(["x"], engine="other").job_id).state is JobState.SUCCEEDED
        (finding,) = (each for each in rig.client.health().findings if "smoke" in each.part)
        assert (finding.ok, "HTTP 500" in finding.detail) == (False, True)
        server.defects(broken=0)
        assert rig.wait(job_id).state is JobState.SUCCEEDED
        assert [item.attempts for item in rig.items(job_id)] == [1]
        assert [each.ok for each in rig.client.health().findings if "smoke" in each.part] == [True]


def test_after_trouble(tmp_path: Path, server: OpenAIProcess) -> None:
    """We expect a server that was gone to have to do the item once more before it gets work."""
    with a_daemon(tmp_path, server, "smoke") as rig:
        assert rig.wait(rig.client.submit(["a"], engine="llm").job_id).state is JobState.SUCCEEDED
        server.kill()
        wait_for(lambda: next(e.state for e in rig.client.engines() if e.name == "llm") == "down")
        job_id = rig.client.submit(["b"], engine="llm").job_id
        wait_for(lambda: "can't be reached" in rig.client.why(job_id).text)
        server.start()
        assert rig.wait(job_id).state is JobState.SUCCEEDED
        assert asked(server) == ["smoke", "b"]


def test_an_item_that_hangs(tmp_path: Path, server: OpenAIProcess) -> None:
    """We expect an item that does not come back to be given up in time, and the jobs to wait, not the daemon."""
    with a_daemon(tmp_path, server, "!hold") as rig:
        job_id = rig.client.submit(["a"], engine="llm").job_id
        wait_for(lambda: "not done within 0.5 s" in rig.client.why(job_id).text)
        assert "a" not in asked(server)
        rig.client.cancel(job_id)
        assert rig.wait(job_id).state is JobState.CANCELLED


def test_an_item_that_makes_no_sense(tmp_path: Path, server: OpenAIProcess) -> None:
    """We expect an item that the engine would refuse to say so, with where it stands."""
    text = config(engines=ENGINE.replace("URL", server.url).replace("max_tokens = 4", "temperature = 9"))
    with a_rig(tmp_path, text.replace("PATH", str(Path(__file__).parents[2]))) as rig:
        job_id = rig.client.submit(["a"], engine="llm").job_id
        wait_for(lambda: "[preflight.smoke]" in rig.client.why(job_id).text)
        (finding,) = (each for each in rig.client.health().findings if "smoke" in each.part)
        assert "temperature" in finding.detail
