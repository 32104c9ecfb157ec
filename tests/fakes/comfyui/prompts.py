"""The queue of prompts, the running one, and the history, with the ordering and the gaps of the real server's."""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.comfyui.defects import Defects


class WorkerDead(Exception):
    """The switch says that nothing runs any more."""


@dataclass(eq=False)
class Entry:
    """A queued prompt."""

    number: float
    prompt_id: str
    graph: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: list[str]
    arrival: int
    defects: Defects

    def __lt__(self, other: "Entry") -> bool:
        if (self.number, self.prompt_id) != (other.number, other.prompt_id):
            return (self.number, self.prompt_id) < (other.number, other.prompt_id)
        if self.defects.kill_worker_on_duplicate:
            raise TypeError("'<' not supported between instances of 'dict' and 'dict'")
        return self.arrival < other.arrival

    def listed(self) -> list[Any]:
        return [self.number, self.prompt_id, self.graph, self.extra_data, self.outputs]


@dataclass(frozen=True)
class Outcome:
    """What a run leaves in the history."""

    outputs: dict[str, Any]
    meta: dict[str, Any]
    success: bool
    messages: list[tuple[str, dict[str, Any]]]


class Prompts:
    """All prompts that the server knows. Safe to use from any thread."""

    def __init__(self, defects: Defects, changed: Callable[[], None]) -> None:
        self.running: list[Entry] = []
        self._pending: list[Entry] = []
        self._history: dict[str, dict[str, Any]] = {}
        self._defects = defects
        self._changed = changed
        self._wake = threading.Condition(threading.RLock())
        self._woken = False

    def put(self, entry: Entry) -> None:
        """Queue a prompt.

        Raises:
            TypeError: the next one in the heap has the same number and id; the prompt is queued nevertheless.
        """
        with self._wake:
            heapq.heappush(self._pending, entry)
            self._changed()
            self._wake.notify_all()

    def take(self) -> Entry | None:
        """The next prompt, which is then the running one; None when the worker was woken for something else.

        Raises:
            TypeError: two queued prompts have the same number and id; the one on top is lost.
            WorkerDead: the switch says so.
        """
        with self._wake:
            while not self._pending and not self._woken and not self._defects.worker_dead:
                self._wake.wait(0.1)
            if self._defects.worker_dead:
                raise WorkerDead
            self._woken = False
            if not self._pending:
                return None
            entry = heapq.heappop(self._pending)
            self.running.append(entry)
            self._changed()
            return entry

    def wake(self) -> None:
        """Let the worker look at what else it was asked for."""
        with self._wake:
            self._woken = True
            self._wake.notify_all()

    def done(self, entry: Entry, outcome: Outcome) -> None:
        """Write down how the running prompt ended."""
        with self._wake:
            self.running.remove(entry)
            if len(self._history) > self._defects.max_history:
                self._history.pop(next(iter(self._history)))
            self._history[entry.prompt_id] = {
                "prompt": entry.listed(),
                "outputs": outcome.outputs,
                "status": {
                    "status_str": "success" if outcome.success else "error",
                    "completed": outcome.success,
                    "messages": outcome.messages,
                },
                "meta": outcome.meta,
            }
            self._changed()

    def delete(self, prompt_id: Any) -> bool:
        """Forget the first queued prompt with this id; whether there was one."""
        with self._wake:
            for place, entry in enumerate(self._pending):
                if entry.prompt_id == prompt_id:
                    del self._pending[place]
                    heapq.heapify(self._pending)
                    self._changed()
                    return True
            return False

    def clear(self) -> None:
        with self._wake:
            self._pending.clear()
            self._changed()

    def remaining(self) -> int:
        with self._wake:
            return len(self._pending) + len(self.running)

    def pending(self) -> list[Entry]:
        """Those queued, as they lie in the heap."""
        with self._wake:
            return list(self._pending)

    def is_running(self, prompt_id: Any) -> bool:
        with self._wake:
            return any(entry.prompt_id == prompt_id for entry in self.running)

    def history(self) -> dict[str, dict[str, Any]]:
        with self._wake:
            return dict(self._history)

    def page(self, max_items: int | None, offset: int) -> dict[str, dict[str, Any]]:
        """Entries of the history: the newest `max_items`, or so many from the `offset`-th on."""
        entries = list(self.history().items())
        if offset < 0:
            offset = max(0, len(entries) - max_items) if max_items is not None else 0
        end = None if max_items is None else max(offset, offset + max_items)
        return dict(entries[offset:end])

    def forget(self, prompt_id: Any) -> None:
        with self._wake:
            self._history.pop(prompt_id, None)

    def forget_all(self) -> None:
        with self._wake:
            self._history.clear()
