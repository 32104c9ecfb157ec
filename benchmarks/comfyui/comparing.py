"""What Stoker adds to a ComfyUI server's own time, beside bare loops on the same server, in one run."""

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.comfyui.graphs import Graph, sleeping, trivial
from benchmarks.comfyui.loops import bare_loop, keeping_loop
from benchmarks.comfyui.stoker import stoker_job
from benchmarks.comfyui.timeline import Timeline, timeline_of
from benchmarks.core.figures import Figure, ratio

PROMPT_S = 0.05


class Bench:
    """One server, and colours that none of its prompts had before."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._color = 0

    def colors(self, count: int) -> range:
        """So many new ones."""
        self._color += count
        return range(self._color - count, self._color)

    def timeline(self, work: Callable[[Sequence[Graph]], object], graphs: Sequence[Graph]) -> Timeline:
        """How these prompts went, done by this work."""
        work(graphs)
        return timeline_of(self.url, len(graphs))


def measure(bench: Bench, folder: Path, rounds: int, prompts: int) -> list[Figure]:
    """All figures."""
    slow: defaultdict[str, list[Timeline]] = defaultdict(list)
    quick: defaultdict[str, list[Timeline]] = defaultdict(list)
    kept = folder / "kept"
    kept.mkdir()
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as data:
            works: list[tuple[str, Callable[[Sequence[Graph]], object]]] = [
                ("bare", lambda graphs: bare_loop(bench.url, graphs)),
                ("keeping", lambda graphs: keeping_loop(bench.url, graphs, kept)),
                ("stoker", lambda graphs, data=data: stoker_job(bench.url, graphs, Path(data))),
            ]
            for name, work in works if number % 2 == 0 else reversed(works):
                graphs = [sleeping(color, PROMPT_S) for color in bench.colors(prompts)]
                slow[name].append(bench.timeline(work, graphs))
                quick[name].append(bench.timeline(work, [trivial(color) for color in bench.colors(5 * prompts)]))
    return [
        _ratio("prompts of 50 ms, to a bare loop", slow["stoker"], slow["bare"], 0.98),
        _ratio("trivial prompts, to a loop that keeps all", quick["stoker"], quick["keeping"], 0.8),
    ]


def _ratio(name: str, ours: list[Timeline], theirs: list[Timeline], target: float) -> Figure:
    rates = [[one.prompts_per_s for one in timelines] for timelines in (ours, theirs)]
    medians = [statistics.median(side) for side in rates]
    gaps = [statistics.median(one.gap_ms for one in timelines) for timelines in (ours, theirs)]
    made_of = (
        f"{medians[0]:.0f} and {medians[1]:.0f} prompts/s,"
        f" the server idle for {gaps[0]:.1f} and {gaps[1]:.1f} ms between two"
    )
    return ratio(name, rates[0], rates[1], ">=", target, made_of)
