"""What holds of any server with OpenAI's API, tried on the fake, and on the one that STOKER_TEST_OPENAI names."""

import asyncio
import json
import os
import urllib.error
import urllib.request
from typing import Any

import pytest
from tests.conformance import openai_case
from tests.conformance.bench import Recorder, members, started, within_bound

from stoker_daemon.engines.openai import OpenAIEngine
from stoker_daemon.engines.openai.answers import explain
from stoker_daemon.scheduling.limits import ServerLimits

REAL_URL = os.environ.get("STOKER_TEST_OPENAI", "")
"""Up to the version: http://127.0.0.1:8080/v1. It is asked for a few tokens of its first model, one by one."""
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3, "temperature": 0}
REASONS = ("stop", "length")


@pytest.fixture(name="url", params=["fake", *(["real"] if REAL_URL else [])])
def fixture_url(request: pytest.FixtureRequest) -> str:
    """Where the server is."""
    return REAL_URL if request.param == "real" else openai_case.server().url


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str, bytes]:
    """Status, media type and body of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.headers.get_content_type(), reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type(), error.read()


def first_model(url: str) -> str:
    """The model that the list begins with."""
    status, _, body = ask(url, "/models")
    said = json.loads(body)
    assert (status, said["object"]) == (200, "list")
    return said["data"][0]["id"]


def test_a_chat(url: str) -> None:
    """An answer in one piece has a message, a reason why it ended, and a count of its tokens."""
    status, kind, body = ask(url, "/chat/completions", {"model": first_model(url), **CHAT})
    said = json.loads(body)
    assert (status, kind, said["object"]) == (200, "application/json", "chat.completion")
    [choice] = said["choices"]
    assert (choice["index"], choice["message"]["role"]) == (0, "assistant")
    assert choice["finish_reason"] in REASONS
    assert said["usage"]["completion_tokens"] <= 3


def test_a_streamed_chat(url: str) -> None:
    """An answer in pieces begins with a role, ends with a reason, then the word that it is over."""
    status, kind, body = ask(url, "/chat/completions", {"model": first_model(url), **CHAT, "stream": True})
    assert (status, kind) == (200, "text/event-stream")
    *events, last = [event for event in body.replace(b"\r\n", b"\n").split(b"\n\n") if event.startswith(b"data:")]
    assert last == b"data: [DONE]"
    choices = [choice for event in events for choice in json.loads(event[5:])["choices"]]
    assert choices[0]["delta"]["role"] == "assistant"
    assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1]["finish_reason"] in REASONS


def test_a_completion(url: str) -> None:
    """A completion has a text where a chat has a message."""
    status, _, body = ask(url, "/completions", {"model": first_model(url), "prompt": "hello", "max_tokens": 3})
    said = json.loads(body)
    assert (status, said["object"]) == (200, "text_completion")
    assert isinstance(said["choices"][0]["text"], str)


def test_a_bad_request(url: str) -> None:
    """A request that makes no sense is refused in words; llama.cpp's Python server calls it a fault of its own."""
    status, _, body = ask(url, "/chat/completions", {"model": first_model(url), "messages": "hello"})
    assert status in (400, 422, 500)
    assert explain(body)[1]


def test_the_engine(url: str) -> None:
    """The engine brings chats, completions and lines of batch files to their ends there."""

    async def scenario() -> None:
        async with started(OpenAIEngine("llm", url=url, lane="llm", limits=ServerLimits(concurrency=1))) as engine:
            await within_bound(engine.load(""))
            for template, params in (
                (b"chat", {"prompt": "hello", "max_tokens": 3}),
                (b"completion", {"prompt": "hello", "max_tokens": 3}),
                (b"", {"url": "/v1/chat/completions", "body": CHAT}),
            ):
                recorder = Recorder()
                assert await within_bound(engine.run("run", members(params, template=template), recorder))
                assert recorder.failures == []
                [output] = recorder.outputs
                assert output.record["finish_reason"] in REASONS
                assert output.record["usage"]["completion_tokens"] <= 3
                assert recorder.progress

    asyncio.run(scenario())
