"""What the words of dgx-pixels mean here: a `generate` as a submit, our models and events as theirs; no I/O."""

import zlib
from collections.abc import Sequence
from typing import Any, Literal, get_args

from stoker_client.bridges.dgx_pixels import messages as dgx
from stoker_client.operations.verbs import SubmitOptions
from stoker_protocol.jobs import Engine, Job, JobState, Parameter, Progress, Recipe

METADATA = {"bridge": "dgx-pixels"}
"""Marks the jobs of such clients, whose updates are published."""
STAGES: dict[str, dgx.Stage] = {
    "loading": "loading_models",
    "encoding": "encoding",
    "sampling": "sampling",
    "running": "sampling",
    "decoding": "decoding",
    "saving": "post_processing",
}
_KINDS: tuple[Literal["checkpoint", "lora", "vae"], ...] = ("checkpoint", "lora", "vae")


def order(
    asked: dgx.Generate, engines: Sequence[Engine], recipes: Sequence[Recipe]
) -> tuple[list[dict[str, Any]], SubmitOptions]:
    """The items and the options of the submit that a `generate` means.

    The engine is the one that has the model; its recipe for what is asked for is used if there is one. Parameters that
    neither takes are left out.
    """
    model = asked.model.replace("\\", "/").rpartition("/")[2]
    engine = next((one for one in engines if model in [fact.name for fact in one.models]), None)
    name = engine.name if engine else ""
    recipe = _recipe(asked, [one for one in recipes if one.engine == name])
    known = recipe.parameters if recipe else engine.parameters if engine else []
    params = _taken(
        known,
        width=asked.size[0],
        height=asked.size[1],
        steps=asked.steps,
        cfg=asked.cfg_scale,
        lora=asked.lora,
    )
    options = SubmitOptions(engine=name, model=model, params=params, name=asked.prompt[:200], metadata=METADATA)
    if recipe:
        options["recipe"] = recipe.name
    return [{"params": item} for item in _items(asked, known, by_recipe=recipe is not None)], options


def models(engines: Sequence[Engine]) -> list[dgx.Model]:
    """All models of their three kinds; a path that begins with the engine's name."""
    return [
        dgx.Model(fact.name, f"{engine.name}/{fact.name}", kind, 0)
        for engine in engines
        for fact in engine.models
        for kind in _KINDS
        if fact.kind == kind
    ]


def progress(job_id: str, ours: Progress) -> dgx.Progress:
    """How far a job is, in their words."""
    assert {*STAGES.values(), "initializing"} == {*get_args(dgx.Stage)}
    return dgx.Progress(
        job_id=job_id,
        stage=STAGES.get(ours.phase, "initializing"),
        step=ours.step,
        total_steps=ours.steps,
        percent=ours.percent,
        eta_s=ours.eta_s.p50 if ours.eta_s else 0.0,
    )


def started(job: Job) -> dgx.JobStarted:
    """A job that runs."""
    return dgx.JobStarted(job_id=job.job_id, timestamp=(job.started_at_ms or job.created_at_ms) // 1000)


def finished(job: Job) -> dgx.JobFinished:
    """A job that has ended."""
    return dgx.JobFinished(job_id=job.job_id, success=job.state is JobState.SUCCEEDED, duration_s=took_s(job))


def took_s(job: Job) -> float:
    """How long it took from its first run to its end; 0: it never ran."""
    began_ms, ended_ms = job.started_at_ms, job.finished_at_ms
    return (ended_ms - began_ms) / 1000 if began_ms is not None and ended_ms is not None else 0.0


def _recipe(asked: dgx.Generate, recipes: Sequence[Recipe]) -> Recipe | None:
    wanted = "txt2img_lora" if asked.lora else "txt2img"
    if asked.animation_frames:
        wanted = "animation"
    elif asked.tileset_grid:
        wanted = "tileset"
    return next((recipe for recipe in recipes if recipe.name == wanted), None)


def _items(asked: dgx.Generate, known: Sequence[Parameter], *, by_recipe: bool) -> list[dict[str, Any]]:
    """One for each picture: copies, frames of an animation, or tiles of a grid.

    A recipe knows the place of each item by itself, and its seed. Without one each copy gets a seed of its own, drawn
    from the id, which all of its frames share.
    """
    columns, rows = asked.tileset_grid or (1, 1)
    copies, frames = asked.batch_size or 1, asked.animation_frames or 1
    if by_recipe:
        return [{"prompt": asked.prompt}] * (copies * frames * columns * rows)
    first = zlib.crc32(asked.id.encode())
    return [
        {"prompt": asked.prompt, **_taken(known, seed=first + copy, **_place(frame, frames))}
        for copy in range(copies * columns * rows)
        for frame in range(frames)
    ]


def _place(frame: int, frames: int) -> dict[str, int]:
    return {"frame": frame, "frames": frames} if frames > 1 else {}


def _taken(known: Sequence[Parameter], **given: Any) -> dict[str, Any]:
    """Those that are known and were given."""
    names = {one.name for one in known}
    return {name: value for name, value in given.items() if value is not None and name in names}
