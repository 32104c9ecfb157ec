"""The engine `mcp` against a real server: what may be called, what is kept, and what becomes of one that dies."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.bench import Recorder, checked, members, run, started, submit, until, within_bound
from tests.system.daemons import REPOSITORY
from tests.worker.processes import is_alive

from stoker_daemon.engines.mcp import MCPEngine, Program, ToolServer
from stoker_daemon.jobs.records import EngineFailure
from stoker_protocol.errors import FailureKind, Refused

ALLOWED = ("write", "read", "add", "picture", "say", "stay", "die", "huge")


def engine_of(folder: Path, *allowed: str, start_timeout_s: float = 30.0, **environment: str) -> MCPEngine:
    """An engine for the tools of the tests, which write into a folder."""
    argv = (sys.executable, str(REPOSITORY / "tests/models/tools.py"), str(folder))
    server = ToolServer("tools", Program(argv, environment, None, start_timeout_s), folder / "tools.pid")
    return MCPEngine(
        "tools",
        lane="tools",
        server=server,
        allowed=allowed or ALLOWED,
        max_parallel=4,
        max_output_bytes=1 << 20,
    )


def test_what_it_makes(tmp_path: Path) -> None:
    """We expect texts, data and pictures as files with their types, and the calls to have had their effect."""

    async def scenario() -> None:
        async with started(engine_of(tmp_path)) as engine:
            told = await run(engine, {"path": "a.txt", "text": "hello"}, recipe="write")
            assert (told.done, told.outputs[0].data) == ([0], b"5 characters are in a.txt")
            assert (tmp_path / "a.txt").read_text() == "hello"
            told = await run(engine, {"a": 2, "b": 3}, {"a": 2}, recipe="add")
            data = [output for output in told.outputs if output.media_type == "application/json"]
            assert {output.position: json.loads(output.data) for output in data} == {0: {"sum": 5}, 1: {"sum": 3}}
            (picture,) = (await run(engine, {}, recipe="picture")).outputs
            assert (picture.data, picture.media_type, picture.suffix) == (b"\x89PNG and so on", "image/png", ".png")

    asyncio.run(scenario())


def test_what_fails_one_call_only(tmp_path: Path) -> None:
    """We expect a tool's own failure, a refused call and a huge answer to fail their items and no others."""

    async def scenario() -> None:
        async with started(engine_of(tmp_path)) as engine:
            (tmp_path / "there").write_text("text")
            told = await run(engine, {"path": "nowhere"}, {"path": "there"}, recipe="read")
            assert told.done == [1]
            ((position, kind, message),) = told.failures
            assert (position, kind) == (0, FailureKind.INVALID)
            assert message.startswith("read failed: ")
            ((_, kind, message),) = (await run(engine, {}, recipe="huge")).failures
            assert kind == FailureKind.INVALID
            assert "are kept at most" in message

    asyncio.run(scenario())


def test_only_what_is_allowed(tmp_path: Path) -> None:
    """We expect a tool that the server has but the configuration does not name to be refused, and never called."""

    async def scenario() -> None:
        async with started(engine_of(tmp_path)) as engine:
            assert "secret" in engine.server.tools
            assert "secret" not in {recipe.name for recipe in engine.recipes()}
            with pytest.raises(Refused, match="does not allow the tool 'secret'") as refused:
                engine.place(submit({}, recipe="secret"))
            assert refused.value.field == "recipe"
            recorder = Recorder()
            await within_bound(engine.run("run", members({}, template=b"secret"), recorder))
            assert recorder.failures[0][1] == FailureKind.REFUSED
            assert not (tmp_path / "secret").exists()
        async with started(engine_of(tmp_path, "*")) as engine:
            assert "secret" in {recipe.name for recipe in engine.recipes()}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("item", "field"),
    [({"a": "x"}, "items[0].params.a"), ({"b": 1}, "items[0].params"), ({"a": 1, "b": None}, "items[0].params.b")],
)
def test_arguments_are_checked_by_the_schema(tmp_path: Path, item: dict[str, Any], field: str) -> None:
    """We expect arguments that the tool does not take to be refused as they come in, by name."""

    async def scenario() -> None:
        async with started(engine_of(tmp_path)) as engine:
            with pytest.raises(Refused) as refused:
                await checked(engine, submit(item, recipe="add"))
            assert refused.value.field == field

    asyncio.run(scenario())


def test_server_that_dies(tmp_path: Path) -> None:
    """We expect a death to be told as one, and the server to be there again for the next run."""

    async def scenario() -> None:
        async with started(engine_of(tmp_path)) as engine:
            await within_bound(engine.load("die"))
            with pytest.raises(EngineFailure) as death:
                await within_bound(engine.run("run", members({}, template=b"die"), Recorder()))
            assert (death.value.kind, death.value.died) == (FailureKind.CRASH, True)
            assert engine.facts().state == "down"
            assert (await run(engine, {"a": 1}, recipe="add")).done == [0]
            assert engine.facts().state == "ready"

    asyncio.run(scenario())


def test_server_that_is_none(tmp_path: Path) -> None:
    """We expect an engine that is down, and says why, where the program is not there or never says what it offers."""

    async def scenario() -> None:
        absent = MCPEngine(
            "tools",
            lane="tools",
            server=ToolServer("tools", Program(("no-such-program",), {}, None, 30.0), tmp_path / "tools.pid"),
            allowed=("read",),
            max_parallel=1,
            max_output_bytes=1,
        )
        silent = engine_of(tmp_path, start_timeout_s=0.5, STOKER_TEST_SILENT="1")
        for engine, why in ((absent, "no-such-program"), (silent, "said nothing for 0.5 s")):
            async with started(engine):
                assert engine.facts().state == "down"
                assert why in engine.facts().detail
                assert engine.place(submit({}, recipe="read")).recipe == "read"  # accepted, for when it is there
                with pytest.raises(EngineFailure) as failure:
                    await within_bound(engine.load("read"))
                assert failure.value.unavailable

    asyncio.run(scenario())


def test_interrupt_and_end(tmp_path: Path) -> None:
    """We expect an interrupted call to end the run, and a stopped engine to leave no process behind."""

    async def scenario() -> int:
        async with started(engine_of(tmp_path)) as engine:
            recorder = Recorder()
            await within_bound(engine.load("stay"))
            running = asyncio.create_task(engine.run("run", members({}, template=b"stay"), recorder))
            await until((tmp_path / "staying").exists)
            await until(lambda: any(recorder.fractions))
            await engine.interrupt("another")
            await engine.interrupt("run")
            assert await within_bound(running) is False
            assert (await run(engine, {"a": 1}, recipe="add")).done == [0]
        return int((tmp_path / "staying").read_text())

    assert not is_alive(asyncio.run(scenario()))
