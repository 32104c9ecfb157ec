"""Which results of nodes are kept from one prompt to the next."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tests.fakes.comfyui.options import CacheMode

LRU_SIZE = 20


@dataclass(frozen=True)
class Cached:
    """A node's result: its values, and what it showed."""

    values: tuple[Any, ...]
    shown: dict[str, Any] | None


class Cache:
    """Results by signature: `classic` keeps those of the last prompt, `lru` the last 20, `ram` all, `none` none."""

    def __init__(self, mode: CacheMode) -> None:
        self._mode = mode
        self._results: OrderedDict[str, Cached] = OrderedDict()

    def begin(self, signatures: set[str]) -> None:
        """Drop what the prompt that begins can't use."""
        if self._mode == "classic":
            for signature in set(self._results) - signatures:
                del self._results[signature]
        elif self._mode == "none":
            self._results.clear()
        elif self._mode == "lru":
            while len(self._results) > LRU_SIZE:
                self._results.popitem(last=False)

    def get(self, signature: str) -> Cached | None:
        if signature in self._results:
            self._results.move_to_end(signature)
        return self._results.get(signature)

    def put(self, signature: str, result: Cached) -> None:
        self._results[signature] = result

    def clear(self) -> None:
        self._results.clear()
