"""No prompt is ever sent twice while the server may have it, whatever is cut, late, lost or cleared on the way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, started, until, within_bound
from tests.daemon.engines.comfyui_bench import HELD, ITEM, Stranger, at_work, cut_short, run_items, tried
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.engines.comfyui.progress import NodeTimes
from stoker_daemon.engines.comfyui.prompts import Prompts
from stoker_daemon.engines.comfyui.server import Faulty, Server
from stoker_daemon.engines.comfyui.stream import Stream
from stoker_daemon.jobs.records import EngineFailure
from stoker_protocol.errors import FailureKind


class Cutter:
    """Passes all bytes on to a server; cuts off who sends a prompt as soon as all of it has been passed on."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])
        self.cuts = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, onward = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._pass_back(there, writer))
        try:
            while data := await reader.read(1 << 20):
                onward.write(data)
                if self.cuts and data.startswith(b"POST /prompt"):
                    self.cuts -= 1
                    writer.transport.abort()
                    await back
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            onward.close()
            writer.close()
            self._tasks.discard(task)

    async def stop(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)

    async def _pass_back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await there.read(1 << 20):
                writer.write(data)
        writer.close()


@asynccontextmanager
async def cutting(server: ComfyProcess) -> AsyncGenerator[tuple[Cutter, str]]:
    """A cutter in front of a server, and its URL."""
    cutter = Cutter(server.url)
    listening = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    try:
        yield cutter, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await cutter.stop()


def sent(server: ComfyProcess) -> int:
    """How many prompts the server was sent."""
    return server.state()["requests"].get("POST /prompt", 0)


@pytest.mark.parametrize("latency_s", [0.0, 3.0])
def test_a_server_that_looks_late(server: ComfyProcess, tmp_path: Path, latency_s: float) -> None:
    """A prompt whose connection is cut before the server has looked at it is found, however late that is, and kept."""

    async def scenario() -> None:
        async with (
            cutting(server) as (cutter, url),
            started(comfyui_case.engine(tmp_path, url)) as engine,
        ):
            server.defects(post_latency_s=latency_s)
            cutter.cuts = 1
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, ITEM)) is True
            assert (recorder.positions, recorder.failures, cutter.cuts) == ([0], [], 0)
            assert (sent(server), len(server.executions())) == (1, 1)

    tried(scenario)


def test_a_stream_that_is_cut(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt whose stream was cut is known to be alive by asking, and is followed to its end without it."""

    async def scenario() -> None:
        async with cutting(server) as (cutter, url), started(comfyui_case.engine(tmp_path, url)) as engine:
            await until(lambda: server.state()["connections"] > 0)
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, HELD))
            await until(lambda: recorder.progress and recorder.progress[-1][0] == "running")
            await cutter.stop()
            told = len(recorder.progress)
            await until(lambda: len(recorder.progress) > told + 1)
            server.release()
            assert await within_bound(task) is True
            assert (recorder.positions, sent(server)) == ([0], 1)

    tried(scenario)


def test_no_number(server: ComfyProcess, tmp_path: Path) -> None:
    """Prompts take the numbers that the server gives them: two with one number can kill it."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            stranger = Stranger(server)
            task = asyncio.create_task(run_items(engine, Recorder(), HELD, ITEM))
            await until(lambda: stranger.queue()[1])
            assert sorted(stranger.numbers()) == [0, 1]
            assert all(isinstance(number, int) for number in stranger.numbers())
            await within_bound(engine.interrupt("run"))
            assert await within_bound(task) is False

    tried(scenario)


def test_an_entry_that_is_gone(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that ended but has left the history is lost, which is told once all was looked through twice."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            server.defects(max_history=0)
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, HELD))
            await within_bound(recorder.moved.wait())
            stranger = Stranger(server)
            for _ in range(2):
                stranger.submit()
            server.defects(http_frozen=True)
            server.release()
            await until(lambda: len(server.executions()) == 3)
            server.defects(http_frozen=False)
            assert await within_bound(task) is True
            assert [kind for _, kind, _ in recorder.failures] == [FailureKind.LOST]
            assert (sent(server), recorder.positions) == (3, [])

    tried(scenario)


