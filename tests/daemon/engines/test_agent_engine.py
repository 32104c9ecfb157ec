"""Agents: a model by script, real tools, and a real command that says whether they are done."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conformance import openai_case
from tests.conformance.bench import Recorder, checked, members, run, started, submit, until, within_bound
from tests.daemon.engines.test_mcp_engine import engine_of
from tests.fakes.openai.words import MODELS, ROUNDS

from stoker_daemon.engines.agent import AgentEngine, Validation
from stoker_daemon.engines.command import CommandEngine
from stoker_daemon.recipes.command import Command, CommandParameter
from stoker_protocol.errors import FailureKind, Refused

Call = tuple[str, Any]
IS_RIGHT = "import sys; text = open(sys.argv[1]).read(); print('it says', text); sys.exit(text != 'right')"


@asynccontextmanager
async def an_agent(folder: Path, *, validates: bool = True, system: str = "") -> AsyncGenerator[AgentEngine]:
    """An agent with all that it uses; a task is done when the file that it is to write says `right`."""
    (folder / "workers").mkdir(exist_ok=True)
    look = Command(
        argv=(sys.executable, "-c", IS_RIGHT, "{file}"),
        cwd=str(folder),
        parameters={"file": CommandParameter(default="a.txt")},
        exit_codes={"1": "rejected"},
    )
    commands = CommandEngine("tests", lane="tests", commands={"look": look}, data_dir=folder)
    chat, tools = openai_case.engine(folder), engine_of(folder)
    agent = AgentEngine(
        "coder",
        lane="coder",
        chat=chat,
        tools=[tools],
        validation=Validation(commands, "look") if validates else Validation(),
        system=system,
        max_loops=10,
        max_parallel=4,
    )
    async with started(chat), started(tools), started(commands), started(agent):
        yield agent


def script(*rounds: list[Call]) -> str:
    """A prompt by which the model makes these calls, round by round."""
    return ROUNDS + json.dumps(rounds)


def write(text: str, path: str = "a.txt") -> Call:
    """A call that writes a file."""
    return "write", {"path": path, "text": text}


def transcript(told: Recorder, position: int = 0) -> dict[str, Any]:
    """What is kept of a task."""
    (whole,) = [output for output in told.outputs if output.position == position]
    return json.loads(whole.data)


def test_done_at_the_first_try(tmp_path: Path) -> None:
    """We expect calls to be made in their order, and the answer, all messages and the usage to be kept."""

    async def scenario() -> None:
        async with an_agent(tmp_path, system="Be brief.") as agent:
            told = await run(agent, {"prompt": script([write("wrong"), write("right"), ("read", {"path": "a.txt"})])})
            assert told.done == [0]
            kept = transcript(told)
            assert (kept["is_done"], kept["loops"], kept["complaint"]) == (True, 4, "")
            roles = [message["role"] for message in kept["messages"]]
            assert roles == ["system", "user", *["assistant", "tool"] * 3, "assistant"]
            assert kept["messages"][7]["content"] == "right"
            assert kept["answer"] == kept["messages"][-1]["content"]
            assert kept["usage"]["completion_tokens"] > 0

    asyncio.run(scenario())


def test_complaints_go_back_to_the_model(tmp_path: Path) -> None:
    """We expect the model to hear what the validation wrote, and a task to be done once that has nothing to say."""

    async def scenario() -> None:
        async with an_agent(tmp_path) as agent:
            told = await run(agent, {"prompt": script([write("wrong")], [write("right")])})
            assert told.done == [0]
            kept = transcript(told)
            (complaint,) = [message["content"] for message in kept["messages"] if message["role"] == "user"][1:]
            assert complaint.startswith("The task is not done yet.")
            assert "it says wrong" in complaint

    asyncio.run(scenario())


def test_never_done(tmp_path: Path) -> None:
    """We expect a task that its loops do not suffice for to be rejected with the reason, its transcript kept."""

    async def scenario() -> None:
        async with an_agent(tmp_path) as agent:
            told = await run(
                agent,
                {"prompt": script([write("wrong")]), "max_loops": 3},
                {"prompt": script([write("x", "b.txt")] * 9), "max_loops": 2},
            )
            verdicts = {position: (state, message) for position, state, message in told.verdicts}
            assert {state for state, _ in verdicts.values()} == {"rejected"}
            assert "not done after 3 loops" in verdicts[0][1]
            assert "still calling tools" in verdicts[1][1]
            assert transcript(told)["loops"] == 3

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("secret", None), "There is no tool secret."),
        (("write", "{not json"), "The arguments are no JSON"),
        (("write", "[]"), "The arguments are no object"),
        (("read", {"path": "nowhere"}), "The tool failed: "),
        (("die", None), "It may be tried again."),
    ],
)
def test_what_is_wrong_is_for_the_model(tmp_path: Path, call: Call, said: str) -> None:
    """We expect a call that can't be made, or fails, to be answered with the reason, and the task to go on."""

    async def scenario() -> None:
        async with an_agent(tmp_path) as agent:
            told = await run(agent, {"prompt": script([call, write("right")])})
            assert told.done == [0]
            assert said in transcript(told)["messages"][2]["content"]
            assert not (tmp_path / "secret").exists()

    asyncio.run(scenario())


def test_without_validation(tmp_path: Path) -> None:
    """We expect a task to be done when the model says so where nothing else judges it."""

    async def scenario() -> None:
        async with an_agent(tmp_path, validates=False) as agent:
            assert (await run(agent, {"prompt": script([])})).done == [0]
            with pytest.raises(Refused, match="nothing validates tasks here"):
                await checked(agent, submit({"prompt": "a", "validation": {"file": "b"}}))

    asyncio.run(scenario())


def test_refusals_of_the_model_and_of_parameters(tmp_path: Path) -> None:
    """We expect a refusing model to fail its item, and parameters that make no sense to be refused by name."""

    async def scenario() -> None:
        async with an_agent(tmp_path) as agent:
            told = await run(agent, {"prompt": "!refuse"}, {"prompt": script([write("right")])})
            assert (told.done, [failure[:2] for failure in told.failures]) == ([1], [(0, FailureKind.REFUSED)])
            for item, field in (
                ({}, "items[0].params.prompt"),
                ({"prompt": "a", "max_loops": 0}, "items[0].params.max_loops"),
                ({"prompt": "a", "validation": {"fiel": "b"}}, "items[0].params.validation.fiel"),
                ({"prompt": "a", "validation": 3}, "items[0].params.validation"),
            ):
                with pytest.raises(Refused) as refused:
                    await checked(agent, submit(item))
                assert refused.value.field == field
            assert agent.place(submit({"prompt": "a"}, model=MODELS[1])).signature.residency == MODELS[1]

    asyncio.run(scenario())


def test_interrupt(tmp_path: Path) -> None:
    """We expect a task to end where it is when it is interrupted, in the middle of an answer."""

    async def scenario() -> None:
        async with an_agent(tmp_path) as agent:
            recorder = Recorder()
            await within_bound(agent.load(MODELS[0]))
            item = {"prompt": "!hold"}
            running = asyncio.create_task(agent.run("run", members(item), recorder))
            await until(lambda: len(recorder.progress) > 1)
            await agent.interrupt("run")
            assert await within_bound(running) is False
            assert recorder.outputs == []

    asyncio.run(scenario())
