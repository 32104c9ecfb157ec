"""The engine `openai` and its server: what it asks for, what it keeps, and what it makes of trouble."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.conformance.bench import Recorder, members, run, started, submit, until, within_bound
from tests.fakes.openai.harness import OpenAIProcess
from tests.fakes.openai.words import CONTEXT, vector_of

from stoker_daemon.engines.openai import OpenAIEngine
from stoker_daemon.engines.openai import engine as engine_module
from stoker_daemon.jobs.records import EngineFailure, Signature
from stoker_daemon.scheduling.limits import ServerLimits
from stoker_protocol.errors import FailureKind, Refused

KEY = "sk-very-secret"
LINE = {"method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "a"}]}}


@pytest.fixture(name="server")
def fixture_server() -> Iterator[OpenAIProcess]:
    """A fake server of the test's own."""
    with OpenAIProcess() as process:
        yield process


@asynccontextmanager
async def engine_at(server: OpenAIProcess, **options: Any) -> AsyncGenerator[OpenAIEngine]:
    """An engine at work."""
    async with started(OpenAIEngine("llm", url=server.url, lane="llm", **options)) as engine:
        yield engine


async def begin(engine: OpenAIEngine, *items: dict[str, Any]) -> tuple[asyncio.Task[bool], Recorder]:
    """A run that is on its way."""
    await within_bound(engine.load(""))
    recorder = Recorder()
    return asyncio.create_task(engine.run("run", members(*items), recorder)), recorder


