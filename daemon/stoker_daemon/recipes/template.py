"""What the items of a job are made by: a workflow, and where each parameter goes in it."""

import string
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import Struct

from stoker_daemon.recipes.graph import Graph, put
from stoker_protocol.jobs import Level, Parameter


class Binding(Struct, frozen=True):
    """A parameter and the inputs that get its value, each as `NODE.INPUT`."""

    parameter: Parameter
    inputs: list[str]


class Template(Struct, frozen=True):
    """A workflow with parameters.

    `texts` are inputs put together from several parameters: `{"6.text": "{prompt}, frame {frame}"}`. `defaults` are
    those of a profile; they lie under what a job gives and over what the parameters say themselves. `index` names the
    parameter that is an item's place in its job, from 1. `one_seed`: all items share a seed. `level` says how equal
    the items must be to what they are alone if they share a run.
    """

    recipe: str
    workflow: Graph
    bindings: list[Binding]
    texts: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    index: str = ""
    one_seed: bool = False
    level: Level = "exact"

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What each parameter is for an item that gives these."""
        own = {b.parameter.name: b.parameter.default for b in self.bindings if b.parameter.default is not None}
        return {**own, **self.defaults, **given}

    def numbered(self, given: Mapping[str, Any], index: int) -> dict[str, Any]:
        """What an item gives, with its place in the job where the recipe counts and it does not."""
        return {self.index: index + 1, **given} if self.index else dict(given)


def encode(template: Template) -> bytes:
    """A template as a job keeps it."""
    return msgspec.msgpack.encode(template)


def decode(template: bytes) -> Template:
    """A template that a job kept. Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(template, type=Template)


def fill(template: Template, given: Mapping[str, Any]) -> Graph:
    """The workflow of one item. A parameter that is named `NODE.INPUT` goes there.

    Raises:
        KeyError: The template has no such node.
    """
    graph = deepcopy(template.workflow)
    values = template.values(given)
    for binding in template.bindings:
        if binding.parameter.name in values:
            for place in binding.inputs:
                put(graph, place, values[binding.parameter.name])
    for place, text in template.texts.items():
        put(graph, place, string.Formatter().vformat(text, (), _Blank(values)))
    for name, value in given.items():
        if "." in name:
            put(graph, name, value)
    return graph


class _Blank(dict[str, Any]):
    """What is not given is left out of a text."""

    def __missing__(self, key: str) -> str:
        return ""
