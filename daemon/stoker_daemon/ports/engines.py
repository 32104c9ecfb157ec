"""What the core needs of an adapter to what runs models, and the other way round."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from stoker_daemon.jobs.records import Interrupted, Member, Output, Placement, Resident, Signature, Verdict
from stoker_protocol import jobs as words
from stoker_protocol.errors import FailureKind
from stoker_protocol.requests import Submit


class RunObserver(Protocol):
    """Who listens to a run while an engine is at it. Calls come on the loop and never block."""

    @property
    def is_recorded(self) -> bool:
        """Whether what became of the run is committed."""
        ...

    @property
    def wants_previews(self) -> bool:
        """Whether somebody looks at them now."""
        ...

    @property
    def unwanted(self) -> Collection[int]:
        """The positions of members that were cancelled while others go on: what is made for them is thrown away."""
        ...

    def on_progress(self, phase: str, step: int, steps: int, fraction: float | None = None) -> None:
        """The run moved; `fraction` (0 to 1) tells how much of it is done, if the engine knows better than the step."""
        ...

    def on_waiting(self) -> None:
        """The engine works for somebody else: the time since the run last moved is not its own."""
        ...

    def on_out_of_memory(self) -> None:
        """Memory was too small for all that shared the run; the engine goes on with it in smaller parts."""
        ...

    def on_weights(self, read: int, seconds: float, *, heavy: bool = True) -> None:
        """A part of the run needed so many model files read, which took so long; 0: all of them were there.

        `heavy`: what the others are put on was among them.
        """
        ...

    def on_preview(self, position: int, step: int, steps: int, image: bytes, media_type: str = "image/png") -> None: ...

    def on_output(self, output: Output) -> None: ...

    def on_item_done(self, position: int) -> None: ...

    def on_item_ended(self, position: int, state: Verdict, message: str) -> None:
        """The item ran to an end that is neither a success nor a failure; what it made is kept."""
        ...

    def on_item_failed(self, position: int, kind: FailureKind, message: str) -> None: ...


class Engine(Protocol):
    """An adapter that can load, run, interrupt and unload. One lane calls it, one call at a time.

    One that `remembers` goes on with a run when the daemon ends or loses sight of it: `run` under the same id takes up
    what there is instead of beginning anew.
    """

    name: str
    remembers: bool

    def facts(self) -> words.Engine:
        """What it offers and how it is, as far as is known without asking it."""
        ...

    async def start(self) -> None:
        """Begin; an engine that can't start yet is `down` and says why, it does not raise."""
        ...

    async def stop(self) -> None:
        """End all that it started."""
        ...

    def subscribe(self, listener: Callable[[], None], /) -> None:
        """Call the listener when it is there again without having been asked."""
        ...

    def recipes(self) -> list[words.Recipe]:
        """The recipes that its jobs may name, with their workflows."""
        ...

    def place(self, request: Submit) -> Placement:
        """Where a job belongs. Raises Refused: `bad_request`: no such model, recipe or profile."""
        ...

    async def check(self, request: Submit, placement: Placement, /) -> None:
        """Are all items' parameters what the model takes, as far as is known? Raises Refused: `bad_request`."""
        ...

    def max_batch(self, signature: Signature, /) -> int:
        """How many items of a signature may share a run now."""
        ...

    async def load(self, residency: str, /) -> float:
        """Make a model resident and return the seconds that it took (0 if it was). Raises EngineFailure."""
        ...

    def residents(self) -> list[Resident]:
        """What it holds on this host's GPU, as far as is known without asking; nothing if it does not tell."""
        ...

    async def unload(self, residency: str, /) -> None:
        """Give back what a model holds, "": all that it holds. Raises EngineFailure: it keeps it."""
        ...

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        """Run a batch; True: to its end, False: it was interrupted. Raises EngineFailure when the whole run failed."""
        ...

    async def holds(self, run: Interrupted, /) -> bool:
        """Has it anything of a run that was cut short: queued, at work, or its results? Raises EngineFailure."""
        ...

    async def interrupt(self, run_id: str) -> None:
        """Ask the run to stop at its next step."""
        ...

    async def terminate(self, *, force: bool) -> None:
        """End the engine's process politely, or with `force` at once; the run at work ends with EngineFailure."""
        ...
