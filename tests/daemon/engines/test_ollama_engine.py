"""The engine `ollama` and its server: what it loads and lets go, and what it makes of trouble."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.conformance.bench import Recorder, checked, members, run, started, submit, until, within_bound
from tests.fakes.ollama.harness import OllamaProcess
from tests.fakes.ollama.http import PULLABLE, SIZES

from stoker_daemon.engines.ollama import OllamaEngine
from stoker_daemon.engines.ollama import engine as engine_module
from stoker_daemon.engines.openai import engine as openai_module
from stoker_daemon.jobs.records import EngineFailure, Resident
from stoker_protocol.errors import FailureKind, Refused


@pytest.fixture(name="server")
def fixture_server() -> Iterator[OllamaProcess]:
    """A fake server of the test's own."""
    with OllamaProcess() as process:
        yield process


@asynccontextmanager
async def engine_at(server: OllamaProcess, **options: Any) -> AsyncGenerator[OllamaEngine]:
    """An engine at work."""
    async with started(OllamaEngine("ollama", url=server.url, lane="gpu", **options)) as engine:
        yield engine


def tried(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario within a bound."""
    asyncio.run(within_bound(scenario()))


def test_models(server: OllamaProcess) -> None:
    """Models are known by their whole names, with their sizes; a name without a tag means the latest."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            facts = engine.facts()
            assert (facts.kind, [model.name for model in facts.models]) == ("ollama", list(SIZES))
            assert facts.models[0].summary == "llama 3.2B Q4_K_M, 2.0 GB"
            assert engine.place(submit({"prompt": "a"}, model="tiny")).model == "tiny:latest"
            body = {"model": "tiny", "messages": [{"role": "user", "content": "a"}]}
            await checked(engine, submit({"body": body}, model="tiny:latest"))
            with pytest.raises(Refused, match="is another"):
                await checked(engine, submit({"body": {**body, "model": "other:3b"}}, model="tiny"))

    tried(scenario)


def test_what_it_holds(server: OllamaProcess) -> None:
    """Loads are counted once, what others loaded is known too, and all of it is given back when asked for."""

    async def scenario() -> None:
        async with engine_at(server, keep_alive="30m") as engine:
            assert await engine.load("tiny:latest") > 0
            assert await engine.load("tiny") == 0
            assert server.state()["memory"] == {"tiny:latest": "30m"}
            async with engine_at(server) as another:
                assert another.residents() == [Resident("tiny:latest", SIZES["tiny:latest"])]
                assert await another.load("other:3b") > 0
            await engine.unload("")
            assert (server.state()["memory"], engine.residents()) == ({}, [])
            assert server.state()["loads"] == ["tiny:latest", "other:3b"]

    tried(scenario)


def test_answers(server: OllamaProcess) -> None:
    """Chats, completions and vectors are had from the model that was loaded, which stays as long as was said."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            recorder = await run(engine, {"prompt": "a"}, {"prompt": "!refuse"}, model="other:3b")
            assert (recorder.positions, [kind for _, kind, _ in recorder.failures]) == ([0], ["refused"])
            texts = [{"input": f"t{number}"} for number in range(20)]
            recorder = await run(engine, *texts, model="embed:latest")
            assert sorted(recorder.positions) == list(range(20))
            state = server.state()
            assert state["count"]["/v1/embeddings"] == 1
            assert {body["model"] for body in state["requests"]} == {"other:3b", "embed:latest"}
            assert state["memory"] == {"other:3b": "10m", "embed:latest": "10m"}

    tried(scenario)


def test_a_model_that_was_thrown_out(server: OllamaProcess) -> None:
    """What Ollama evicted since is loaded again with the next run, counted as a load, and no item hears of it."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            await run(engine, {"prompt": "a"}, model="tiny")
            server.evict()
            assert engine.residents() != []
            assert await engine.load("tiny:latest") > 0
            recorder = Recorder()
            server.evict()
            assert await engine.run("run", members({"prompt": "a"}), recorder)
            assert (recorder.positions, recorder.failures) == ([0], [])

    tried(scenario)


def test_what_is_not_freed(server: OllamaProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Ollama that keeps what it was to unload is not believed, and a later try may succeed."""
    monkeypatch.setattr(engine_module, "FREED_S", 0.3)

    async def scenario() -> None:
        async with engine_at(server) as engine:
            await engine.load("tiny")
            server.defects(keeps=True)
            with pytest.raises(EngineFailure, match="tiny:latest can't be unloaded") as kept:
                await engine.unload("tiny:latest")
            assert kept.value.kind is FailureKind.TIMEOUT
            assert [each.residency for each in engine.residents()] == ["tiny:latest"]
            server.defects(keeps=False)
            await engine.unload("tiny:latest")
            assert engine.residents() == []

    tried(scenario)


def test_what_can_not_be_loaded(server: OllamaProcess) -> None:
    """A model that does not fit is out of memory, one that is gone is invalid, a slow load is late; all in words."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            for model, kind, words in (
                ("giant:70b", FailureKind.OOM, "more system memory"),
                ("gone", FailureKind.INVALID, "not found"),
            ):
                with pytest.raises(EngineFailure, match=words) as failure:
                    await engine.load(model)
                assert (failure.value.kind, failure.value.unavailable) == (kind, False)
        server.defects(load_s=30)
        async with engine_at(server, load_timeout_s=0.2) as engine:
            with pytest.raises(EngineFailure, match="takes too long") as late:
                await engine.load("tiny")
            assert late.value.kind is FailureKind.TIMEOUT

    tried(scenario)


def test_pulls_are_refused(server: OllamaProcess) -> None:
    """A model that is not there is refused with the way to get it, and nothing is downloaded."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            with pytest.raises(Refused) as refused:
                engine.place(submit({"prompt": "a"}, model="fresh"))
            assert "`ollama pull fresh:latest`" in refused.value.hint
            with pytest.raises(EngineFailure, match="not found"):
                await engine.load("fresh")
            assert "/api/pull" not in server.state()["count"]

    tried(scenario)


def test_pulls_where_they_are_allowed(server: OllamaProcess) -> None:
    """Where the configuration allows it a model is downloaded once; one that is nowhere, or broke off, says so."""

    async def scenario() -> None:
        async with engine_at(server, pulls=True) as engine:
            assert engine.place(submit({"prompt": "a"}, model="fresh")).model == PULLABLE
            server.defects(drops=True)
            with pytest.raises(EngineFailure, match="before it was whole"):
                await engine.load(PULLABLE)
            server.defects(drops=False)
            assert (await run(engine, {"prompt": "a"}, model=PULLABLE)).positions == [0]
            assert PULLABLE in {model.name for model in engine.facts().models}
            await engine.unload("")
            assert await engine.load(PULLABLE) > 0
            assert server.state()["count"]["/api/pull"] == 2
            with pytest.raises(EngineFailure, match="file does not exist"):
                await engine.load("nowhere")

    tried(scenario)


def test_a_server_that_is_away(server: OllamaProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that died holds nothing, costs no item anything, and its return is told."""
    monkeypatch.setattr(openai_module, "ATTEND_S", 0.05)

    async def scenario() -> None:
        async with engine_at(server) as engine:
            await engine.load("tiny")
            server.kill()
            with pytest.raises(EngineFailure, match="does not answer") as away:
                await engine.load("tiny")
            assert away.value.unavailable
            assert (engine.facts().state, engine.residents()) == ("down", [])
            await engine.unload("")
            server.start()
            await until(lambda: engine.facts().state == "ready")
            assert (await run(engine, {"prompt": "a"})).positions == [0]

    tried(scenario)


def test_what_changes_is_seen(server: OllamaProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others load or let go is known a moment later without anybody asking."""
    monkeypatch.setattr(openai_module, "ATTEND_S", 0.05)

    async def scenario() -> None:
        async with engine_at(server) as engine, engine_at(server) as another:
            await another.load("tiny")
            await until(lambda: engine.residents())
            await another.unload("")
            await until(lambda: not engine.residents())

    tried(scenario)