def tried(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario within a bound."""
    asyncio.run(within_bound(scenario()))


def failed(recorder: Recorder) -> list[tuple[int, str]]:
    """Who failed, and how."""
    return sorted((position, str(kind)) for position, kind, _ in recorder.failures)


def test_answers_of_all_kinds(server: OpenAIProcess) -> None:
    """Texts, JSON, tool calls, vectors and lines of batch files become files, with the usage in their records."""

    async def scenario() -> None:
        tools: list[dict[str, Any]] = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
        async with engine_at(server) as engine:
            recorder = await run(
                engine,
                {"prompt": "a"},
                {"prompt": "a", "response_format": {"type": "json_object"}},
                {"prompt": "a", "tools": tools},
                {"input": "a", "dimensions": 3},
                LINE,
                {"prompt": "aaaaaaaaa", "max_tokens": 2},
            )
            outputs = {output.position: output for output in recorder.outputs}
            assert [outputs[n].suffix for n in range(6)] == [".txt", ".json", ".json", ".json", ".json", ".txt"]
            assert json.loads(outputs[1].data) == {"echo": "a"}
            [call] = json.loads(outputs[2].data)["choices"][0]["message"]["tool_calls"]
            assert call["function"] == {"name": "look", "arguments": '{"q": "x"}'}
            assert json.loads(outputs[3].data) == vector_of("a", 3)
            whole = json.loads(outputs[4].data)
            assert (whole["object"], whole["model"]) == ("chat.completion", "tiny")
            assert whole["choices"][0]["message"]["content"].encode() == outputs[0].data
            assert len(outputs[5].data.split()) == 2
            assert [outputs[n].record.get("finish_reason") for n in (0, 2, 5)] == ["stop", "tool_calls", "length"]
            assert outputs[0].record["usage"] == {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}
            assert recorder.failures == []

    tried(scenario)


def test_completions(server: OpenAIProcess) -> None:
    """The recipe `completion` sends the bare prompt, and its answer is a text, too."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            placement = engine.place(structs.replace(submit({"prompt": "a"}), recipe="completion"))
            recorder = Recorder()
            await within_bound(engine.load(placement.model))
            assert await engine.run("run", members({"prompt": "a"}, template=placement.template), recorder)
            assert [output.suffix for output in recorder.outputs] == [".txt"]
            assert recorder.outputs[0].data.startswith(b"w")
        assert server.state()["count"]["/v1/completions"] == 1
        assert server.state()["requests"][0]["prompt"] == "a"

    tried(scenario)


def test_the_model_of_a_line(server: OpenAIProcess) -> None:
    """A job of lines belongs to the model that they name, and a strange recipe or profile is refused."""

    async def scenario() -> None:
        async with engine_at(server, default_model="tiny") as engine:
            assert engine.place(submit({**LINE, "body": {"model": "other"}})).model == "other"
            assert engine.place(submit(LINE)).model == "tiny"
            for field, value in (("recipe", "chatt"), ("profile", "speed")):
                with pytest.raises(Refused) as refused:
                    engine.place(structs.replace(submit(LINE), **{field: value}))
                assert refused.value.field == field

    tried(scenario)


def test_requests_go_out_together(server: OpenAIProcess) -> None:
    """The items of a run are at the server at the same time, and their tokens tell how far it is."""

    async def scenario() -> None:
        async with engine_at(server, limits=ServerLimits(concurrency=4)) as engine:
            assert engine.max_batch(Signature("llm", "tiny", "tiny")) == engine.limit == 4
            placement = engine.place(submit({"input": "a"}))
            assert engine.max_batch(placement.signature) == 64
            task, recorder = await begin(engine, *[{"prompt": "!hold"}] * 4)
            await asyncio.to_thread(server.wait_until_held, 4)
            server.release()
            assert await task is True
            assert sorted(recorder.positions) == [0, 1, 2, 3]
            fractions = [fraction for fraction in recorder.fractions if fraction is not None]
            assert fractions == sorted(fractions)
            assert fractions[0] == 0
        assert server.state()["most"] == 4

    tried(scenario)


def test_runs_at_a_time(server: OpenAIProcess) -> None:
    """Several runs are at work at a time, each for its own model, and a stop ends only the one that is meant."""

    async def scenario() -> None:
        async with engine_at(server, in_slots=True) as engine:
            tasks: dict[str, asyncio.Task[bool]] = {}
            for model in ("tiny", "other", "third"):
                placement = engine.place(submit({"prompt": "!hold"}, model=model))
                assert engine.max_batch(placement.signature) == 1
                await within_bound(engine.load(model))
                items = members({"prompt": "!hold"}, template=placement.template)
                tasks[model] = asyncio.create_task(engine.run(model, items, Recorder()))
            await asyncio.to_thread(server.wait_until_held, 3)
            await engine.interrupt("other")
            await engine.terminate(force=False)
            assert await tasks["other"] is False
            server.release()
            assert [await tasks["tiny"], await tasks["third"]] == [True, True]
        assert {body["model"] for body in server.state()["requests"]} == set(tasks)

    tried(scenario)


def test_texts_share_a_request(server: OpenAIProcess) -> None:
    """Vectors made in the same way are asked for at once, others apart; a text that can't be costs only itself."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            texts: list[dict[str, Any]] = [{"input": f"t{n}"} for n in range(5)]
            recorder = await run(engine, *texts, {"input": "t9", "dimensions": 2})
            assert {o.position: json.loads(o.data) for o in recorder.outputs} == {
                **{n: vector_of(f"t{n}", 8) for n in range(5)},
                5: vector_of("t9", 2),
            }
            assert server.state()["count"]["/v1/embeddings"] == 2
            assert {o.position: o.record.get("texts") for o in recorder.outputs}[0] == 5
            recorder = await run(engine, {"input": "x"}, {"input": "long " * (CONTEXT + 1)}, {"input": "y"})
            assert sorted(recorder.positions) == [0, 2]
            assert failed(recorder) == [(1, "invalid")]

    tried(scenario)


def test_what_fails_alone(server: OpenAIProcess) -> None:
    """Refusals, filters, limits, broken streams and faults are outcomes of their items, and all others succeed."""
    orders = {
        "!refuse": "refused",
        "!filter": "refused",
        "!policy": "refused",
        "long " * (CONTEXT + 1): "invalid",
        "!cut": "server_error",
        "!garbage": "server_error",
        "!latin": "server_error",
        "!huge": "server_error",
        "!fault": "server_error",
        "!oom": "oom",
    }

    async def scenario() -> None:
        async with engine_at(server) as engine:
            items = [{"prompt": "good"}, *({"prompt": order} for order in orders), {"prompt": "fine"}]
            recorder = await run(engine, *items)
            assert sorted(recorder.positions) == [0, len(items) - 1]
            assert failed(recorder) == [(n, kind) for n, kind in enumerate(orders.values(), start=1)]
            messages = {position: message for position, _, message in recorder.failures}
            assert "I can't help with that." in messages[1]
            assert "maximum context length" in messages[4]
            assert engine.facts().state == "ready"

    tried(scenario)


def test_what_is_rejected(server: OpenAIProcess) -> None:
    """An answer that is not as expected is kept, and its item rejected with the reason; no other item hears of it."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            recorder = await run(
                engine,
                {"prompt": "a", "expect": {"min_length": 3}},
                {"prompt": "a", "expect": {"matches": "dragon"}},
                {**LINE, "expect": {"max_length": 2}},
                {"prompt": "!refuse", "expect": {"matches": "dragon"}},
            )
            assert sorted(recorder.positions) == [0, 1, 2]
            assert sorted((position, state) for position, state, _ in recorder.verdicts) == [
                (1, "rejected"),
                (2, "rejected"),
            ]
            assert failed(recorder) == [(3, "refused")]
            assert "expect" not in server.state()["requests"][0]

    tried(scenario)


