"""The engines that the conformance suite tries, each with the parameters that make it do what the suite asks for."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.conformance import comfyui_case, ollama_case, openai_case
from tests.fakes.openai.words import MODELS

from stoker_daemon.engines.command import CommandEngine
from stoker_daemon.engines.mcp import MCPEngine, Program, ToolServer
from stoker_daemon.engines.python import PythonEngine
from stoker_daemon.ports import Engine
from stoker_daemon.recipes.command import Command, CommandParameter
from stoker_protocol.worker import Hosted

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class EngineCase:
    """One engine, made in a folder of its own, and items for it.

    `good` gives one output, `failing` fails by itself, `held` reports progress and then does not end unless it is
    interrupted, `bad` is refused for the parameter `bad_name`. It has at least the two `models`, the default first;
    where there are none, two recipes, `chosen_by` which a job says what it wants.
    """

    make: Callable[[Path], Engine]
    models: tuple[str, str]
    good: dict[str, Any]
    failing: dict[str, Any]
    held: Callable[[Path], dict[str, Any]]
    bad: dict[str, Any]
    bad_name: str
    owns_process: bool = True
    """Whether it starts a process of its own."""
    loads_when_told: bool = True
    """Whether it loads models before it is asked for anything, and knows how long that took."""
    dies_by_force: bool = True
    """Whether a run that is ended by force takes the engine with it."""
    chosen_by: Literal["model", "recipe"] = "model"
    tells_residents: bool = False
    """Whether it knows what it holds on this host's GPU, and can give it back."""

    def choose(self, name: str) -> dict[str, Any]:
        """The options of a submit that wants one of the `models`."""
        return {self.chosen_by: name}


def _python(folder: Path, *names: str) -> Engine:
    """One class with its models, or the class once for each name, all of which stay loaded."""
    return PythonEngine(
        "faults",
        classes=[Hosted("tests.models.faults:Faults", name=name) for name in names or ("",)],
        lane="gpu",
        pid_file=folder / "faults.pid",
        python_path=[str(REPOSITORY)],
        cache_mb=1000 if names else 0,
    )


def _command(folder: Path) -> Engine:
    (folder / "workers").mkdir()
    script = 'case "$2" in fail) exit 1;; hold) exec sleep 600;; esac; echo "$1"'
    say = Command(
        argv=("sh", "-c", script, "sh", "{prompt}", "{do}", "--steps={steps}"),
        parameters={
            "prompt": CommandParameter(),
            "do": CommandParameter(default=""),
            "steps": CommandParameter(type="integer", default=1, minimum=1),
        },
    )
    return CommandEngine("tools", lane="tools", commands={"say": say, "shout": say}, data_dir=folder, max_parallel=3)


def _mcp(folder: Path) -> Engine:
    program = Program((sys.executable, str(REPOSITORY / "tests/models/tools.py"), str(folder)), {}, None, 30.0)
    server = ToolServer("tools", program, folder / "tools.pid")
    return MCPEngine(
        "tools", lane="tools", server=server, allowed=("say", "shout"), max_parallel=3, max_output_bytes=1 << 20
    )


CASES = {
    "python": EngineCase(
        make=_python,
        models=("one", "two"),
        good={"prompt": "good"},
        failing={"prompt": "failing", "do": "fail"},
        held=lambda folder: {"prompt": "held", "gate": str(folder / "gate")},
        bad={"prompt": "bad", "steps": 0},
        bad_name="steps",
        tells_residents=True,
    ),
    "python, several": EngineCase(
        make=lambda folder: _python(folder, "red", "green"),
        models=("red", "green"),
        good={"prompt": "good"},
        failing={"prompt": "failing", "do": "fail"},
        held=lambda folder: {"prompt": "held", "gate": str(folder / "gate")},
        bad={"prompt": "bad", "steps": 0},
        bad_name="steps",
        tells_residents=True,
    ),
    "comfyui": EngineCase(
        make=comfyui_case.engine,
        models=comfyui_case.CHECKPOINTS,
        good={"prompt": "good"},
        failing={"prompt": "failing", "fits": 0},
        held=lambda _: {"prompt": "held", "seconds": -1.0},
        bad={"prompt": "bad", "steps": 0},
        bad_name="steps",
        owns_process=False,
        loads_when_told=False,
        tells_residents=True,
    ),
    "command": EngineCase(
        make=_command,
        models=("say", "shout"),
        good={"prompt": "good"},
        failing={"prompt": "failing", "do": "fail"},
        held=lambda _: {"prompt": "held", "do": "hold"},
        bad={"prompt": "bad", "steps": 0},
        bad_name="steps",
        owns_process=False,
        loads_when_told=False,
        dies_by_force=False,
        chosen_by="recipe",
    ),
    "mcp": EngineCase(
        make=_mcp,
        models=("say", "shout"),
        good={"prompt": "good"},
        failing={"prompt": "failing"},
        held=lambda _: {"prompt": "held"},
        bad={"prompt": "bad", "steps": 0},
        bad_name="steps",
        owns_process=False,
        loads_when_told=False,
        dies_by_force=False,
        chosen_by="recipe",
    ),
    "ollama": EngineCase(
        make=ollama_case.engine,
        models=ollama_case.MODELS,
        good={"prompt": "good"},
        failing={"prompt": "!refuse"},
        held=lambda _: {"prompt": "!hold"},
        bad={"prompt": "bad", "temperature": -1},
        bad_name="temperature",
        owns_process=False,
        tells_residents=True,
    ),
    "openai": EngineCase(
        make=openai_case.engine,
        models=(MODELS[0], MODELS[1]),
        good={"prompt": "good"},
        failing={"prompt": "!refuse"},
        held=lambda _: {"prompt": "!hold"},
        bad={"prompt": "bad", "temperature": -1},
        bad_name="temperature",
        owns_process=False,
        loads_when_told=False,
    ),
}
