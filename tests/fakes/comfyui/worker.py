"""The worker: one thread that runs one prompt after the other and tells about it."""

import threading
import time
import traceback
from dataclasses import replace
from typing import Any

from tests.fakes.comfyui import stoker_nodes, work_images, work_models, work_tests
from tests.fakes.comfyui.cache import Cache, Cached
from tests.fakes.comfyui.defects import Defects
from tests.fakes.comfyui.files import Folders
from tests.fakes.comfyui.gate import Gate, Interrupted
from tests.fakes.comfyui.graph import Graph, Plan
from tests.fakes.comfyui.nodes import Nodes
from tests.fakes.comfyui.options import Options
from tests.fakes.comfyui.progress import Progress
from tests.fakes.comfyui.prompts import Entry, Outcome, Prompts, WorkerDead
from tests.fakes.comfyui.stream import Stream
from tests.fakes.comfyui.vram import Vram
from tests.fakes.comfyui.work import Blocker, Result, Work

_DOES = work_images.DOES | work_models.DOES | work_tests.DOES | stoker_nodes.DOES
_OUT_OF_MEMORY = (
    "This error means you ran out of memory on your GPU.\n\n"
    "TIPS: If the workflow worked before you might have accidentally set the batch_size to a large number."
)


class Worker:
    """What all runs share, and the thread that runs them."""

    def __init__(
        self, prompts: Prompts, stream: Stream, folders: Folders, gate: Gate, defects: Defects, options: Options
    ) -> None:
        self.prompts = prompts
        self.stream = stream
        self.folders = folders
        self.gate = gate
        self.defects = defects
        self.nodes = Nodes(folders, options)
        self.options = options
        self.cache = Cache(options.keeps)
        self.vram = Vram(defects)
        self._must_free = self._must_unload = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def free(self) -> None:
        """Forget all results, as soon as no prompt runs."""
        self._must_free = True
        self.prompts.wake()

    def unload(self) -> None:
        """Give back the memory of the GPU, as soon as no prompt runs."""
        self._must_unload = True
        self.prompts.wake()

    def _work(self) -> None:
        while True:
            try:
                entry = self.prompts.take()
            except (TypeError, WorkerDead):
                return
            if entry is not None:
                self._run(entry)
            if self._must_free:
                self._must_free = False
                self.cache.clear()
            if self._must_unload:
                self._must_unload = False
                self.vram.free()

    def _run(self, entry: Entry) -> None:
        self.folders.count_execution(entry.prompt_id)
        self.stream.client_id = entry.extra_data.get("client_id")
        self.stream.last_node_id = None
        self.gate.clear()
        outcome = Run(self, entry).run()
        self.stream.last_node_id = None
        time.sleep(self.defects.history_gap_s)  # simulated work
        self.prompts.done(entry, outcome)
        if self.stream.client_id is not None:
            self.stream.send("executing", {"node": None, "prompt_id": entry.prompt_id}, self.stream.client_id)


