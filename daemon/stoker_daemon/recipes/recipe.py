"""A workflow that people know by its name, with parts that may be left out."""

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from msgspec import structs

from stoker_daemon.recipes.graph import Graph, Link, locate, put
from stoker_daemon.recipes.template import Binding, Template


@dataclass(frozen=True, slots=True)
class Recipe:
    """A workflow, and where its parameters go.

    `without` names optional parameters: of one that is not given, the nodes that it goes to are left out, and the links
    lead past them. `index` and `count` name the parameters that are an item's place in its job, from 1, and the number
    of its items. `one_seed`: the items of a job share a seed.
    """

    name: str
    summary: str
    workflow: Graph
    bindings: tuple[Binding, ...]
    texts: Mapping[str, str]
    without: Mapping[str, Mapping[str, Link]] = field(default_factory=dict[str, Mapping[str, Link]])
    index: str = ""
    count: str = ""
    one_seed: bool = False

    @property
    def names(self) -> set[str]:
        """The names of all parameters."""
        return {binding.parameter.name for binding in self.bindings}

    def template(self, given: Collection[str] | None = None, items: int = 0) -> Template:
        """What the items of a job are made by that gives these parameters; without `given`, with all parts.

        `items`: how many there are; 0: that is not known, so where it counts, the job must say it.
        """
        graph, bindings, texts = deepcopy(self.workflow), list(self.bindings), dict(self.texts)
        for name, detour in self.without.items() if given is not None else ():
            depending = self._depending(name)
            if not depending.isdisjoint(given or ()):
                bindings = _with(bindings, name, None)
                continue
            for place, link in detour.items():
                put(graph, place, link)
            for node in self._nodes_of(name):
                del graph[node]
            bindings = [_within(b, graph) for b in bindings if b.parameter.name not in depending]
            texts = {place: text for place, text in texts.items() if locate(graph, place)}
        if given is not None:
            bindings = _with(bindings, self.count, items or None)
        return Template(self.name, graph, bindings, texts, {}, self.index, self.one_seed)

    def _nodes_of(self, name: str) -> set[str]:
        """The nodes that a parameter goes to."""
        return {node for binding in self.bindings if binding.parameter.name == name for node in self._places(binding)}

    def _depending(self, name: str) -> set[str]:
        """The parameters that are nothing without this one, itself included."""
        nodes = self._nodes_of(name)
        return {b.parameter.name for b in self.bindings if b.inputs and nodes.issuperset(self._places(b))}

    def _places(self, binding: Binding) -> Iterator[str]:
        return (found[0] for place in binding.inputs if (found := locate(self.workflow, place)))


def _within(binding: Binding, graph: Graph) -> Binding:
    """A parameter that goes only to nodes that there are."""
    return structs.replace(binding, inputs=[place for place in binding.inputs if locate(graph, place)])


def _with(bindings: list[Binding], name: str, default: int | None) -> list[Binding]:
    """One parameter with another default, or one that must be given if it has none."""
    return [_needed(binding, default) if binding.parameter.name == name else binding for binding in bindings]


def _needed(binding: Binding, default: int | None) -> Binding:
    default = binding.parameter.default if default is None else default
    parameter = structs.replace(binding.parameter, default=default, required=default is None)
    return structs.replace(binding, parameter=parameter)
