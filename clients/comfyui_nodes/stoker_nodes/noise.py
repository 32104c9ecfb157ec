"""Gives each image of a batch the noise that it has when it is made alone, with its own seed."""

import importlib
from collections.abc import Sequence
from typing import Any

from .samplers import BROWNIAN, BROWNIAN_ON_GPU, PLAIN, STEPWISE, sampler_name

# Only the server has these, and it is the server that loads this file.
_torch = importlib.import_module("torch")
_extension = importlib.import_module("comfy.patcher_extension")
_management = importlib.import_module("comfy.model_management")
_sample = importlib.import_module("comfy.sample")
_sampling = importlib.import_module("comfy.k_diffusion.sampling")


def with_item_noise(model: Any, seeds: Sequence[int]) -> Any:
    """The model, and any sampler that uses it makes one image for each seed.

    Raises, when it samples:
        ValueError: The sampler can't do that, or the batch has another number of images.
    """

    def sample(executor: Any, guider: Any, sigmas: Any, arguments: Any, callback: Any, noise: Any, *rest: Any) -> Any:
        sampler = executor.class_obj
        name = sampler_name(sampler.sampler_function.__name__)
        _check(name, sampler, guider, noise, seeds, mask=rest[1])
        own = sampler.extra_options  # of a dict that all samplers may share: it is replaced, not changed
        sampler.extra_options = {**own, **_step_noise(name, noise, sigmas, seeds)}
        try:
            return executor(guider, sigmas, arguments, callback, _start_noise(noise, seeds), *rest)
        finally:
            sampler.extra_options = own

    patched = model.clone()
    patched.add_wrapper_with_key(_extension.WrappersMP.SAMPLER_SAMPLE, "stoker", sample)
    return patched


def _check(name: str, sampler: Any, guider: Any, noise: Any, seeds: Sequence[int], mask: Any) -> None:
    if name not in PLAIN | STEPWISE | BROWNIAN:
        raise ValueError(f"the sampler {name} can't make several items in one run")
    if sampler.extra_options.get("s_churn"):
        raise ValueError(f"the sampler {name} can't make several items in one run with churn")
    if sampler.inpaint_options.get("random") and mask is not None:
        raise ValueError("the sampler ddim can't make several items in one run with a mask")
    if noise.shape[0] != len(seeds) or len(getattr(guider.inner_model, "latent_shapes", None) or [0]) != 1:
        raise ValueError(f"{len(seeds)} items need as many latent images, not {noise.shape[0]}")


def _start_noise(noise: Any, seeds: Sequence[int]) -> Any:
    """The noise to begin with; none where the sampler goes on from another one, and noise is switched off."""
    if not _torch.count_nonzero(noise):
        return noise
    dtype = getattr(_management, "intermediate_dtype", lambda: _torch.float32)()
    one = _torch.empty((1, *noise.shape[1:]), dtype=dtype, device="cpu")
    return _torch.cat([_sample.prepare_noise(one, seed) for seed in seeds]).to(noise)


def _step_noise(name: str, noise: Any, sigmas: Any, seeds: Sequence[int]) -> dict[str, Any]:
    """What the sampler's function is to be called with, so that it draws for each image alone."""
    if name in PLAIN or not len(sigmas) > 1:
        return {}
    if name in BROWNIAN:
        ends = sigmas[sigmas > 0].min(), sigmas.max()
        on_cpu = name not in BROWNIAN_ON_GPU
        return {"noise_sampler": _sampling.BrownianTreeNoiseSampler(noise, *ends, seed=list(seeds), cpu=on_cpu)}
    drawing = [_sampling.default_noise_sampler(noise[:1], seed=seed) for seed in seeds]

    def draw_all(now: Any, after: Any) -> Any:
        return _torch.cat([draw(now, after) for draw in drawing])

    return {"noise_sampler": draw_all}
