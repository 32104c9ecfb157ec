"""A server of language models is away for an hour, by a clock that goes faster: work waits for it at no cost."""

import asyncio
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.fakes.openai.harness import OpenAIProcess
from tests.fault.test_clock import JumpingClock, a_daemon, until
from tests.worker.processes import BOUND_S

from stoker_client import AsyncClient
from stoker_daemon import main
from stoker_daemon.execution import lane
from stoker_protocol.jobs import JobState

MINUTE_MS = 60_000
ENGINE = """
[engines.llm]
kind = "openai"
url = "{url}"
limits.concurrency = 1
"""


class FastClock(JumpingClock):
    """One by which all of the host's time goes on when a test says so."""

    def monotonic_s(self) -> float:
        return time.monotonic() + self.ahead_ms / 1000


@pytest.fixture(name="clock")
def fixture_clock(monkeypatch: pytest.MonkeyPatch) -> FastClock:
    """What daemons in this process take for the host's clock; their lanes look at it all the time."""
    clock = FastClock()
    monkeypatch.setattr(main, "SystemClock", lambda: clock)
    monkeypatch.setattr(lane, "IDLE_LOOK_S", 0.01)
    return clock


@pytest.fixture(name="server")
def fixture_server() -> Generator[OpenAIProcess]:
    """A server."""
    with OpenAIProcess() as server:
        yield server


@pytest.fixture(name="tries")
def fixture_tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engines that could not be reached, a name for each time."""
    tries: list[str] = []
    begin = lane.Absences.begin

    def note(absences: lane.Absences, engine: str) -> None:
        tries.append(engine)
        begin(absences, engine)

    monkeypatch.setattr(lane.Absences, "begin", note)
    return tries


def test_an_hour(tmp_path: Path, clock: FastClock, server: OpenAIProcess, tries: list[str]) -> None:
    """We expect what was there and what comes meanwhile to wait, to be tried at times, and to be done afterwards."""

    async def run() -> None:
        async with a_daemon(tmp_path, head=ENGINE.format(url=server.url), backoff_base_s=1, backoff_max_s=30) as client:
            before = await submitted(client, "!hold")
            await asyncio.to_thread(server.wait_until_held)
            server.kill()
            during = await submitted(client, "a", "b")
            for _ in range(60):
                tried = len(tries)
                clock.ahead_ms += MINUTE_MS

                async def is_tried(tried: int = tried) -> bool:
                    return len(tries) > tried

                await until(is_tried)
            assert [item.attempts async for item in client.items(during)] == [0, 0]
            assert not [job.job_id async for job in client.jobs() if job.state.is_final]
            server.start()
            clock.ahead_ms += MINUTE_MS
            await asyncio.to_thread(server.wait_until_held)
            server.release()
            for job_id in (before, during):
                assert (await client.wait(job_id, BOUND_S)).state is JobState.SUCCEEDED
            assert [item.attempts async for item in client.items(during)] == [1, 1]
            assert len(tries) <= 3 * 60

    asyncio.run(run())


async def submitted(client: AsyncClient, *prompts: str) -> str:
    """A job at the server."""
    return (await client.submit(prompts, engine="llm", model="tiny")).job_id
