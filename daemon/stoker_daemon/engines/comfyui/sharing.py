"""How many items may share a prompt: what was configured, what the server's nodes can do, what its memory has borne."""

from collections.abc import Callable

from stoker_daemon.jobs.records import WITH
from stoker_daemon.recipes.controls import controls_of
from stoker_daemon.recipes.graph import Graph
from stoker_daemon.recipes.merging import MOST_ITEMS, NODE_PACK, signature
from stoker_daemon.recipes.object_info import ObjectInfo
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Level

FORGIVEN_S = 3600.0
"""A size for which memory was too small is tried again after so long."""
MAX_CEILINGS = 1_000
"""Workflows whose ceilings are remembered."""


def merge_key(graph: Graph, level: Level) -> str:
    """What workflows have in common that can share a prompt at a level; empty: this one can with none.

    Which of their optional inputs are active is said at the end, where `Signature.controls` finds it.
    """
    key = signature(graph, level).key if level != "exact" else None
    controls = controls_of(graph)
    active = WITH + "+".join(controls) if controls else ""
    return f"{level} {key}{active}" if key else ""


def level_of(graph: Graph, asked: Level) -> tuple[Level, str]:
    """At which level up to the one asked for a workflow can share a prompt, and its key there.

    Raises:
        Refused: `bad_request`: a series is asked for, and it can't be one.
    """
    if asked == "series" and (reason := signature(graph, "series").reason):
        hint = "leave the level out, or ask for close or exact: then each item has a seed of its own"
        raise Refused(ErrorCode.BAD_REQUEST, f"level: this can't be a series: {reason}", field="level", hint=hint)
    key = merge_key(graph, asked)
    return (asked, key) if key else ("exact", "")


class Sharing:
    """For one server; `most` items share a prompt at best. `now_s` never jumps."""

    def __init__(self, most: int, now_s: Callable[[], float]) -> None:
        self.has_nodes = False
        """Whether the server has the node pack, which the level `close` needs."""
        self._most = min(most, MOST_ITEMS)
        self._now_s = now_s
        self._ceilings: dict[str, tuple[int, float]] = {}

    def learn(self, info: ObjectInfo) -> None:
        """Take what the server says of its nodes."""
        self.has_nodes = info.classes.keys() >= NODE_PACK

    def levels(self) -> list[Level]:
        """At which levels items can share a prompt now."""
        if self._most == 1:
            return ["exact"]
        return ["exact", "series", "close"] if self.has_nodes else ["exact", "series"]

    def most(self, key: str) -> int:
        """How many items of one key may share a prompt."""
        level, _, _ = key.partition(" ")
        if level not in self.levels():
            return 1
        ceiling, since_s = self._ceilings.get(key, (self._most, self._now_s()))
        return ceiling if self._now_s() - since_s < FORGIVEN_S else self._most

    def ran_out(self, key: str, items: int) -> None:
        """So many items of a key were too many for the memory."""
        while len(self._ceilings) >= MAX_CEILINGS:
            del self._ceilings[next(iter(self._ceilings))]
        self._ceilings[key] = (max(1, items // 2), self._now_s())