def test_a_model_that_is_gone(server: OpenAIProcess) -> None:
    """A model that the server does not know after all fails the item for good, as the server says it."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            await within_bound(engine.load("gone"))
            recorder = Recorder()
            assert await engine.run("run", members({"prompt": "a"}), recorder)
            assert [(kind, "does not exist" in text) for _, kind, text in recorder.failures] == [("invalid", True)]

    tried(scenario)


def test_a_server_that_takes_no_more(server: OpenAIProcess) -> None:
    """Requests that were too many are sent again when the server said, at no cost, and the wait is known as one."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            server.defects(limited=6, loading=3, retry_after="0.1")
            recorder = await run(engine, *[{"prompt": "a"}] * 4)
            assert sorted(recorder.positions) == [0, 1, 2, 3]
            assert (recorder.failures, recorder.waits > 0) == ([], True)
            assert server.state()["count"]["/v1/chat/completions"] == 4 + 6 + 3

    tried(scenario)


@pytest.mark.parametrize("defects", [{"limited": 100, "retry_after": "120"}, {"broke": True}])
def test_a_wait_that_is_too_long(server: OpenAIProcess, defects: dict[str, Any]) -> None:
    """A server that wants a long pause, or money, has the run handed back at no cost, and nothing is sent meanwhile."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            server.defects(**defects)
            task, recorder = await begin(engine, {"prompt": "a"})
            with pytest.raises(EngineFailure, match="429") as away:
                await task
            assert (away.value.unavailable, away.value.kind, recorder.failures) == (True, FailureKind.RATE_LIMIT, [])
            with pytest.raises(EngineFailure):
                await engine.load("")
            assert "takes no requests" in engine.facts().detail
            assert server.state()["count"]["/v1/chat/completions"] == 1

    tried(scenario)


def test_a_cancel_while_waiting(server: OpenAIProcess) -> None:
    """A run that waits for the server's leave ends at once when it is told to."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            server.defects(limited=1, retry_after="50")
            task, recorder = await begin(engine, {"prompt": "a"})
            await until(lambda: recorder.waits)
            await engine.interrupt("run")
            assert await task is False
            assert server.state()["open"] == 0

    tried(scenario)


def test_a_cancel_ends_the_request(server: OpenAIProcess) -> None:
    """The server hears that nobody waits any more for an answer that was cancelled."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            task, _ = await begin(engine, {"prompt": "!hold"}, {"prompt": "!hold"})
            await asyncio.to_thread(server.wait_until_held, 2)
            await engine.interrupt("run")
            assert await task is False
            await until(lambda: server.state()["open"] == 0)

    tried(scenario)


def test_a_key(tmp_path: Path) -> None:
    """The key is sent, read anew when it did not do, and never told; without one the engine is down and says why."""
    file = tmp_path / "key"

    async def scenario() -> None:
        with OpenAIProcess(key=KEY) as server:
            async with engine_at(server, key_file=file) as engine:
                assert (engine.facts().state, str(file) in engine.facts().detail) == ("down", True)
                with pytest.raises(EngineFailure):
                    await engine.load("")
                file.write_text("sk-wrong-one\n")
                with pytest.raises(EngineFailure, match="401") as wrong:
                    await engine.load("")
                assert wrong.value.unavailable
                assert f"correct the key ({file})" in engine.facts().detail
                assert "sk-wrong-one" not in wrong.value.message + engine.facts().detail
                file.write_text(KEY + "\n")
                recorder = await run(engine, {"prompt": "a"})
                assert recorder.positions == [0]
                assert KEY not in repr(recorder.outputs) + repr(engine.facts())

    tried(scenario)


def test_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key may be in a variable; one that is not there keeps the engine down by name."""

    async def scenario() -> None:
        with OpenAIProcess(key=KEY) as server:
            async with engine_at(server, key_env="STOKER_TEST_KEY") as engine:
                assert "STOKER_TEST_KEY" in engine.facts().detail
                monkeypatch.setenv("STOKER_TEST_KEY", KEY)
                assert (await run(engine, {"prompt": "a"})).positions == [0]

    tried(scenario)


