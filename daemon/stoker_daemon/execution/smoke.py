"""Tries an engine with a small item before it gets work, and again after it was in trouble."""

import asyncio
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import structlog

from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import EngineFailure, Member, Output, Verdict
from stoker_daemon.ports import Engine
from stoker_protocol.codec import pack
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.jobs import ItemState
from stoker_protocol.replies import Finding
from stoker_protocol.requests import ItemSpec, Submit

JOB_ID = "smoke"
"""Whose item it says it is; no job in the queue."""
GRACE_S = 10.0
"""So long an item that is late may take to end, once it was asked to, and once more when it is made to."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SmokeItem:
    """What an engine has to do: an item with these parameters by a recipe, within so many seconds."""

    params: Mapping[str, Any]
    recipe: str = ""
    timeout_s: float = 60.0


@dataclass(slots=True)
class Smoke:
    """The items by the engines that have to do them; what comes of them is kept by nobody.

    All lanes share it: an engine that has done its item is well for each. `reasons` says why those are not that failed.
    """

    items: Mapping[str, SmokeItem] = field(default_factory=dict[str, SmokeItem])
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    _well: set[str] = field(default_factory=set[str])
    _tries: dict[str, int] = field(default_factory=dict[str, int])
    _trying: dict[str, asyncio.Lock] = field(default_factory=dict[str, asyncio.Lock])

    def doubt(self, engine: str) -> None:
        """An engine was in trouble: it has to do its item once more."""
        self._well.discard(engine)

    def findings(self, engines: Container[str]) -> list[Finding]:
        """How those of these engines are that had to do something."""
        return [
            Finding(f"smoke item of {name}", ok=name not in self.reasons, detail=self.reasons.get(name, "done"))
            for name in self._tries
            if name in engines
        ]

    async def prove(self, engine: Engine, model: str, residency: str) -> None:
        """Have an engine, which has loaded this, do its item with that model, unless it is known to be well.

        Raises:
            EngineFailure: It can't; what it was to do instead has to wait.
        """
        item, name = self.items.get(engine.name), engine.name
        if item is None or name in self._well:
            return
        tries = self._tries.get(name, 0)
        async with self._trying.setdefault(name, asyncio.Lock()):
            if tries == self._tries.get(name, 0):  # else another lane has tried it meanwhile
                self._note(name, await _try(engine, item, model, residency))
        if name not in self._well:
            message = f"it does not do its smoke item: {self.reasons[name]}"
            raise EngineFailure(FailureKind.SERVER_ERROR, message, unavailable=True)

    def _note(self, engine: str, reason: str) -> None:
        self._tries[engine] = self._tries.get(engine, 0) + 1
        if not reason:
            self._well.add(engine)
            self.reasons.pop(engine, None)
            log.info("an engine has done its smoke item", engine=engine)
            return
        log.warning("an engine does not do its smoke item", engine=engine, why=reason)
        self.reasons[engine] = reason


class _Witness:
    """Implements `ports.RunObserver` for one item: is it done, or why not?"""

    is_recorded = False
    wants_previews = False
    unwanted: Collection[int] = ()

    def __init__(self) -> None:
        self.is_done = False
        self.failure = ""

    def on_progress(self, phase: str, step: int, steps: int, fraction: float | None = None) -> None: ...

    def on_waiting(self) -> None: ...

    def on_out_of_memory(self) -> None: ...

    def on_weights(self, read: int, seconds: float, *, heavy: bool = True) -> None: ...

    def on_preview(self, position: int, step: int, steps: int, image: bytes, media_type: str = "image/png") -> None: ...

    def on_output(self, output: Output) -> None:
        self.is_done = self.is_done or not output.more

    def on_item_done(self, position: int) -> None:
        self.is_done = position == 0

    def on_item_ended(self, position: int, state: Verdict, message: str) -> None:
        self.on_item_done(position)
        if state is ItemState.REJECTED:
            self.failure = f"{state}: {message}"

    def on_item_failed(self, position: int, kind: FailureKind, message: str) -> None:
        assert position == 0
        self.failure = f"{kind.value}: {message}"


async def _try(engine: Engine, item: SmokeItem, model: str, residency: str) -> str:
    """Have it done, and what was loaded loaded again; why it is not done, if it is not."""
    params = pack(dict(item.params))
    request = Submit(
        id="", job_id=JOB_ID, engine=engine.name, model=model, recipe=item.recipe, items=[ItemSpec(params=params)]
    )
    try:
        placement = engine.place(request)
        await engine.check(request, placement)
        await engine.load(placement.signature.residency)
        member = Member(0, 0, JOB_ID, 0, None, 1, 0, 0, dict(item.params), placement.template)
        reason = await _run(engine, item, member)
        if not reason:
            await engine.load(residency)
    except Refused as refused:
        return f"{refused.message} ({refused.field}); correct it under [preflight.smoke] in the configuration"
    except EngineFailure as failure:
        return failure.message
    return reason


async def _run(engine: Engine, item: SmokeItem, member: Member) -> str:
    """Why it is not done, if it is not. Raises EngineFailure."""
    run_id, witness = f"{JOB_ID}-{token_hex(4)}", _Witness()
    running = asyncio.ensure_future(engine.run(run_id, [member], witness))
    try:
        await asyncio.wait({running}, timeout=item.timeout_s)
        is_late = not running.done()
        if is_late:
            await engine.interrupt(run_id)
            await asyncio.wait({running}, timeout=GRACE_S)
        if not running.done():
            await engine.terminate(force=True)
            await asyncio.wait({running}, timeout=GRACE_S)
        if is_late:
            return f"it was not done within {item.timeout_s:g} s"
        await running
        return witness.failure or ("" if witness.is_done else "it came to nothing")
    finally:
        await end_tasks([running])
