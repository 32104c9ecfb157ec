"""What tests of engines have in common: an observer that remembers, and short ways to members and requests."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from msgspec import UNSET

from stoker_daemon.jobs.records import Member, Output
from stoker_daemon.ports import Engine
from stoker_protocol.codec import pack
from stoker_protocol.requests import ItemSpec, Submit

BOUND_S = 30.0
T = TypeVar("T")
E = TypeVar("E", bound=Engine)


class Recorder:
    """Remembers all that a run's observer is told."""

    def __init__(self, *, wants_previews: bool = False) -> None:
        self.wants_previews = wants_previews
        self.is_recorded = False
        self.unwanted: set[int] = set()
        self.progress: list[tuple[str, int, int]] = []
        self.fractions: list[float | None] = []
        self.waits = 0
        self.overflows = 0
        self.weights: list[tuple[int, float, bool]] = []
        self.previews: list[tuple[int, int, int, bytes]] = []
        self.outputs: list[Output] = []
        self.done: list[int] = []
        self.verdicts: list[tuple[int, str, str]] = []
        self.failures: list[tuple[int, str, str]] = []
        self.moved = asyncio.Event()

    @property
    def positions(self) -> list[int]:
        """Those of the outputs, in the order in which they came."""
        return [output.position for output in self.outputs]

    def on_progress(self, phase: str, step: int, steps: int, fraction: float | None = None) -> None:
        self.progress.append((phase, step, steps))
        self.fractions.append(fraction)
        self.moved.set()

    def on_waiting(self) -> None:
        self.waits += 1

    def on_out_of_memory(self) -> None:
        self.overflows += 1

    def on_weights(self, read: int, seconds: float, *, heavy: bool = True) -> None:
        self.weights.append((read, seconds, heavy))

    def on_preview(self, position: int, step: int, steps: int, image: bytes, media_type: str = "image/png") -> None:
        assert media_type.startswith("image/")
        self.previews.append((position, step, steps, image))

    def on_output(self, output: Output) -> None:
        self.outputs.append(output)

    def on_item_done(self, position: int) -> None:
        self.done.append(position)

    def on_item_ended(self, position: int, state: str, message: str) -> None:
        self.verdicts.append((position, str(state), message))

    def on_item_failed(self, position: int, kind: str, message: str) -> None:
        self.failures.append((position, kind, message))


def members(*items: Mapping[str, Any], template: bytes = b"") -> list[Member]:
    """The members of a run over items of one job."""
    return [
        Member(
            position=position,
            job_key=1,
            job_id="job",
            index=position,
            custom_id=None,
            attempt=1,
            crashes=0,
            created_ms=0,
            params=dict(params),
            template=template,
        )
        for position, params in enumerate(items)
    ]


def submit(
    *items: Mapping[str, Any] | None, model: str = "", recipe: str = "", params: Mapping[str, Any] | None = None
) -> Submit:
    """A request with these items; None stands for one without parameters of its own."""
    specs = [ItemSpec() if item is None else ItemSpec(params=pack(dict(item))) for item in items]
    shared = UNSET if params is None else pack(dict(params))
    return Submit(id="1", job_id="job", model=model, recipe=recipe, items=specs, params=shared)


@asynccontextmanager
async def started(engine: E) -> AsyncGenerator[E]:
    """An engine at work, which is stopped when the block ends."""
    await within_bound(engine.start())
    try:
        yield engine
    finally:
        await within_bound(engine.stop())


async def within_bound(awaitable: Awaitable[T]) -> T:
    """The result, or a failed test when it does not come."""
    return await asyncio.wait_for(awaitable, BOUND_S)


async def until(condition: Callable[[], object]) -> None:
    """Look again and again until the condition holds, for half a minute at most."""
    async with asyncio.timeout(BOUND_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def checked(engine: Engine, request: Submit) -> None:
    """Check a request as it is checked when it comes in."""
    await engine.check(request, engine.place(request))


async def run(
    engine: Engine, *items: Mapping[str, Any], run_id: str = "run", model: str = "", recipe: str = ""
) -> Recorder:
    """Load a model, run a batch to its end and return what was told."""
    recorder = Recorder()
    template = engine.place(submit(*items, model=model, recipe=recipe)).template
    await within_bound(engine.load(model))
    assert await within_bound(engine.run(run_id, members(*items, template=template), recorder)) is True
    return recorder
