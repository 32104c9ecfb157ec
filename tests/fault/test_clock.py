"""The host's clock is set forward or back while the daemon works: nothing waits for ever, nothing stops."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from tests.system.daemons import Gate, config
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import AsyncClient
from stoker_daemon import main
from stoker_daemon.building import build_doors
from stoker_daemon.config import load
from stoker_daemon.execution import housekeeping, lane, retention
from stoker_protocol import codec
from stoker_protocol.events import DAEMON_TOPIC, Tick
from stoker_protocol.replies import Finding

HOUR_MS = 3_600_000


class JumpingClock:
    """The host's clock, set by a test."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic_s(self) -> float:
        return time.monotonic()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> JumpingClock:
    """What daemons in this process take for the host's clock; they look more often than others."""
    clock = JumpingClock()
    monkeypatch.setattr(main, "SystemClock", lambda: clock)
    monkeypatch.setattr(lane, "IDLE_LOOK_S", 0.05)
    monkeypatch.setattr(housekeeping, "ROUND_S", 0.05)
    monkeypatch.setattr(retention, "ROUND_S", 0.05)
    return clock


@asynccontextmanager
async def a_daemon(folder: Path, *, head: str = "", **execution: Any) -> AsyncGenerator[AsyncClient]:
    """A daemon in this process, and a client of it."""
    file = folder / "stokerd.toml"
    file.write_text(config(head=head, **execution))
    anywhere = ["tcp://127.0.0.1:0"]
    settings = load(file)
    doors = build_doors(settings, folder, anywhere, insecure=False)
    daemon = main.StokerDaemon(main.Options(folder, anywhere, anywhere, insecure=False), settings, doors)
    running = asyncio.create_task(daemon.run())
    endpoints = folder / "endpoints.json"
    try:
        await asyncio.to_thread(wait_for, endpoints.exists)
        async with AsyncClient(json.loads(endpoints.read_text())["control"], timeout_s=BOUND_S) as client:
            yield client
    finally:
        daemon.stop("the test ends")
        await running


