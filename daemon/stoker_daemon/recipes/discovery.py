"""Finds the parameters of a workflow that has no map: by titles, by the links from its samplers, by its loaders."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import structs

from stoker_daemon.recipes.graph import Graph, Link, get, in_order, is_link, links, locate, upstream
from stoker_daemon.recipes.template import Binding
from stoker_daemon.recipes.vocabulary import INPUTS, PARAMETERS, TITLES, VALUES, is_of_type

_SETTINGS = ("seed", "steps", "cfg", "sampler", "scheduler", "denoise")
_SETTING_LINKS = frozenset({"noise", "guider", "sampler", "sigmas"})
"""Where a sampler that is made of several nodes has its settings."""
_SIDES = {"prompt": ("positive", "conditioning", "cond1"), "negative": ("negative",)}
_MOST_PARTS = 16
_MOST_HOPS = 8
"""Nodes that hand a value on, one after another; real workflows have one or two."""
_NO_CONDITIONING = frozenset(
    {"model", "clip", "vae", "image", "pixels", "mask", "latent", "latent_image", "samples", "control_net"}
)


def discover(workflow: Graph) -> tuple[Binding, ...]:
    """The parameters of a workflow, with its own values as defaults.

    A parameter goes to the nodes that have its title. Where none has, it goes to the first node in its role, counted
    from the first sampler, and to all others in that role that have the same value: what has another one is another
    thing, such as the steps of a second pass, and keeps it.
    """
    samplers = _samplers(workflow)
    found = {**_loaded(workflow, samplers), **_sampled(workflow, samplers), **_titled(workflow)}
    found["negative"] = [place for place in found.get("negative", []) if place not in found.get("prompt", [])]
    return tuple(_binding(workflow, name, found[name]) for name in PARAMETERS if found.get(name))


def _binding(workflow: Graph, name: str, places: list[str]) -> Binding:
    values, parameter = [get(workflow, place) for place in places], PARAMETERS[name]
    too_large = parameter.maximum is not None and values[0] > parameter.maximum  # a seed may be, at the server
    is_default = values[0] != "" and values.count(values[0]) == len(values) and not too_large
    return Binding(structs.replace(parameter, default=values[0] if is_default else None), places)


def _titled(workflow: Graph) -> dict[str, list[str]]:
    """Inputs of the nodes whose titles say what they are."""
    found: dict[str, list[str]] = {}
    for node_id, node in workflow.items():
        title: str = node["_meta"]["title"]
        name = TITLES.get(" ".join(title.casefold().replace("_", " ").replace("-", " ").split()))
        if name is not None:
            places = list(_literals(workflow, node_id, name)) or list(_literals(workflow, node_id, name, VALUES))[:1]
            found.setdefault(name, []).extend(places)
    return {name: places for name, places in found.items() if places}


def _sampled(workflow: Graph, samplers: Sequence[str]) -> dict[str, list[str]]:
    """What the samplers are set to, and the texts that they are led by."""
    found: dict[str, list[str]] = {name: [] for name in (*_SETTINGS, *_SIDES)}
    parts = [_parts(workflow, sampler) for sampler in samplers]
    for name in _SETTINGS:
        found[name] = [place for own in parts for place in _places(workflow, own, name)]
    for name, sides in _SIDES.items():
        starts = [link for own in parts for part in own for side, link in links(workflow[part]) if side in sides]
        found[name] = _texts(workflow, starts)
    partial = [place for place in found["denoise"] if get(workflow, place) < 1]
    return _alike(workflow, {**found, "denoise": partial or found["denoise"]})


def _loaded(workflow: Graph, samplers: Sequence[str]) -> dict[str, list[str]]:
    """What is loaded, and how large what begins from nothing is."""
    models = _nearest_first(workflow, samplers, "model", "guider")
    pictures = _nearest_first(workflow, samplers, "latent_image")
    empty = [node for node in pictures if "Empty" in workflow[node]["class_type"]]
    found = {name: _places(workflow, empty, name) for name in ("width", "height", "batch_size")}
    found["model"] = _places(workflow, models, "model")
    found["vae"] = _places(workflow, workflow, "vae")
    found["lora"] = [place for place in _places(workflow, workflow, "lora") if get(workflow, place) != "None"]
    found["upscaler"] = _places(workflow, _of_class(workflow, workflow, "UpscaleModelLoader"), "upscaler")
    found["image"] = _places(workflow, _of_class(workflow, pictures, "LoadImage"), "image")
    found["mask"] = _places(workflow, _of_class(workflow, pictures, "LoadImageMask"), "mask")
    found = _alike(workflow, found)
    with_lora = [node for node, _ in filter(None, (locate(workflow, place) for place in found["lora"]))]
    return found | _alike(workflow, {"lora_strength": _places(workflow, with_lora, "lora_strength")})


def _samplers(workflow: Graph) -> list[str]:
    """The nodes that sample, those first that others go on from."""
    return [node_id for node_id in in_order(workflow) if _is_sampler(workflow[node_id]["inputs"])]


def _is_sampler(inputs: dict[str, Any]) -> bool:
    if is_link(inputs.get("guider")) and is_link(inputs.get("sigmas")):
        return True
    return is_link(inputs.get("positive")) and not inputs.keys().isdisjoint({"seed", "noise_seed"})


def _parts(workflow: Graph, sampler: str) -> list[str]:
    """A sampler and the nodes that it is set by."""
    parts = [sampler]
    for part in parts:
        sources = [link[0] for name, link in links(workflow[part]) if name in _SETTING_LINKS]
        parts += [source for source in dict.fromkeys(sources) if source in workflow and source not in parts]
        if len(parts) > _MOST_PARTS:
            break
    return parts


def _texts(workflow: Graph, starts: list[Link]) -> list[str]:
    """The texts that become these conditionings."""
    todo, seen, found = starts[::-1], set[str](), list[str]()
    while todo:
        node_id, output = todo.pop()
        if node_id in seen or node_id not in workflow:
            continue
        seen.add(node_id)
        found += _literals(workflow, node_id, "prompt")
        led = dict(links(workflow[node_id]))
        if led.keys() >= {"positive", "negative"}:  # both go through, each to an output of its own
            todo += [led["positive"], led["negative"]][output : output + 1]
        else:
            todo += [link for name, link in reversed(led.items()) if name not in _NO_CONDITIONING]
    return found


def _nearest_first(workflow: Graph, samplers: Sequence[str], *names: str) -> list[str]:
    """All nodes: those first that the first sampler gets by these inputs, then what samplers get by others."""
    led = [link[0] for sampler in samplers[:1] for name, link in links(workflow[sampler]) if name in names]
    return list(dict.fromkeys([*upstream(workflow, *led), *upstream(workflow, *samplers), *workflow]))


def _of_class(workflow: Graph, nodes: Iterable[str], class_type: str) -> list[str]:
    return [node for node in nodes if workflow[node]["class_type"] == class_type]


def _places(workflow: Graph, nodes: Iterable[str], parameter: str) -> list[str]:
    """Where a parameter would go in these nodes."""
    return [place for node in nodes for place in _literals(workflow, node, parameter)]


def _literals(workflow: Graph, node: str, parameter: str, names: Sequence[str] = ()) -> Iterator[str]:
    """Where the values are that a node has for a parameter, under these names or the usual ones."""
    for name in names or INPUTS[parameter]:
        place = _literal(workflow, node, name)
        if place is not None and is_of_type(get(workflow, place), PARAMETERS[parameter]):
            yield place


def _literal(workflow: Graph, node: str, name: str) -> str | None:
    """Where the value of an input is: there, or in a node that hands it on."""
    for _ in range(_MOST_HOPS):
        value = workflow[node]["inputs"].get(name)
        if not is_link(value):
            return f"{node}.{name}"
        if value[0] not in workflow:
            return None
        node = value[0]
        name = next((each for each in VALUES if each in workflow[node]["inputs"]), "")
    return None


def _alike(workflow: Graph, found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Of the places of each parameter those in the node of the first one, and those that have the same value."""
    return {
        name: [p for p in dict.fromkeys(places) if _is_like(workflow, p, places[0])] for name, places in found.items()
    }


def _is_like(workflow: Graph, place: str, first: str) -> bool:
    is_near = place.rpartition(".")[0] == first.rpartition(".")[0]
    return is_near or get(workflow, place) == get(workflow, first)