def test_a_queue_that_is_cleared(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that somebody removes from the queue is lost, once; the one at work goes on."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, HELD, ITEM, ITEM))
            stranger = Stranger(server)
            await until(lambda: stranger.queue()[1])
            stranger.post("/queue", {"clear": True})
            await until(lambda: recorder.failures)
            server.release()
            assert await within_bound(task) is True
            assert [(position, kind) for position, kind, _ in recorder.failures] == [(1, FailureKind.LOST)]
            assert (sorted(recorder.positions), sent(server)) == ([0, 2], 3)

    tried(scenario)


def test_somebody_interrupts(server: ComfyProcess, tmp_path: Path) -> None:
    """A prompt that somebody interrupts at the server fails as that, and those after it go on."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, HELD, ITEM))
            await until(lambda: server.state()["held"])
            Stranger(server).post("/interrupt", {})
            assert await within_bound(task) is True
            ((position, kind, message),) = recorder.failures
            assert (position, kind, "somebody" in message) == (0, FailureKind.SERVER_ERROR, True)
            assert recorder.positions == [1]

    tried(scenario)


def test_a_long_run_taken_up(server: ComfyProcess, tmp_path: Path) -> None:
    """Of a run that is taken up, all prompts are looked for together, and only those that are not there are sent."""

    async def scenario() -> None:
        items = [{"prompt": str(n)} for n in range(12)]
        async with at_work(server, tmp_path / "a") as engine:
            assert await within_bound(run_items(engine, Recorder(), *items[:3])) is True
        async with at_work(server, tmp_path / "b") as engine:
            before = server.state()["requests"]["GET /queue"]
            assert await within_bound(engine.holds(cut_short("run", items))) is True
            assert server.state()["requests"]["GET /queue"] - before <= 4
            recorder = Recorder()
            assert await within_bound(run_items(engine, recorder, *items)) is True
            assert sorted(recorder.positions) == list(range(12))
            assert (sent(server), len(server.executions())) == (12, 12)

    tried(scenario)


def test_what_is_given_up(server: ComfyProcess, tmp_path: Path) -> None:
    """Prompts that could not be stopped when their run was given up are stopped as soon as that can be done."""

    async def scenario() -> None:
        async with at_work(server, tmp_path) as engine:
            recorder = Recorder()
            task = asyncio.create_task(run_items(engine, recorder, HELD, ITEM))
            await until(lambda: Stranger(server).queue()[1])
            server.defects(http_frozen=True)
            await within_bound(engine.terminate(force=True))
            with pytest.raises(EngineFailure, match="does not end"):
                await within_bound(task)
            server.defects(http_frozen=False)
            await until(lambda: Stranger(server).queue() == ([], []))
            assert len(server.executions()) == 1

    tried(scenario)


def test_a_server_with_ids_of_its_own() -> None:
    """A server that is too old to take our ids is told as such, and what it has taken is removed there."""
    removed: list[Any] = []

    async def take(_: web.Request) -> web.Response:
        return web.json_response({"prompt_id": "theirs", "number": 1, "node_errors": {}})

    async def tell(_: web.Request) -> web.Response:
        return web.json_response({"queue_running": [], "queue_pending": [[1, "theirs", {}, {}, []]]})

    async def remove(request: web.Request) -> web.Response:
        removed.append(await request.json())
        return web.Response()

    async def scenario() -> None:
        app = web.Application()
        app.add_routes([web.post("/prompt", take), web.get("/queue", tell), web.post("/queue", remove)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        http = Server(f"http://127.0.0.1:{runner.addresses[0][1]}")
        stream = Stream(http.url, lambda _: None, lambda: None)
        prompts = Prompts(http, stream, NodeTimes(), asyncio.get_running_loop().time)
        prompt = prompts.new(
            "ours",
            {},
            on_advance=lambda _: None,
            on_preview=lambda _: None,
            on_waiting=lambda: None,
            is_wanted=lambda: True,
        )
        try:
            with pytest.raises(Faulty, match=r"0\.3\.45 or newer"):
                await within_bound(prompts.send(prompt, {}, previews=False))
        finally:
            await http.close()
            await runner.cleanup()
        assert removed == [{"delete": ["theirs"]}]

    tried(scenario)
