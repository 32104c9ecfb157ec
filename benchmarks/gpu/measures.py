"""What is measured, each as some figures: batches, waves, merging, other ways of feeding the server, and estimates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from tests.conformance.comfyui_client import model_graph

from benchmarks.comfyui.graphs import Graph
from benchmarks.comfyui.timeline import Timeline, span_of
from benchmarks.core.figures import Figure
from benchmarks.gpu.desk import Done, a_desk, knights, new_seed
from benchmarks.gpu.host import Host
from benchmarks.gpu.rivals import POLL_S, fill_the_queue, submit_and_poll
from benchmarks.waves.daemons import Outcome, RealComfyUI, measure, shuffled
from stoker_daemon.scheduling.costs import Costs

SIZES = (1, 4, 8)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done: pictures of so many pixels and steps, and how many of them for each measure."""

    size: int
    steps: int
    batched: int
    merged: int
    waved: int
    fed: int

    @property
    def params(self) -> dict[str, Any]:
        """What all jobs say."""
        return {"width": self.size, "height": self.size, "steps": self.steps, "sampler": "euler"}


FULL = Scale(size=512, steps=20, batched=32, merged=32, waved=48, fed=24)
SMALL = Scale(size=64, steps=2, batched=16, merged=32, waved=12, fed=8)
LEAST = Scale(size=64, steps=1, batched=8, merged=8, waved=6, fed=3)

LeftOut = dict[str, str]
"""What could not be measured here, and why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What all measures have: the server, how much to do, a folder on the disk to use, and what was left out."""

    host: Host
    scale: Scale
    folder: Path
    left_out: LeftOut

    @property
    def checkpoint(self) -> str:
        """The one of measures that need no more."""
        return self.host.checkpoints[0]


def batches(run: Run) -> list[Figure]:
    """Pictures a minute, by how many share a prompt; and how well memory is foretold for the most from the fewer."""
    timelines: dict[int, Timeline] = {}
    held_gb: dict[int, float] = {}
    run.host.let_go()
    for size in SIZES:
        with a_desk(run.host, run.folder, run.scale.params, batch_size=size) as desk:
            desk.do([_job(run, knights(size))])
            timelines[size] = desk.do([_job(run, knights(run.scale.batched))]).timeline
        held_gb[size] = run.host.memory_gb()
    rates = {size: 60 * run.scale.batched / each.seconds for size, each in timelines.items()}
    figures = [
        Figure(
            f"pictures a minute, {size} a prompt",
            rate,
            "/min",
            ">=",
            None,
            f"{rate / rates[1]:.2f}x of one a prompt; the server at work {100 * timelines[size].busy:.1f} %",
        )
        for size, rate in rates.items()
    ]
    if not run.host.is_gpu:
        run.left_out["memory model"] = "the server has no GPU whose memory it could tell of"
        return figures
    return [*figures, memory_error(held_gb)]


def memory_error(held_gb: dict[int, float]) -> Figure:
    """How far the model of memory is from what the largest batch took, if it has seen the smaller ones."""
    costs = Costs()
    *smaller, largest = held_gb
    for size in smaller * 2:
        costs.learn_memory("gpu", "bench", size, held_gb[size])
    foretold, seen = costs.memory_line("gpu", "bench").at(largest), held_gb[largest]
    said = f"{foretold:.1f} GiB foretold for {largest} from {smaller}, {seen:.1f} seen"
    return Figure("memory model, error", abs(foretold - seen) / seen * 100, "%", "<=", None, said)


def waves(run: Run) -> list[Figure]:
    """The same shuffled queue over up to three checkpoints, in waves and first come, first served."""
    models = run.host.checkpoints[:3]
    if len(models) < 2:
        run.left_out["waves"] = "the server has one checkpoint"
        return []
    kind = RealComfyUI(run.host.url, models, run.scale.params)
    outcomes: dict[str, Outcome] = {}
    for policy in ("fifo", "waves"):
        run.host.let_go()
        outcomes[policy] = measure(kind, policy, run.scale.waved, 0.0, run.folder)
    fifo, ours = outcomes["fifo"], outcomes["waves"]
    items = f"{run.scale.waved} pictures over {len(models)} checkpoints, shuffled"
    return [
        Figure("loads in waves", ours.loads, "", "<=", None, f"first come, first served {fifo.loads}; {items}"),
        Figure("waves, times as fast", fifo.seconds / ours.seconds, "x", ">=", None, _by(fifo.seconds, ours.seconds)),
    ]