async def until(ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Ask again and again until the answer is yes."""
    async with asyncio.timeout(BOUND_S):
        while True:
            if await ask():
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -24 * HOUR_MS])
def test_a_back_off_ends_whatever_the_clock_does(clock: JumpingClock, tmp_path: Path, jump_ms: int) -> None:
    """We expect an item that waits ten minutes after a failure to be tried again after a jump in either direction."""

    async def run() -> None:
        async with a_daemon(tmp_path, backoff_base_s=600, backoff_max_s=600) as client:
            params = {"prompt": "a", "do": "fail", "kind": "rate_limit", "times": 1, "log": str(tmp_path / "log")}
            job_id = (await client.submit([{"params": params}])).job_id

            async def waits() -> bool:
                return [item.not_before_ms async for item in client.items(job_id)] != [None]

            await until(waits)
            clock.ahead_ms = jump_ms
            assert (await client.wait(job_id, BOUND_S)).state == "succeeded"
            assert [item.attempts async for item in client.items(job_id)] == [2]

    asyncio.run(run())


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
def test_ticks_go_on(clock: JumpingClock, tmp_path: Path, jump_ms: int) -> None:
    """We expect tick after tick also after a jump, with the time that the clock then has."""

    def ticks(endpoint: str, count: int) -> list[Tick]:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with context, context.socket(zmq.SUB) as socket:
            socket.connect(endpoint)
            socket.subscribe(DAEMON_TOPIC + "tick")
            found: list[Tick] = []
            while len(found) < count:
                assert socket.poll(int(BOUND_S * 1000)), "no tick"
                event = codec.decode_event(socket.recv_multipart()[1])
                assert isinstance(event, Tick)
                found.append(event)
            return found

    async def run() -> None:
        async with a_daemon(tmp_path) as client:
            (endpoint,) = (await client.hello()).events
            (before,) = await asyncio.to_thread(ticks, endpoint, 1)
            clock.ahead_ms = jump_ms
            after = await asyncio.to_thread(ticks, endpoint, 2)
            assert [round((tick.at_ms - before.at_ms - jump_ms) / 60_000) for tick in after] == [0, 0]

    asyncio.run(run())


def test_idle_times_follow_the_clock(clock: JumpingClock, tmp_path: Path) -> None:
    """We expect an open job to be held back once the clock says that it was idle for long, not when it is set back."""

    async def run() -> None:
        async with a_daemon(tmp_path, open_idle_s=3600) as client:
            job_id = (await client.submit([{"params": {"prompt": "a"}}], more=True)).job_id
            clock.ahead_ms = -HOUR_MS
            await client.append(job_id, 1, ["b"])
            assert (await client.job(job_id)).paused is None
            clock.ahead_ms = 2 * HOUR_MS

            async def is_paused() -> bool:
                return (await client.job(job_id)).paused is not None

            await until(is_paused)
            await client.resume(job_id)
            assert (await client.seal(job_id)).total == 2
            assert (await client.wait(job_id, BOUND_S)).state == "succeeded"

    asyncio.run(run())


def test_a_wrong_clock_makes_nothing_old(
    clock: JumpingClock, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """We expect that jobs and events are kept when the clock says that years have passed, and the log to say so."""

    async def run() -> None:
        async with a_daemon(tmp_path, head="[retention]\nevents_days = 1\njobs_days = 1") as client:
            job_id = (await client.submit([{"params": {"prompt": "a"}}])).job_id
            await client.wait(job_id, BOUND_S)
            clock.ahead_ms = 24 * 365 * HOUR_MS
            told = ""

            async def is_told() -> bool:
                nonlocal told
                told += "".join(capfd.readouterr())
                return told.count("nothing is removed") > 1

            await until(is_told)
            assert (await client.job(job_id)).state == "succeeded"

    asyncio.run(run())


@pytest.mark.parametrize(("jump_ms", "way"), [(3 * HOUR_MS, "3 h forward"), (-3 * HOUR_MS, "3 h back")])
def test_the_doctor_tells_of_a_jump(clock: JumpingClock, tmp_path: Path, jump_ms: int, way: str) -> None:
    """We expect how far and which way the clock was set, and what to do about it, until it is right again."""

    async def run() -> None:
        async with a_daemon(tmp_path) as client:

            async def found() -> Finding:
                return next(finding for finding in await client.check() if finding.part == "clock")

            assert (await found()).ok
            clock.ahead_ms = jump_ms
            jumped = await found()
            assert not jumped.ok
            assert way in jumped.detail
            assert "restart the daemon" in jumped.advice
            clock.ahead_ms = 0
            assert (await found()).ok

    asyncio.run(run())


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
def test_figures_stay_figures(clock: JumpingClock, tmp_path: Path, jump_ms: int) -> None:
    """We expect the end of a run over which the clock was set to be stored, and no figure below nothing."""

    async def run() -> None:
        async with a_daemon(tmp_path) as client:
            gate = Gate(tmp_path / "gate")
            job_id = (await client.submit([{"params": gate.item("a")}, {"params": {"prompt": "b"}}])).job_id
            await asyncio.to_thread(gate.wait)
            clock.ahead_ms = jump_ms
            gate.open()
            job = await client.wait(job_id, BOUND_S)
            assert job.state == "succeeded"
            await client.wait((await client.submit(["c"])).job_id, BOUND_S)
            for stats in (await client.stats(job_id), await client.stats(), await client.stats(window_s=7200)):
                assert stats.until_ms >= stats.since_ms
                assert 0 <= stats.busy <= 1
                assert stats.items_per_s >= 0
                for figures in (stats.run_s, stats.wait_s):
                    assert figures is None or min(msgspec.structs.astuple(figures)) >= 0

    asyncio.run(run())
