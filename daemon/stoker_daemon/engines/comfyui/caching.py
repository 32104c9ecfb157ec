"""What a ComfyUI server keeps from one prompt to the next: by how it was started, and by what its prompts show."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from stoker_daemon.engines.comfyui.answers import Status
from stoker_daemon.recipes.graph import Graph
from stoker_daemon.recipes.weights import readers_of
from stoker_daemon.scheduling.estimating import NOTHING, Keeps

Mode = Literal["classic", "lru", "ram", "none"]

RAM_SINCE = (0, 22)
"""From about this version on a server that is not told otherwise keeps as much as there is memory for, which on many
hosts is no more than what the last prompt used: its prompts show that.
"""
SURELY = 3
"""What should have been there and was not, so often in a row, is not kept; once may be chance or another's prompt."""
MAX_KNOWN = 1_000
"""Residencies whose files are remembered."""

_WORDS: dict[Mode, str] = {
    "classic": "results of the last prompt",
    "lru": "results of many prompts",
    "ram": "as much as there is memory for",
    "none": "nothing: each prompt loads its models anew",
}


class Caching:
    """For one server. What reads a file of weights is known by its class and inputs, as the server's own cache does."""

    def __init__(self) -> None:
        self._told: Mode = "classic"
        self._nodes = ""
        self._shown: Mode | None = None
        self._is_seen = False
        self._misses = 0
        self._last: frozenset[str] = frozenset()
        self._there: set[str] = set()
        self._of: dict[str, frozenset[str]] = {}
        self._keeps = Keeps(self.mode)

    @property
    def mode(self) -> Mode:
        """As its prompts show, else as it was started."""
        return self._shown or self._told

    def keeps(self) -> Keeps:
        """What matters of it for the price of a load."""
        return self._keeps

    def words(self) -> str:
        """For people."""
        mode = self.mode
        kept = (
            f"results of the last {self._nodes} nodes" if mode == "lru" == self._told and self._nodes else _WORDS[mode]
        )
        if self._shown is not None and self._shown != self._told:
            return f"{kept}, as its prompts show (it was started to keep {_WORDS[self._told].partition(':')[0]})"
        return f"{kept}, as its prompts show" if self._is_seen else kept

    def learn(self, argv: Sequence[str], version: str) -> None:
        """Take how it was started; another way than before means that it has restarted."""
        told, nodes = _told(argv, version)
        if (told, nodes) != (self._told, self._nodes):
            self.forget()
        self._told, self._nodes = told, nodes
        self._sum_up()

    def forget(self) -> None:
        """The server has gone: the next one may be started in another way."""
        self._shown, self._is_seen = None, False
        self.let_go()

    def let_go(self) -> None:
        """The server was made to free its memory."""
        self._last, self._there, self._misses = frozenset(), set(), 0
        self._sum_up()

    def saw(self, residency: str, found: Mapping[str, bool]) -> None:
        """A prompt for a residency has ended; whether each file that it needs was there when it began."""
        for file, was_there in found.items():
            self._judge(file, was_there)
        self._last = frozenset(found)
        if self.mode in ("classic", "none"):
            self._there.clear()
        self._there.update(found)
        while len(self._of) >= MAX_KNOWN:
            del self._of[next(iter(self._of))]
        self._of[residency] = self._last
        self._sum_up()

    def _judge(self, file: str, was_there: bool) -> None:
        """What one file tells: that it was there proves something; that it was not may have other reasons."""
        is_repeated = file in self._last
        if was_there:
            self._misses = 0
            if self._last and not is_repeated:
                self._show("lru" if self._told in ("classic", "none") else self._told)
            elif is_repeated and self.mode == "none":
                self._show("classic" if self._told == "none" else self._told)
            self._is_seen = bool(self._last) or self._is_seen
            return
        is_expected = self.mode != "none" and (is_repeated or (self.mode in ("lru", "ram") and file in self._there))
        self._there.discard(file)
        if not is_expected:
            self._is_seen = bool(self._last) or self._is_seen
            return
        self._misses += 1
        if self._misses >= SURELY:
            self._misses = 0
            self._show("none" if is_repeated else "classic")

    def _show(self, mode: Mode) -> None:
        self._shown, self._is_seen = mode, True

    def _sum_up(self) -> None:
        """Put down what others may look at from another thread."""
        if self.mode == "none":
            self._keeps = Keeps(NOTHING)
        else:
            kept = [each for each, files in self._of.items() if files and files <= self._there]
            self._keeps = Keeps(self.mode, frozenset(kept if self.mode in ("lru", "ram") else ()))


def found_by(graph: Graph, status: Status | None) -> dict[str, bool]:
    """Whether what a workflow reads from disk was there, by what the server says that it needed not run; empty: it says
    nothing.
    """
    said: dict[str, dict[str, Any]] = dict(status.messages if status else ())
    facts = said.get("execution_cached")
    if facts is None:
        return {}
    cached: Collection[str] = facts.get("nodes", ())
    found: dict[str, bool] = {}
    for node_id, reader in readers_of(graph).items():
        found[reader] = found.get(reader, True) and node_id in cached
    return found


def _told(argv: Sequence[str], version: str) -> tuple[Mode, str]:
    """The mode that a command line asks for, and of how many nodes results are kept, if that is said.

    Source: `comfy/cli_args.py` and `main.py` of ComfyUI 0.3.64, 0.12.1 and 0.33.0.
    """
    words = [part for word in argv for part in word.split("=", 1)]
    nodes = words[words.index("--cache-lru") + 1] if "--cache-lru" in words[:-1] else ""
    if "--cache-none" in words:
        return "none", ""
    if nodes not in ("", "0"):
        return "lru", nodes
    if "--cache-ram" in words:
        return "ram", ""
    if "--cache-classic" in words:
        return "classic", ""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return ("ram" if numbers >= RAM_SINCE else "classic"), ""
