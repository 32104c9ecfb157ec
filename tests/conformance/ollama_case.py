"""An engine for the conformance suite, and the Ollama server that it is tried against."""

import atexit
from functools import cache
from pathlib import Path

from tests.fakes.ollama.harness import OllamaProcess

from stoker_daemon.engines.ollama import OllamaEngine

MODELS = ("tiny:latest", "other:3b")


@cache
def server() -> OllamaProcess:
    """The server that the suite shares; it ends with the tests."""
    process = OllamaProcess()
    atexit.register(process.kill)
    return process


def engine(_folder: Path) -> OllamaEngine:
    """An engine for the shared server, whose memory is empty."""
    server().evict()
    return OllamaEngine("ollama", url=server().url, lane="gpu")
