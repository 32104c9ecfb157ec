"""An engine whose commands are shell scripts of a test, and what became of one item of such a script."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conformance.bench import Recorder, run, started

from stoker_daemon.engines.command import CommandEngine
from stoker_daemon.recipes.command import Command, CommandParameter

MAX_OUTPUT = 1 << 20


def engine_of(folder: Path, command: Command, **options: Any) -> CommandEngine:
    """An engine that allows one command."""
    (folder / "workers").mkdir(exist_ok=True)
    return CommandEngine(
        "tools", lane="tools", commands={"do": command}, data_dir=folder, max_output_bytes=MAX_OUTPUT, **options
    )


def script(text: str, **options: Any) -> Command:
    """A command that runs a script; `$0` is the scratch folder, `$1` the parameter `x`."""
    return Command(
        argv=("sh", "-c", text, "{scratch}", "{x}"), parameters={"x": CommandParameter(default="")}, **options
    )


def outcome(folder: Path, command: Command, **params: Any) -> Recorder:
    """What is told of an item; all that it left behind must be gone by then."""

    async def scenario() -> Recorder:
        async with started(engine_of(folder, command)) as engine:
            recorder = await run(engine, params)
        assert list((folder / "scratch" / "tools").iterdir()) == []
        assert list((folder / "workers").iterdir()) == []
        return recorder

    return asyncio.run(scenario())


def pids(text: bytes) -> Mapping[str, int]:
    """The pids in lines of the form `name=pid`."""
    return {name: int(pid) for name, pid in re.findall(r"^(\w+)=(\d+)$", text.decode(), re.MULTILINE)}