def merging(run: Run) -> list[Figure]:
    """Other prompts and seeds in shared prompts beside one by one, and how far the pictures differ."""
    if not run.host.shares:
        run.left_out["merging"] = "the server lacks the nodes: stokerd nodes install"
        return []
    items = knights(run.scale.merged)
    folders = {level: run.folder / level for level in ("exact", "close")}
    done: dict[str, Done] = {}
    with a_desk(run.host, run.folder, run.scale.params) as desk:
        desk.do([_job(run, knights(8))])
        for level, folder in folders.items():
            done[level] = desk.do([{"items": items, "model": run.checkpoint, "level": level}])
            list(desk.client.fetch(done[level].job_ids[0], folder))
    one_by_one, shared = done["exact"].timeline, done["close"].timeline
    prompts = f"{len(one_by_one.spans)} prompts and {len(shared.spans)}"
    return [
        Figure(
            f"{len(items)} items in shared prompts, times as fast",
            one_by_one.seconds / shared.seconds,
            "x",
            ">=",
            None,
            f"{_by(one_by_one.seconds, shared.seconds)}; {prompts}",
        ),
        *differences(folders["exact"], folders["close"]),
    ]


def differences(ones: Path, others: Path) -> list[Figure]:
    """How far the pictures of two folders differ, of 255: the most in any pixel, and on average."""
    most = 0
    means: list[float] = []
    names = sorted(path.name for path in ones.glob("*.png"))
    assert names == sorted(path.name for path in others.glob("*.png"))
    for name in names:
        with Image.open(ones / name) as one, Image.open(others / name) as other:
            apart = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).tobytes()
        most = max(most, *apart)
        means.append(sum(apart) / len(apart))
    said = f"{len(names)} pictures, shared prompts to one by one"
    return [
        Figure("pixels differ by at most", most, "/255", "<=", None, said),
        Figure("pixels differ on average by", sum(means) / len(means), "/255", "<=", None, said),
    ]


def feeding(run: Run) -> list[Figure]:
    """The same prompts by Stoker, by a script that submits and polls, and by the server's own queue filled by hand."""

    def by_hand(feed: Callable[[str, Sequence[Graph]], list[str]]) -> Timeline:
        ids = feed(run.host.url, [_graph(run, new_seed()) for _ in range(run.scale.fed)])
        entries = run.host.history()
        return Timeline(sorted(span_of(entries[prompt_id]) for prompt_id in ids))

    def by_stoker() -> Timeline:
        items = [{"params": {"3.seed": new_seed()}} for _ in range(run.scale.fed)]
        with a_desk(run.host, run.folder, {}, scheduling="") as desk:
            return desk.do([{"items": items, "workflow": _graph(run, 0), "level": "exact"}]).timeline

    fill_the_queue(run.host.url, [_graph(run, new_seed())])  # the load is not for the first of them to pay
    timelines = {
        "Stoker": by_stoker(),
        "submit and poll": by_hand(submit_and_poll),
        "the server's queue": by_hand(fill_the_queue),
    }
    rates = {name: 60 * run.scale.fed / each.seconds for name, each in timelines.items()}
    ours = rates["Stoker"]
    said = {
        name: "" if name == "Stoker" else f"Stoker makes {ours / rate:.2f}x of that" for name, rate in rates.items()
    }
    said["submit and poll"] += f"; it looks each {POLL_S:g} s"
    return [
        *(Figure(f"pictures a minute by {name}", rate, "/min", ">=", None, said[name]) for name, rate in rates.items()),
        *(
            Figure(
                f"server at work for {name}", 100 * each.busy, "%", ">=", None, f"idle {each.gap_ms:.1f} ms between two"
            )
            for name, each in timelines.items()
        ),
    ]


def estimates(run: Run) -> list[Figure]:
    """How far off the time is that a plan tells, of a queue over up to three checkpoints whose like was run before."""
    models = run.host.checkpoints[:3]
    with a_desk(run.host, run.folder, run.scale.params, scheduling="") as desk:
        for model in models:
            for items in (1, 1, 4, 1, 4):
                desk.do([_job(run, knights(items), model)])
        held = desk.hold([_job(run, knights(1), model) for model in shuffled(models, run.scale.waved)])
        told, seconds = desk.client.plan().done_s, desk.let_go(held).seconds
    said = f"{told.p50:.1f} s told as p50, {told.p90:.1f} as p90, {seconds:.1f} s needed"
    return [Figure("time of a plan, error", 100 * abs(told.p50 - seconds) / seconds, "%", "<=", None, said)]


def _job(run: Run, items: Sequence[dict[str, Any]], model: str = "") -> dict[str, Any]:
    """Items that share prompts if the server's nodes allow it, else the images of one seed if they are several."""
    job = {"items": items, "model": model or run.checkpoint}
    if run.host.shares or len(items) == 1:
        return {**job, "level": "close" if run.host.shares else "exact"}
    return {**job, "items": [{}] * len(items), "params": {"prompt": "a knight", "seed": new_seed()}, "level": "series"}


def _graph(run: Run, seed: int) -> Graph:
    """One picture."""
    graph = model_graph(run.checkpoint, steps=run.scale.steps, width=run.scale.size)
    graph["5"]["inputs"]["height"] = run.scale.size
    graph["3"]["inputs"]["seed"] = seed
    return graph


def _by(theirs_s: float, ours_s: float) -> str:
    return f"{theirs_s:.1f} s by {ours_s:.1f} s"
