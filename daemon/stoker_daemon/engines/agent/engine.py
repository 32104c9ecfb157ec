"""The port `Engine` for agents: what it needs of other engines it asks them for, within their limits."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from stoker_daemon.engines.agent.quiet import Quiet
from stoker_daemon.engines.agent.task import Task
from stoker_daemon.engines.agent.toolbox import Toolbox
from stoker_daemon.engines.agent.validation import Validation
from stoker_daemon.engines.fitting import as_map, check_items, refuse_recipes
from stoker_daemon.engines.mcp.engine import MCPEngine
from stoker_daemon.engines.openai.answers import Answer, Unusable
from stoker_daemon.engines.openai.asking import Ask
from stoker_daemon.engines.openai.engine import OpenAIEngine
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import Interrupted, Member, Output, Placement, Resident, Signature
from stoker_daemon.ports import RunObserver
from stoker_protocol import jobs as words
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.jobs import ItemState
from stoker_protocol.requests import Submit

PARAMETERS = [
    words.Parameter("prompt", "string", required=True, help="the task"),
    words.Parameter("system", "string", help="what the model is told before"),
    words.Parameter("max_loops", "integer", minimum=1, maximum=1000, help="how often the model is asked at most"),
    words.Parameter("temperature", "number", minimum=0, maximum=2),
    words.Parameter("max_tokens", "integer", minimum=1, help="where each of its answers is cut"),
    words.Parameter("seed", "integer"),
]
_OPTIONS = ("temperature", "max_tokens", "seed")
_VALIDATION = "validation"
"""The parameter that holds those of the command by which a task is validated."""


class AgentEngine:
    """Lets the models of `chat` work with the tools of `tools`; `validation` tells whether a task is done."""

    remembers = False

    def __init__(
        self,
        name: str,
        *,
        lane: str,
        chat: OpenAIEngine,
        tools: Sequence[MCPEngine],
        validation: Validation,
        system: str,
        max_loops: int,
        max_parallel: int,
    ) -> None:
        self.name = name
        self._lane = lane
        self._chat = chat
        self._tools = tools
        self._validation = validation
        self._system = system
        self._max_loops = max_loops
        self._max_parallel = max_parallel
        self._run: tuple[str, list[asyncio.Task[None]]] | None = None
        self._is_stopped = False

    def facts(self) -> words.Engine:
        return structs.replace(
            self._chat.facts(),
            name=self.name,
            kind="agent",
            lane=self._lane,
            parameters=PARAMETERS,
            max_batch=self._max_parallel,
        )

    async def start(self) -> None:
        """The engines that it uses are started by themselves."""

    async def stop(self) -> None:
        if self._run is not None:
            run_id, tasks = self._run
            await self.interrupt(run_id)
            await end_tasks(tasks)

    def subscribe(self, listener: Callable[[], None], /) -> None:
        self._chat.subscribe(listener)

    def recipes(self) -> list[words.Recipe]:
        return []

    def place(self, request: Submit) -> Placement:
        refuse_recipes(request, self.name)
        placement = self._chat.place(request)
        return replace(placement, signature=Signature(self.name, placement.signature.residency, placement.model))

    async def check(self, request: Submit, _placement: Placement, /) -> None:
        shared = as_map(request.params, "params")
        self._validation.check(shared.get(_VALIDATION, {}), f"params.{_VALIDATION}")
        for index, item in enumerate(request.items):
            field = f"items[{index}].params"
            own = as_map(item.params, field)
            self._validation.check(own.get(_VALIDATION, {}), f"{field}.{_VALIDATION}")
        await check_items(PARAMETERS, request, aside=frozenset({_VALIDATION}))

    def max_batch(self, _signature: Signature, /) -> int:
        return self._max_parallel

    async def load(self, residency: str, /) -> float:
        seconds = await self._chat.load(residency)
        for engine in self._tools:
            seconds += await engine.load("")
        return seconds

    def residents(self) -> list[Resident]:
        return []

    async def unload(self, residency: str, /) -> None:
        """What is loaded is its chat engine's."""

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        self._is_stopped = False
        progress = _Progress([self._most_loops(member) for member in members], observer)
        tasks = [asyncio.create_task(self._carry_out(member, observer, progress)) for member in members]
        self._run = (run_id, tasks)
        try:
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await end_tasks(tasks)
            self._run = None
        failures = [end for end in ends if isinstance(end, Exception)]
        if failures and not self._is_stopped:
            raise failures[0]
        return not self._is_stopped

    async def holds(self, _run: Interrupted, /) -> bool:
        return False

    async def interrupt(self, run_id: str) -> None:
        if self._run is not None and self._run[0] == run_id:
            self._is_stopped = True
            for task in self._run[1]:
                task.cancel()

    async def terminate(self, *, force: bool) -> None:
        """Its processes are those of the engines that it uses."""
        del force
        if self._run is not None:
            await self.interrupt(self._run[0])

    async def _carry_out(self, member: Member, observer: RunObserver, progress: "_Progress") -> None:
        params = member.params
        system = params.get("system", self._system)
        task = Task(
            [
                *([{"role": "system", "content": system}] if system else []),
                {"role": "user", "content": params["prompt"]},
            ],
            {name: params[name] for name in _OPTIONS if name in params},
            self._most_loops(member),
        )
        alive = Quiet(lambda: progress.tell(member.position, task.loops))
        asking = self._chat.asking([member], alive)

        async def ask(body: Mapping[str, Any]) -> Answer:
            return await asking.answer(member, Ask("chat", dict(body)))

        async def validate() -> str:
            return await self._validation.complaint(member, params.get(_VALIDATION, {}), alive)

        try:
            await task.carry_out(ask, Toolbox(self._tools), validate, alive.tell)
            self._conclude(member, task, observer)
        except Unusable as unusable:
            observer.on_item_failed(member.position, unusable.kind, unusable.message)
        except Refused as refused:
            observer.on_item_failed(member.position, FailureKind.INVALID, refused.message)
        progress.tell(member.position, task.max_loops)

    def _conclude(self, member: Member, task: Task, observer: RunObserver) -> None:
        """Keep the transcript, and say how it ended."""
        record = {"loops": task.loops, "is_done": task.is_done, "usage": task.usage}
        whole = Output(
            member.position, task.transcript(), "application/json", ".json", record, more=True, verbatim=True
        )
        observer.on_output(whole)
        if task.is_done:
            observer.on_item_done(member.position)
        else:
            why = task.complaint or "the model was still calling tools"
            observer.on_item_ended(
                member.position, ItemState.REJECTED, f"not done after {task.loops} loops: {' '.join(why.split()):.300}"
            )

    def _most_loops(self, member: Member) -> int:
        return min(self._max_loops, member.params.get("max_loops", self._max_loops))


class _Progress:
    """How far the tasks of a run are together; a step is a loop."""

    def __init__(self, most_loops: Sequence[int], observer: RunObserver) -> None:
        self._loops = [0] * len(most_loops)
        self._most = most_loops
        self._observer = observer
        self.tell(0, 0)

    def tell(self, position: int, loops: int) -> None:
        """A task is at this loop; called again and again, since that also says that it is alive."""
        self._loops[position] = loops
        self._observer.on_progress("running", sum(self._loops), sum(self._most))
