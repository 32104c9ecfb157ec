"""The port `Engine` for the tools of an MCP server, as far as the configuration allows them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import jsonschema
from mcp import MCPError
from mcp.types import Tool

from stoker_daemon.engines.fitting import ITEMS_A_TURN, as_map, refuse
from stoker_daemon.engines.mcp.answers import Unfit, outputs_of, reason_of
from stoker_daemon.engines.mcp.server import Gone, ToolServer
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Member, Placement, Resident, Signature
from stoker_daemon.ports import RunObserver
from stoker_protocol import jobs as words
from stoker_protocol.codec import did_you_mean
from stoker_protocol.errors import ErrorCode, FailureKind, Refused
from stoker_protocol.requests import Submit

ALL = "*"
"""Among the allowed tools: all that the server has."""
_TYPES = frozenset({"integer", "number", "string", "boolean"})


class MCPEngine:
    """Calls tools of `server`, those of `allowed` only, up to `max_parallel` at a time; `recipe` names a job's tool.

    An item's parameters are the arguments. Of its results `max_output_bytes` are kept.
    """

    remembers = False

    def __init__(
        self,
        name: str,
        *,
        lane: str,
        server: ToolServer,
        allowed: Sequence[str],
        max_parallel: int,
        max_output_bytes: int,
    ) -> None:
        self.name = name
        self.server = server
        self._lane = lane
        self._allowed = allowed
        self._max_parallel = max_parallel
        self._max_output_bytes = max_output_bytes
        self._state, self._detail = "starting", ""
        self._run: tuple[str, list[asyncio.Task[None]]] | None = None
        self._is_stopped = False

    def facts(self) -> words.Engine:
        tools = self.tools()
        return words.Engine(
            name=self.name,
            kind="mcp",
            state=self._state,
            lane=self._lane,
            default_model="",
            models=[],
            parameters=_parameters(tools[0]) if tools else [],
            max_batch=self._max_parallel,
            detail=self._detail,
        )

    def tools(self) -> list[Tool]:
        """Those that the server has and the configuration allows, as far as is known."""
        return [tool for name, tool in self.server.tools.items() if ALL in self._allowed or name in self._allowed]

    async def start(self) -> None:
        try:
            await self.server.open()
        except Gone as gone:
            self._state, self._detail = "down", str(gone)
            return
        lacking = [name for name in self._allowed if name not in self.server.tools and name != ALL]
        self._state = "ready"
        self._detail = f"the server has no {', '.join(lacking)}" if lacking else ""

    async def stop(self) -> None:
        self._state, self._detail = "down", "stopped"
        await self.server.close()

    def subscribe(self, _listener: Callable[[], None], /) -> None:
        """It is started when it is needed."""

    def recipes(self) -> list[words.Recipe]:
        return [
            words.Recipe(tool.name, self.name, _first_line(tool.description), _parameters(tool))
            for tool in self.tools()
        ]

    def place(self, request: Submit) -> Placement:
        hint = "leave it out; `recipe` says which tool, and `stoker recipes` lists them"
        refuse(request, self.name, ("model", "workflow", "profile"), hint)
        tool = request.recipe or next((each.name for each in self.tools()), self._allowed[0])
        self._check_allowed(tool)
        return Placement("", Signature(engine=self.name, residency=tool), tool, tool.encode())

    async def check(self, request: Submit, placement: Placement, /) -> None:
        tool = self.server.tools.get(placement.recipe)
        if tool is None:
            return  # the server was never seen: it will check
        validator = jsonschema.Draft202012Validator(tool.input_schema)
        shared = as_map(request.params, "params")
        lenient = jsonschema.Draft202012Validator({**tool.input_schema, "required": []})  # items may add to these
        _check(shared, lenient, "params")
        for index, item in enumerate(request.items):
            if index % ITEMS_A_TURN == ITEMS_A_TURN - 1:
                await asyncio.sleep(0)
            field = f"items[{index}].params"
            _check({**shared, **as_map(item.params, field)}, validator, field)

    def max_batch(self, _signature: Signature, /) -> int:
        return self._max_parallel

    async def load(self, _residency: str, /) -> float:
        """The server has to be there."""
        if not self.server.is_open:
            await self.start()
        if self._state != "ready":
            raise EngineFailure(FailureKind.SERVER_ERROR, self._detail, unavailable=True)
        return 0.0

    def residents(self) -> list[Resident]:
        return []

    async def unload(self, _residency: str, /) -> None:
        """It holds nothing on the GPU."""

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        self._is_stopped = False
        progress = _Progress(len(members), observer)
        calls = [asyncio.create_task(self._call(member, observer, progress)) for member in members]
        self._run = (run_id, calls)
        try:
            ends = await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await end_tasks(calls)
            self._run = None
        if self._is_stopped:
            return False
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return True

    async def holds(self, _run: Interrupted, /) -> bool:
        return False

    async def interrupt(self, run_id: str) -> None:
        """The server is told that nobody waits for these calls any more."""
        if self._run is not None and self._run[0] == run_id:
            self._is_stopped = True
            for call in self._run[1]:
                call.cancel()

    async def terminate(self, *, force: bool) -> None:
        if self._run is not None:
            await self.interrupt(self._run[0])
        if force:
            await self.server.close()

    async def _call(self, member: Member, observer: RunObserver, progress: "_Progress") -> None:
        tool = member.template.decode()
        try:
            self._check_allowed(tool)
            result = await self.server.call(tool, member.params, partial(progress.move, member.position))
            if result.is_error:
                observer.on_item_failed(member.position, FailureKind.INVALID, reason_of(tool, result))
            else:
                for output in outputs_of(member.position, tool, result, self._max_output_bytes):
                    observer.on_output(output)
                observer.on_item_done(member.position)
        except Refused as refused:
            observer.on_item_failed(member.position, FailureKind.REFUSED, refused.message)
        except Unfit as unfit:
            observer.on_item_failed(member.position, FailureKind.INVALID, f"{tool}: {unfit}")
        except MCPError as error:
            observer.on_item_failed(member.position, FailureKind.INVALID, f"{tool}: {error}")
        except Gone as gone:
            self._state, self._detail = "down", str(gone)
            await self.server.close()
            raise EngineFailure(FailureKind.CRASH, str(gone), died=True) from None
        finally:
            progress.move(member.position, 1.0, 1.0)

    def _check_allowed(self, tool: str) -> None:
        """Raises Refused: `bad_request`: there is no such tool, or it may not be called."""
        known = [each.name for each in self.tools()] or [name for name in self._allowed if name != ALL]
        if tool in known or (not self.server.tools and ALL in self._allowed):
            return
        is_there = tool in self.server.tools
        what = (
            f"the configuration does not allow the tool {tool!r:.80}" if is_there else f"there is no tool {tool!r:.80}"
        )
        hint = did_you_mean(tool, known) or f"tools: {', '.join(known)}"
        raise Refused(ErrorCode.BAD_REQUEST, what, field="recipe", hint=hint)


class _Progress:
    """How far the calls of a run are together."""

    def __init__(self, calls: int, observer: RunObserver) -> None:
        self._parts = [0.0] * calls
        self._observer = observer
        self._tell()

    def move(self, position: int, done: float, total: float | None) -> None:
        """A call is so far, as its tool counts; one that does not say of how much is only alive."""
        if total:
            self._parts[position] = min(1.0, max(self._parts[position], done / total))
        self._tell()

    def _tell(self) -> None:
        whole = sum(part == 1.0 for part in self._parts)
        self._observer.on_progress("running", whole, len(self._parts), sum(self._parts) / len(self._parts))


def _check(arguments: Mapping[str, Any], validator: Any, field: str) -> None:
    """Do the arguments fit the tool? Raises Refused: `bad_request`, naming the first that does not."""
    errors = sorted(validator.iter_errors(arguments), key=lambda error: list(map(str, error.path)))
    if errors:
        where = ".".join([field, *map(str, errors[0].path)])
        hint = f"it takes: {', '.join(validator.schema.get('properties', {})) or 'nothing'}"
        raise Refused(ErrorCode.BAD_REQUEST, f"{where}: {errors[0].message:.300}", field=where, hint=hint)


def _parameters(tool: Tool) -> list[words.Parameter]:
    """Those arguments that a form can show."""
    required = tool.input_schema.get("required", [])
    properties: dict[str, Any] = tool.input_schema.get("properties", {})
    return [
        _parameter(name, cast("dict[str, Any]", schema), required=name in required)
        for name, schema in properties.items()
        if isinstance(schema, dict) and cast("dict[str, Any]", schema).get("type") in _TYPES
    ]


def _parameter(name: str, schema: Mapping[str, Any], *, required: bool) -> words.Parameter:
    return words.Parameter(
        name,
        schema["type"],
        default=schema.get("default"),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        choices=schema.get("enum"),
        required=required,
        help=_first_line(schema.get("description")),
    )


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0][:200]