def test_a_server_that_is_away(server: OpenAIProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that can't be reached costs no item anything, and the engine says when it is there again."""
    monkeypatch.setattr(engine_module, "ATTEND_S", 0.05)

    async def scenario() -> None:
        async with engine_at(server) as engine:
            news: list[str] = []
            engine.subscribe(lambda: news.append(engine.facts().state))
            await within_bound(engine.load("tiny"))
            assert engine.presumed == "tiny"
            server.kill()
            recorder = Recorder()
            with pytest.raises(EngineFailure, match="does not answer") as away:
                await engine.run("run", members({"prompt": "a"}), recorder)
            assert (away.value.unavailable, away.value.died, recorder.failures) == (True, False, [])
            assert (engine.facts().state, engine.presumed) == ("down", "")
            with pytest.raises(EngineFailure):
                await engine.load("")
            server.start()
            await until(lambda: news)
            assert news == ["ready"]
            assert (await run(engine, {"prompt": "a"})).positions == [0]

    tried(scenario)


def test_a_request_that_ends_the_server(server: OpenAIProcess) -> None:
    """A server that dies in the middle of a run is a crash, so that who brought it about is found."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            task, _ = await begin(engine, {"prompt": "!hold"}, {"prompt": "!die"})
            with pytest.raises(EngineFailure, match="gone") as death:
                await task
            assert (death.value.kind, death.value.died, death.value.unavailable) == (FailureKind.CRASH, True, False)

    tried(scenario)


def test_whose_request_it_was(server: OpenAIProcess) -> None:
    """Runs that were there together when the server died cost nothing, and the guilty one is found when it is alone."""

    async def scenario() -> None:
        async with engine_at(server) as engine:

            async def begin_all() -> list[asyncio.Task[bool]]:
                await within_bound(engine.load(""))
                items = members({"prompt": "!hold"}, {"prompt": "!die"})
                innocent = asyncio.create_task(engine.run("innocent", items[:1], Recorder()))
                await asyncio.to_thread(server.wait_until_held)
                guilty = asyncio.create_task(engine.run("guilty", items[1:], Recorder()))
                return [innocent, guilty, asyncio.create_task(engine.run("late", members({"prompt": "a"}), Recorder()))]

            for task in await begin_all():
                with pytest.raises(EngineFailure) as blameless:
                    await task
                assert (blameless.value.died, blameless.value.unavailable) == (False, True)
            server.start()
            innocent, guilty, late = await begin_all()
            await asyncio.sleep(0)
            assert not guilty.done()
            server.release()
            assert await innocent
            with pytest.raises(EngineFailure) as death:
                await guilty
            assert (death.value.died, death.value.unavailable) == (True, False)
            with pytest.raises(EngineFailure) as blameless:
                await late
            assert (blameless.value.died, blameless.value.unavailable) == (False, True)

    tried(scenario)


def test_a_server_that_falls_silent(server: OpenAIProcess) -> None:
    """A stream that stops in the middle fails its item when the server was silent for too long, and only that."""

    async def scenario() -> None:
        async with engine_at(server, silence_s=0.3) as engine:
            recorder = await run(engine, {"prompt": "!hold"}, {"prompt": "a"})
            assert (recorder.positions, failed(recorder)) == ([1], [(0, "timeout")])

    tried(scenario)


def test_a_server_that_is_slow_to_begin(server: OpenAIProcess) -> None:
    """A server that says nothing at all for too long fails the item as late, and the engine stays ready for others."""

    async def scenario() -> None:
        server.defects(load_s=30)
        async with engine_at(server, silence_s=0.3) as engine:
            recorder = await run(engine, {"prompt": "a"})
            assert (recorder.positions, failed(recorder)) == ([], [(0, "timeout")])
            assert engine.facts().state == "ready"

    tried(scenario)


@pytest.mark.parametrize("way", ["server", "engine"])
def test_answers_in_one_piece(server: OpenAIProcess, way: str) -> None:
    """A server that does not stream gives the same answers, whether that was known or not."""

    async def scenario() -> None:
        async with engine_at(server) as engine:
            streamed = await run(engine, {"prompt": "a"}, {"prompt": "!refuse"})
        server.defects(no_stream=way == "server")
        async with engine_at(server, streams=way == "server") as engine:
            whole = await run(engine, {"prompt": "a"}, {"prompt": "!refuse"})
        assert [output.data for output in whole.outputs] == [output.data for output in streamed.outputs]
        assert whole.outputs[0].record["usage"] == streamed.outputs[0].record["usage"]
        assert whole.failures == streamed.failures

    tried(scenario)


def test_a_server_without_a_list(server: OpenAIProcess) -> None:
    """Where no models are listed any name will do, and what is wrong with it turns out in the run."""

    async def scenario() -> None:
        server.defects(no_list=True)
        async with engine_at(server, default_model="tiny") as engine:
            assert (engine.facts().state, engine.facts().models) == ("ready", [])
            assert engine.place(submit(LINE, model="anything")).model == "anything"
            assert (await run(engine, {"prompt": "a"})).positions == [0]
        assert server.state()["requests"][0]["model"] == "tiny"

    tried(scenario)