class Run:
    """One prompt at work."""

    def __init__(self, worker: Worker, entry: Entry) -> None:
        self._worker = worker
        self._stream = worker.stream
        self._entry = entry
        self._graph = Graph(entry.graph)
        self._plan = Plan(self._graph, self._is_cached, self._is_output)
        self._progress = Progress(entry.prompt_id, self._graph, worker.stream)
        self._executed: list[str] = []
        self._values: dict[str, tuple[Any, ...]] = {}
        self._expanded: dict[str, Result] = {}
        self._current_inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self._meta: dict[str, Any] = {}
        self._messages: list[tuple[str, dict[str, Any]]] = []

    def run(self) -> Outcome:
        """Run all outputs that are to run, and say how it ended."""
        self._tell("execution_start", {"prompt_id": self._entry.prompt_id})
        self._worker.cache.begin({self._signature(node_id) for node_id in self._graph.original})
        cached = [node_id for node_id in self._graph.original if self._is_cached(node_id)]
        self._tell("execution_cached", {"nodes": cached, "prompt_id": self._entry.prompt_id})
        success = self._run_nodes()
        if success:
            self._tell("execution_success", {"prompt_id": self._entry.prompt_id})
        return Outcome(self._outputs, self._meta, success, self._messages)

    def _run_nodes(self) -> bool:
        for node_id in self._entry.outputs:
            self._plan.add(node_id)
        while self._plan:
            node_id = self._plan.pick()
            try:
                finished = self._run_node(node_id)
            except Interrupted:
                self._tell("execution_interrupted", self._end_of(node_id), broadcast=True)
                return False
            except Exception as error:  # noqa: BLE001 whatever a node raises is told and ends the run
                self._tell("execution_error", self._end_of(node_id) | self._told(error))
                return False
            if finished:
                self._plan.finish(node_id)
        return True

    def _run_node(self, node_id: str) -> bool:
        """Run a node; False if it waits for nodes that it added."""
        if (cached := self._worker.cache.get(self._signature(node_id))) is not None:
            self._show_cached(node_id, cached)
            return True
        if node_id in self._expanded:
            result = self._expanded[node_id]
            values = tuple(self._value(link[0], link[1]) for link in result.values)
        else:
            result = self._execute(node_id)
            if result.nodes:
                self._expand(node_id, result)
                return False
            values = result.values
        self._finish(node_id, values, result.shown)
        return True

    def _execute(self, node_id: str) -> Result:
        self._progress.start(node_id)
        if self._stream.client_id is not None:
            self._stream.last_node_id = self._graph.real_id(node_id)
            data = {"node": node_id, "display_node": self._graph.real_id(node_id), "prompt_id": self._entry.prompt_id}
            self._stream.send("executing", data, self._stream.client_id)
        if self._worker.defects.hold and not self._executed:
            self._worker.gate.hold()
        self._worker.gate.check()
        inputs = self._current_inputs = self._inputs(node_id)
        for value in inputs.values():
            if isinstance(value, Blocker):
                return self._blocked(node_id, value)
        name = self._graph[node_id]["class_type"]
        result = _DOES[name](self._work(node_id), **inputs)
        passed_on = self._worker.nodes.passed_on(name)
        return replace(result, values=(inputs[passed_on],)) if passed_on else result

    def _inputs(self, node_id: str) -> dict[str, Any]:
        node = self._graph[node_id]
        declared = self._worker.nodes[node["class_type"]]["input"]
        known = declared.get("required", {}) | declared.get("optional", {})
        links = self._graph.links(node_id)
        return {
            name: self._value(*links[name]) if name in links else value
            for name, value in node["inputs"].items()
            if name in known
        }

    def _value(self, node_id: str, slot: int) -> Any:
        if node_id not in self._values:
            cached = self._worker.cache.get(self._signature(node_id))
            assert cached is not None, "a node runs after those before it"
            self._values[node_id] = cached.values
        return self._values[node_id][slot]

    def _blocked(self, node_id: str, blocker: Blocker) -> Result:
        """Tell what blocks a node, and block what comes after it silently."""
        if blocker.message is not None and self._stream.client_id is not None:
            told: dict[str, Any] = {
                "exception_message": f"Execution Blocked: {blocker.message}",
                "exception_type": "ExecutionBlocked",
                "traceback": [],
                "current_inputs": [],
                "current_outputs": [],
            }
            self._stream.send("execution_error", self._end_of(node_id) | told, self._stream.client_id)
        slots = len(self._worker.nodes[self._graph[node_id]["class_type"]]["output"])
        return Result((Blocker(None),) * slots)

    def _expand(self, node_id: str, result: Result) -> None:
        self._expanded[node_id] = result
        for added, node in result.nodes.items():
            self._graph.add(added, node, node_id)
        for added in result.nodes:
            if self._is_output(added):
                self._plan.add_before(node_id, added)
        for link in result.values:
            self._plan.add_before(node_id, link[0])

    def _finish(self, node_id: str, values: tuple[Any, ...], shown: dict[str, Any] | None) -> None:
        self._values[node_id] = values
        if shown is not None:
            self._show(node_id, shown)
        self._executed.append(node_id)
        self._worker.cache.put(self._signature(node_id), Cached(values, shown))
        self._progress.finish(node_id)

    def _show(self, node_id: str, shown: dict[str, Any]) -> None:
        real_id = self._graph.real_id(node_id)
        self._outputs[node_id] = shown
        self._meta[node_id] = {
            "node_id": node_id,
            "display_node": real_id,
            "parent_node": self._graph.parent(node_id),
            "real_node_id": real_id,
        }
        if self._stream.client_id is not None:
            data = {"node": node_id, "display_node": real_id, "output": shown, "prompt_id": self._entry.prompt_id}
            self._stream.send("executed", data, self._stream.client_id)

    def _show_cached(self, node_id: str, cached: Cached) -> None:
        """Show again what a node showed."""
        is_hidden = self._stream.client_id is None and self._worker.options.hides_cached
        if cached.shown is not None and not is_hidden:
            self._show(node_id, cached.shown)
        self._progress.finish(node_id)

    def _work(self, node_id: str) -> Work:
        extra_data = self._entry.extra_data
        options = self._worker.options
        chosen = "default" if options.old else extra_data.get("preview_method", "default")
        return Work(
            node_id=node_id,
            graph=self._entry.graph,
            extra_data=extra_data,
            folders=self._worker.folders,
            gate=self._worker.gate,
            pace=self._worker.defects,
            tell_step=lambda value, total, jpeg: self._progress.step(node_id, value, total, jpeg),
            tell_text=lambda text: self._stream.send_text(node_id, text),
            has_preview=options.previews if chosen == "default" else chosen != "none",
        )

    def _end_of(self, node_id: str) -> dict[str, Any]:
        """Where a run ended: an added node counts as the one that it came from."""
        real_id = self._graph.real_id(node_id)
        return {
            "prompt_id": self._entry.prompt_id,
            "node_id": real_id,
            "node_type": self._graph[real_id]["class_type"],
            "executed": list(self._executed),
        }

    def _told(self, error: Exception) -> dict[str, Any]:
        kind = type(error)
        message = f"{error}\n{_OUT_OF_MEMORY if kind is work_tests.OutOfMemoryError else ''}"
        return {
            "exception_message": message,
            "exception_type": kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}",
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": {name: [_shown(value)] for name, value in self._current_inputs.items()},
            "current_outputs": list(self._graph.original),
        }

    def _tell(self, kind: str, data: dict[str, Any], *, broadcast: bool = False) -> None:
        """Send an event that the history keeps, too."""
        data = {**data, "timestamp": int(time.time() * 1000)}
        self._messages.append((kind, data))
        if self._stream.client_id is not None or broadcast:
            self._stream.send(kind, data, self._stream.client_id)

    def _is_cached(self, node_id: str) -> bool:
        return self._worker.cache.get(self._signature(node_id)) is not None

    def _is_output(self, node_id: str) -> bool:
        return self._worker.nodes.is_output(self._graph[node_id]["class_type"])

    def _signature(self, node_id: str) -> str:
        return self._graph.signature(node_id, self._worker.folders.input_state)


def _shown(value: Any) -> Any:
    return value if isinstance(value, int | float | str | None) else str(value)
