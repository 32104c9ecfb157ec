"""Pictures from words by any text-to-image pipeline of the library Diffusers, several prompts and seeds in one call."""

import inspect
import secrets
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from io import BytesIO
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from stoker_worker.model import (
    BatchItem,
    Failure,
    FailureKind,
    Made,
    Model,
    ModelFacts,
    ModelFamily,
    Output,
    Parameter,
    Report,
)
from stoker_worker.models.settings import Settings, bytes_of_weights, library, place, settings, word_for_dtype

_SEEDS = 2**63
_PREVIEW_CELLS = 16
"""A preview is decoded from so many cells of the unfinished picture in each direction: a few milliseconds on a GPU."""
_MAX_STEPS = 500
"""Pipelines are trained on a thousand; with more than half of these, some schedulers step over the last."""
_SIZE_STEP = 8
"""Pipelines work on cells of so many pixels."""


class PipelineSettings(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of a pipeline; the last four are what its items have unless they say otherwise."""

    max_batch: Annotated[int, Meta(ge=1, le=64)] = 4
    """Pictures in one call."""
    variant: str = ""
    """Which of several files of weights: `fp16`."""
    offload: bool = False
    """Keep on the GPU only the part of the pipeline that is at work: slower, and for cards that can't hold it all."""
    steps: Annotated[int, Meta(ge=1, le=_MAX_STEPS)] = 30
    cfg: Annotated[float, Meta(ge=0, le=100)] = 7.0
    width: Annotated[int, Meta(ge=_SIZE_STEP, le=8192, multiple_of=_SIZE_STEP)] | None = None
    height: Annotated[int, Meta(ge=_SIZE_STEP, le=8192, multiple_of=_SIZE_STEP)] | None = None


class Shape(NamedTuple):
    """What the pictures of one call have in common."""

    steps: int
    cfg: float
    width: int | None
    height: int | None


class Sketch(NamedTuple):
    """One picture that is wanted, with the seed that it will have."""

    item: BatchItem
    seed: int

    @property
    def shape(self) -> Shape:
        """What it must have in common with those beside it."""
        params = self.item.params
        return Shape(params["steps"], float(params["cfg"]), params.get("width"), params.get("height"))


class TextToImage(Model):
    """One pipeline, read from a folder with a `model_index.json`."""

    @classmethod
    def describe(cls, options: Mapping[str, Any], /) -> ModelFamily:
        """One model, named for its folder unless the configuration names it."""
        said = settings(options, PipelineSettings, "diffusers", "transformers", "torch", "PIL")
        name = said.path.rstrip("/").rpartition("/")[2]
        size = None if said.offload else bytes_of_weights(said.path)
        return ModelFamily(
            "diffusers",
            [ModelFacts(name, said.summary or "Pictures from words")],
            _parameters(said),
            said.max_batch,
            {} if size is None else {name: size},
        )

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        super().__init__(model, options)
        self._settings = settings(options, PipelineSettings, "diffusers", "transformers", "torch", "PIL")
        self._library, self._torch = library("diffusers"), library("torch")

    def load(self) -> None:
        """Read the pipeline onto its device."""
        said = self._settings
        device = place(self._torch, said.device)
        dtype = said.dtype or ("float32" if device == "cpu" else "float16")
        self._pipeline = self._library.DiffusionPipeline.from_pretrained(
            said.path,
            local_files_only=not said.download,
            **{word_for_dtype("diffusers", since=(0, 42)): getattr(self._torch, dtype)},
            **({"variant": said.variant} if said.variant else {}),
        )
        self._pipeline.set_progress_bar_config(disable=True)
        vae = getattr(self._pipeline, "vae", None)
        if vae is not None and hasattr(vae, "enable_slicing"):
            vae.enable_slicing()  # pictures are decoded one by one: of a batch, that takes the most memory
        if said.offload:
            self._pipeline.enable_model_cpu_offload(device=device)
        else:
            self._pipeline.to(device)
        self._takes = frozenset(inspect.signature(self._pipeline.__call__).parameters)
        self._record = {
            "model": self.model,
            "pipeline": type(self._pipeline).__name__,
            "scheduler": type(self._pipeline.scheduler).__name__,
            "device": device,
            "dtype": dtype,
            "versions": {name: version(name) for name in ("diffusers", "transformers", "torch")},
        }

    def run(self, batch: Sequence[BatchItem], report: Report, /) -> Iterator[Made]:
        """Draw what has one shape together, shape by shape."""
        sketches: list[Sketch] = []
        for item in batch:
            if problem := self._problem(item.params):
                yield Failure(item.position, FailureKind.INVALID, problem)
            else:
                seed = item.params.get("seed")
                sketches.append(Sketch(item, secrets.randbelow(_SEEDS) if seed is None else seed))
        shapes = list(dict.fromkeys(sketch.shape for sketch in sketches))
        steps, done = sum(shape.steps for shape in shapes), 0
        for shape in shapes:
            alike = [sketch for sketch in sketches if sketch.shape == shape]
            yield from self._draw(alike, shape, _Steps(self, alike, report, done, steps))
            done += shape.steps

    def unload(self) -> None:
        """Let go of the pipeline, and of what offloading has hooked to it."""
        self._pipeline.remove_all_hooks()
        del self._pipeline

    def _problem(self, params: Mapping[str, Any]) -> str:
        """Why this pipeline can't draw that, if so."""
        for side in ("width", "height"):
            if (params.get(side) or 0) % _SIZE_STEP:
                return f"params.{side}: {params[side]} is no multiple of {_SIZE_STEP}"
        if params["negative"] and "negative_prompt" not in self._takes:
            return f"params.negative: a {type(self._pipeline).__name__} takes no negative prompt"
        return ""

    def _draw(self, sketches: Sequence[Sketch], shape: Shape, on_step: "_Steps") -> Iterator[Made]:
        device = self._record["device"] if self._record["device"] != "mps" else "cpu"
        asked = {
            "prompt": [str(sketch.item.params["prompt"]) for sketch in sketches],
            "negative_prompt": [str(sketch.item.params["negative"]) for sketch in sketches],
            "generator": [self._torch.Generator(device).manual_seed(sketch.seed) for sketch in sketches],
            "num_inference_steps": shape.steps,
            "guidance_scale": shape.cfg,
            "width": shape.width,
            "height": shape.height,
            "callback_on_step_end": on_step,
        }
        try:
            drawn = self._pipeline(**{name: value for name, value in asked.items() if name in self._takes})
        finally:
            self._pipeline.maybe_free_model_hooks()
        flags = getattr(drawn, "nsfw_content_detected", None) or [False] * len(sketches)
        for sketch, picture, is_unsafe in zip(sketches, drawn.images, flags, strict=True):
            if is_unsafe:
                yield Failure(sketch.item.position, FailureKind.REFUSED, "the pipeline's safety checker refused it")
            else:
                yield self._output(sketch, picture)

    def _output(self, sketch: Sketch, picture: Any) -> Output:
        width, height = picture.size
        record = {**self._record, **sketch.item.params, "seed": sketch.seed, "width": width, "height": height}
        return Output(sketch.item.position, _png(picture), "image/png", ".png", record)

    def sketch_of(self, latents: Any) -> bytes | None:
        """What an unfinished picture looks like, small; None: this pipeline keeps it in a form that can't be shown."""
        vae = getattr(self._pipeline, "vae", None)
        if vae is None or latents.ndim != 4 or latents.shape[1] != getattr(vae.config, "latent_channels", 0):
            return None
        if self._settings.offload or (getattr(vae.config, "force_upcast", False) and vae.dtype == self._torch.float16):
            return None  # it would have to be brought to the GPU, or to more precision, each time
        with self._torch.no_grad():
            side = max(latents.shape[-2:])
            size = [max(1, cells * _PREVIEW_CELLS // max(side, _PREVIEW_CELLS)) for cells in latents.shape[-2:]]
            small = self._torch.nn.functional.interpolate(latents, size=size, mode="area")
            shift = getattr(vae.config, "shift_factor", None) or 0.0
            decoded = vae.decode((small / vae.config.scaling_factor + shift).to(vae.dtype), return_dict=False)[0]
        return _png(self._pipeline.image_processor.postprocess(decoded, output_type="pil")[0])


class _Steps:
    """What the pipeline calls after each step: tells how far it is, shows a picture, and lets it be stopped there."""

    def __init__(self, model: TextToImage, sketches: Sequence[Sketch], report: Report, done: int, steps: int) -> None:
        self._model = model
        self._sketches = sketches
        self._report = report
        self._done, self._steps = done, steps

    def __call__(self, _pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Raises Interrupted: The run is to stop; a pipeline has nothing to clear up then."""
        number = min(self._done + step + 1, self._steps)
        shown = step % len(self._sketches)  # each has its turn to be seen
        preview = self._model.sketch_of(tensors["latents"][shown : shown + 1]) if self._report.wants_preview else None
        position = self._sketches[shown].item.position
        self._report(phase="sampling", step=number, steps=self._steps, preview=preview, position=position)
        return {}


def _png(picture: Any) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _parameters(said: PipelineSettings) -> list[Parameter]:
    size = "Pixels, a multiple of 8; by default what the pipeline was trained for"
    return [
        Parameter("prompt", "string", required=True, help="What to draw"),
        Parameter("negative", "string", "", help="What not to draw"),
        Parameter("seed", "integer", minimum=0, maximum=_SEEDS - 1, help="Drawn at random, and recorded, if absent"),
        Parameter("steps", "integer", said.steps, 1, _MAX_STEPS, help="Steps of denoising"),
        Parameter("cfg", "number", said.cfg, 0, 100, help="How closely the prompt is followed"),
        Parameter("width", "integer", said.width, _SIZE_STEP, 8192, help=size),
        Parameter("height", "integer", said.height, _SIZE_STEP, 8192, help=size),
    ]
