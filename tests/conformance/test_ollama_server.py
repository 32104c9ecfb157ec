"""What holds of any Ollama server, tried on the fake, and on the one that STOKER_TEST_OLLAMA names."""

import asyncio
import json
import os
import urllib.error
import urllib.request
from typing import Any

import pytest
from tests.conformance import ollama_case
from tests.conformance.bench import Recorder, members, started, within_bound

from stoker_daemon.engines.ollama import OllamaEngine

REAL_URL = os.environ.get("STOKER_TEST_OLLAMA", "")
"""Without a version: http://127.0.0.1:11434. All its models are unloaded, and its newest is asked for a few tokens."""
MODEL_FIELDS = {"name", "model", "modified_at", "size", "digest", "details"}
DETAILS = {"parent_model", "format", "family", "families", "parameter_size", "quantization_level"}


@pytest.fixture(name="url", params=["fake", *(["real"] if REAL_URL else [])])
def fixture_url(request: pytest.FixtureRequest) -> str:
    """Where the server is."""
    return REAL_URL if request.param == "real" else ollama_case.server().url


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and body of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def first_model(url: str) -> str:
    """The newest model."""
    status, said = ask(url, "/api/tags")
    assert status == 200
    return said["models"][0]["name"]


def loaded(url: str) -> dict[str, dict[str, Any]]:
    """What is in memory."""
    return {model["name"]: model for model in ask(url, "/api/ps")[1]["models"]}


def unload_all(url: str) -> None:
    """Empty its memory."""
    for name in loaded(url):
        assert ask(url, "/api/generate", {"model": name, "keep_alive": 0})[1]["done"]


def test_the_list(url: str) -> None:
    """Installed models are listed with their names, sizes and details."""
    status, said = ask(url, "/api/tags")
    assert status == 200
    for model in said["models"]:
        assert set(model) >= MODEL_FIELDS
        assert set(model["details"]) >= DETAILS
        assert model["name"].count(":") == 1
        assert model["size"] > 0


def test_showing_a_model(url: str) -> None:
    """A model is shown with what it is good for."""
    status, said = ask(url, "/api/show", {"model": first_model(url)})
    assert status == 200
    assert {"details", "model_info", "capabilities"} <= set(said)


def test_loading_and_unloading(url: str) -> None:
    """A request without a prompt loads a model, which is listed then with what it has on the GPU, or unloads it."""
    unload_all(url)
    name = first_model(url)
    status, said = ask(url, "/api/generate", {"model": name, "keep_alive": "5m", "stream": False})
    assert (status, said["response"], said["done"]) == (200, "", True)
    listed = loaded(url)[name]
    assert set(listed) >= {"name", "model", "size", "digest", "details", "expires_at", "size_vram"}
    status, said = ask(url, "/api/generate", {"model": name, "keep_alive": 0, "stream": False})
    assert (status, said["done"], said["done_reason"]) == (200, True, "unload")


def test_a_model_that_is_not_there(url: str) -> None:
    """What is not installed is not found, in words."""
    for path in ("/api/generate", "/api/show"):
        status, said = ask(url, path, {"model": "no-such-model-anywhere"})
        assert status == 404
        assert "not found" in said["error"]


def test_the_engine(url: str) -> None:
    """The engine loads, tells what it holds, is answered, and unloads."""

    async def scenario() -> None:
        async with started(OllamaEngine("ollama", url=url, lane="gpu")) as engine:
            await within_bound(engine.unload(""))
            assert engine.residents() == []
            name = engine.facts().models[0].name
            assert await engine.load(name) > 0
            assert [resident.residency for resident in engine.residents()] == [name]
            recorder = Recorder()
            assert await within_bound(engine.run("run", members({"prompt": "hello", "max_tokens": 3}), recorder))
            assert (len(recorder.outputs), recorder.failures) == (1, [])
            await within_bound(engine.unload(name))
            assert engine.residents() == []

    asyncio.run(scenario())
