"""The prompts of a run: which members share one, what becomes of one that failed, and what of its outputs is whose."""

import hashlib
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from stoker_daemon.engines.comfyui.answers import Entry
from stoker_daemon.engines.comfyui.sharing import merge_key
from stoker_daemon.jobs.records import Member
from stoker_daemon.recipes import template as templates
from stoker_daemon.recipes.graph import Graph, links
from stoker_daemon.recipes.merging import MOST_ITEMS, item_of, merge, of_series
from stoker_daemon.recipes.template import Template
from stoker_protocol.jobs import MAX_SEED, Level

ITEMS_A_FOLDER = 1_000
"""The server lists the folder at each save."""
MAX_DEPTH = MOST_ITEMS.bit_length()
"""A prompt that fails is made two again and again, but not more often."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A member whose workflow is put together.

    `graph` makes this one item, but in a series any of its images; `number` is which one it is. Members of one `key`
    can share a prompt, those without one can't.
    """

    member: Member
    template: Template
    params: dict[str, Any]
    graph: Graph
    key: str
    number: int

    @property
    def is_of_series(self) -> bool:
        """Whether it is one of several images of a seed."""
        return self.key.startswith("series ")

    @property
    def alone(self) -> Graph:
        """The workflow that makes this item and no other."""
        return of_series(self.graph, self.number) if self.is_of_series else self.graph

    @property
    def ends(self) -> set[str]:
        """The nodes of its workflow that nothing else gets anything from."""
        return self.graph.keys() - {link[0] for node in self.graph.values() for _, link in links(node)}


