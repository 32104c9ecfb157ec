"""An engine for the conformance suite, and the server with OpenAI's API that it is tried against."""

import atexit
from functools import cache
from pathlib import Path
from typing import Any

from tests.fakes.openai.harness import OpenAIProcess

from stoker_daemon.engines.openai import OpenAIEngine


@cache
def server() -> OpenAIProcess:
    """The server that the suite shares; it ends with the tests."""
    process = OpenAIProcess()
    atexit.register(process.kill)
    return process


def engine(_folder: Path, url: str = "", **options: Any) -> OpenAIEngine:
    """An engine for the shared server, or the one at `url`."""
    return OpenAIEngine("llm", url=url or server().url, lane="llm", **options)
