"""The engines that the conformance suite tries, each with the parameters that make it do what the suite asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance import comfyui_case

from stoker_daemon.engines.python import PythonEngine
from stoker_daemon.ports import Engine

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class EngineCase:
    """One engine, made in a folder of its own, and items for it.

    `good` gives one output, `failing` fails by itself, `held` reports progress and then does not end unless it is
    interrupted, `bad` is refused for the parameter `bad_name`. It has at least the two `models`, the default first.
    """

    make: Callable[[Path], Engine]
    models: tuple[str, str]
    good: dict[str, Any]
    failing: dict[str, Any]
    held: Callable[[Path], dict[str, Any]]
    bad: dict[str, Any]
    bad_name: str
    owns_process: bool = True
    """Whether it starts a process of its own, and loads models when it is told to."""


def _python(folder: Path) -> Engine:
    return PythonEngine(
        "faults",
        model="tests.models.faults:Faults",
        lane="gpu",
        pid_file=folder / "faults.pid",
        python_path=[str(REPOSITORY)],
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
    ),
}
