"""Finds the model classes that a worker hosts: by module and name, or by the name under which one is installed."""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple

import msgspec

from stoker_protocol.codec import did_you_mean
from stoker_protocol.jobs import ModelFacts
from stoker_protocol.worker import Hosted, ModelFamily
from stoker_worker.model import Model

GROUP = "stoker.models"
"""The entry points by which a package makes its model classes known."""


class Offer(NamedTuple):
    """A model class, what its models are made with, and what it offers."""

    model_class: type[Model]
    options: Mapping[str, Any]
    family: ModelFamily


def offer(hosted: Hosted) -> Offer:
    """What a class offers. Raises whatever its import and its description raise, TypeError for what is none."""
    found = find(hosted.model)
    family = _checked(found.describe(hosted.options))
    return Offer(found, hosted.options, _as_one(family, hosted.name) if hosted.name else family)


def find(name: str) -> type[Model]:
    """The class `module:Class`, or the installed one of that name.

    Raises:
        LookupError: No class of that name is installed.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        return getattr(importlib.import_module(module), attribute)
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        hint = did_you_mean(name, list(installed)) or f"installed: {', '.join(sorted(installed)) or 'none'}"
        raise LookupError(f"no model class {name!r} is installed; {hint}")
    return installed[name].load()


def _checked(family: ModelFamily) -> ModelFamily:
    """The same, if the daemon will be able to read it: Python itself lets anything stand for anything."""
    try:
        return msgspec.convert(msgspec.to_builtins(family), ModelFamily)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise TypeError(f"its describe() returns what describes no models: {error}") from None


def _as_one(family: ModelFamily, name: str) -> ModelFamily:
    """The same as one model under the name that the configuration gives it."""
    like = next((model for model in family.models if model.name == name), family.models[0])
    size = family.bytes.get(like.name)
    facts = ModelFacts(name, like.summary, like.kind)
    sizes = {} if size is None else {name: size}
    return ModelFamily(family.family, [facts], family.parameters, family.max_batch, sizes)