@dataclass(frozen=True, slots=True)
class Part:
    """A prompt of a run: one member, or several that share it, in the order of their images.

    `name` is the prompt's within the run, from its first member and how often it was made smaller.
    """

    name: str
    ready: tuple[Ready, ...]
    depth: int = 0

    @property
    def is_shared(self) -> bool:
        """Whether its workflow was made for several, even if there is only one left."""
        return "+" in self.name

    @property
    def level(self) -> Level:
        """How equal what it makes is to what its members make alone."""
        if not self.is_shared:
            return "exact"
        return "series" if self.ready[0].is_of_series else "close"

    @property
    def positions(self) -> list[int]:
        """Those of its members in the run."""
        return [one.member.position for one in self.ready]

    def graph(self) -> Graph:
        """The workflow of all members together; names of files are those of the members' own by then."""
        if not self.is_shared:
            return self.ready[0].alone
        graphs = [one.graph for one in self.ready]
        return merge(
            graphs, self.level, self.positions, first=self.ready[0].number if self.level == "series" else 0
        ).graph

    def of(self, ready: Sequence[Ready]) -> "Part":
        """The part for some of its members only."""
        return replace(self, ready=tuple(ready))

    def without(self, positions: Collection[int]) -> "Part":
        """The part for the other members only; images of a series keep their places, so there all stay."""
        left = [one for one in self.ready if one.member.position not in positions]
        return self if left and self.level == "series" else self.of(left)

    def cut(self, most: int) -> list["Part"]:
        """Smaller parts of so many members at most."""
        return [self._smaller(row) for row in _in_rows(self.ready, most)]

    def split(self, blamed: Collection[int]) -> list["Part"]:
        """Smaller parts: those members that are to blame alone and the others together, or two halves."""
        others = [one for one in self.ready if one.member.position not in blamed]
        if 0 < len(others) < len(self.ready):
            alone = [single(one) for one in self.ready if one.member.position in blamed]
            return [*alone, *self.of(others).cut(len(others))]
        return self.cut((len(self.ready) + 1) // 2)

    def of_each(self, entry: Entry) -> dict[int, Entry]:
        """What a history entry has of each member, by position, with the nodes of its own workflow."""
        outputs: dict[int, dict[str, dict[str, Any]]] = {}
        for node, output in entry.outputs.items():
            own, position = item_of(node) if self.is_shared else (node, self.ready[0].member.position)
            if position is not None:
                outputs.setdefault(position, {})[own] = output
        return {position: Entry(found, entry.status) for position, found in outputs.items()}

    def _smaller(self, ready: Sequence[Ready]) -> "Part":
        if len(ready) == 1:
            return single(ready[0])
        return Part(f"{ready[0].member.position}+{self.depth + 1}", tuple(ready), self.depth + 1)


def single(one: Ready) -> Part:
    """The prompt of one member."""
    return Part(str(one.member.position), (one,))


def parts_of(ready: Iterable[Ready], most: Callable[[str], int], there: Collection[str] = ()) -> list[Part]:
    """The prompts of a run, in the order of their first members; `most` says how many of a key may share one.

    `there`: names of prompts that the server has already. They were made by the same rule, but `most` may have been
    another then: so they begin where they began, and what turns out not to be in them is for other prompts.
    """
    groups: list[list[Ready]] = []
    joinable: dict[str, list[Ready]] = {}
    for one in ready:
        position = one.member.position
        group = joinable.get(one.key)
        is_alone = not one.key or str(position) in there
        limit = MOST_ITEMS if there else most(one.key)
        if is_alone or group is None or f"{position}+0" in there or not _fits(group, one, limit):
            groups.append(group := [])
        if not is_alone:
            joinable[one.key] = group
        group.append(one)
    return [_part(group, there) for group in groups]


def fill(member: Member) -> Ready:
    """Put a member's workflow together.

    Raises:
        KeyError: The template has no such node.
    """
    template = templates.decode(member.template)
    params = _params_of(template, member)
    graph = templates.fill(template, params)
    key = merge_key(graph, template.level)
    if template.level == "series" and not key:
        template = structs.replace(template, level="exact")
        params = _params_of(template, member)
        graph = templates.fill(template, params)
    return Ready(member, template, params, graph, key, member.index % MOST_ITEMS)


def name_files(one: Ready, run_id: str) -> None:
    """Let an item save its own files, even where it is the same as another, in a folder that does not grow large."""
    member = one.member
    folder = f"stoker/{member.job_id}/{member.index // ITEMS_A_FOLDER:03}"
    for node in one.graph.values():
        if "filename_prefix" in node["inputs"]:
            node["inputs"]["filename_prefix"] = f"{folder}/{member.index:05}-{run_id}"


def prompt_id(run_id: str, name: str) -> str:
    """The id of a prompt on the server, the same whenever it is asked for: newer servers take UUIDs only."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"stoker:{run_id}/{name}"))


def names_of(positions: Iterable[int], depth: int = 0) -> list[str]:
    """The names of all prompts that members may have been in, if none was made smaller more often."""
    return [name for p in positions for name in (str(p), *(f"{p}+{number}" for number in range(depth + 1)))]


def _part(group: Sequence[Ready], there: Collection[str]) -> Part:
    name = f"{group[0].member.position}+0"
    if len(group) == 1 and name not in there:
        return single(group[0])
    return Part(name, tuple(group))


def _fits(group: Sequence[Ready], one: Ready, most: int) -> bool:
    if len(group) >= most:
        return False
    return not one.is_of_series or one.number == group[-1].number + 1


def _in_rows(ready: Sequence[Ready], most: int) -> list[list[Ready]]:
    """So many members at most in each row, and only such that can share a prompt."""
    rows: list[list[Ready]] = []
    for one in ready:
        if not rows or not _fits(rows[-1], one, most):
            rows.append([])
        rows[-1].append(one)
    return rows


def _params_of(template: Template, member: Member) -> dict[str, Any]:
    """The parameters of an item; who gives no seed has one all the same, at each attempt this one."""
    params = template.numbered(member.params, member.index)
    seeds = [binding.parameter for binding in template.bindings if binding.parameter.name == "seed"]
    if not seeds or "seed" in params:
        return params
    first = template.defaults.get("seed", seeds[0].default)
    if first is None:
        first = int.from_bytes(hashlib.sha256(member.job_id.encode()).digest()[:3], "big") // 2
    further = 0 if template.one_seed else member.index
    if template.level == "series":
        further = member.index // MOST_ITEMS
    return {**params, "seed": (first + further) % (MAX_SEED + 1)}
