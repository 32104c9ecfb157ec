"""The parts of a whole run in order; `python -m benchmarks.parts` runs one of them, in a process of its own."""

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from tests.fakes.comfyui.harness import ComfyProcess

from benchmarks.comfyui.comparing import Bench, measure
from benchmarks.core.bounding import bounding
from benchmarks.core.figures import Comparing, Figure, Part, Setting, found
from benchmarks.core.filling import filling
from benchmarks.core.footprint import footprint
from benchmarks.core.picking import picking
from benchmarks.core.pinging import pinging
from benchmarks.core.recovering import recovering
from benchmarks.core.starting import starting
from benchmarks.peers.comparing import peers
from benchmarks.scheduling.comparing import Belief, compare, figures, step_times
from benchmarks.wire.events import fan_out, latency
from benchmarks.wire.keys import keys_cost

REAL_COMFYUI = "STOKER_TEST_COMFYUI"
"""The environment variable that names a real server, with the tests' node pack."""
TRACES = ("busy", "bursty", "curve, batch 8")


@dataclass(frozen=True, slots=True)
class Measured:
    """One part: what the page calls it, what measures it, and the seconds that it takes on two quiet cores."""

    title: str
    measure: Part | Comparing
    seconds: float


def comfyui(setting: Setting) -> list[Figure]:
    """What Stoker adds to the time of the tests' fake of ComfyUI, and of a real one if there is one."""
    prompts = 5 if setting.quick else 60
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        with ComfyProcess(Path(folder) / "server") as server:
            all_figures = measure(Bench(server.url), Path(folder), setting.rounds, prompts)
        if url := os.environ.get(REAL_COMFYUI):
            own = Path(folder) / "real"
            own.mkdir()
            real = measure(Bench(url), own, setting.rounds, prompts)
            all_figures += [replace(figure, name=f"real server: {figure.name}") for figure in real]
    return all_figures


def scheduling(setting: Setting) -> list[Figure]:
    """The order of work beside other orders on a few generated traces, and how long the policy thinks."""
    seeds = range(1, 3 if setting.quick else 7)
    traces = TRACES[:1] if setting.quick else TRACES
    simulated = [figure for name in traces for figure in figures(name, compare(name, seeds, Belief()))]
    return [*simulated, *step_times(50 if setting.quick else 500)]


PARTS: dict[str, Measured] = {
    "peers": Measured("Beside its peers", peers, 480),
    "starting": Measured("The command line", starting, 20),
    "latency": Measured("The way of an event", latency, 12),
    "fan_out": Measured("Events to many", fan_out, 60),
    "pinging": Measured("Answers beside large requests", pinging, 40),
    "keys": Measured("What keys cost", keys_cost, 30),
    "recovering": Measured("After kill -9", recovering, 60),
    "filling": Measured("A file of a million lines", filling, 60),
    "picking": Measured("A queue of a million", picking, 60),
    "footprint": Measured("Memory and idle CPU, over 100 000 items", footprint, 150),
    "bounding": Measured("What bounds the rate of submits", bounding, 90),
    "comfyui": Measured("What Stoker adds to ComfyUI", comfyui, 90),
    "scheduling": Measured("The order of work, simulated", scheduling, 30),
}


def _path(_type: type, value: str) -> Path:
    return Path(value)


def main(name: str, setting: bytes, output: str) -> None:
    """Run one part and write its findings."""
    findings = found(PARTS[name].measure, msgspec.json.decode(setting, type=Setting, dec_hook=_path))
    Path(output).write_bytes(msgspec.json.encode(findings))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].encode(), sys.argv[3])
