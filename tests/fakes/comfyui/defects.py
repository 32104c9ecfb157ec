"""What can be made to go wrong in the fake, at its start and while it runs, and how fast it works."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass
class Defects:
    """The switches. Those that count say how many times more, -1 for always."""

    history_gap_s: float = 0.0  # from `execution_success` to the entry in the history
    worker_dead: bool = False  # nothing runs any more, HTTP goes on; only a restart heals it
    kill_worker_on_duplicate: bool = True  # two queued prompts with the same number and id, as in the real server
    interrupt_latency_s: float = 0.0  # an interrupt is heard no sooner
    ignore_interrupt: bool = False  # nor ever
    stream_frozen: bool = False  # the stream falls silent; what it kept back is sent when it thaws
    ws_lag_s: float = 0.0  # each event is late
    post_latency_s: float = 0.0  # before a prompt is looked at
    post_lost_reply: int = 0  # the prompt is queued, and the connection cut before the reply
    post_refused_then_ok: int = 0  # the connection is cut before the prompt is looked at
    http_frozen: bool = False  # connections are taken, and nothing is answered
    view_truncated: int = 0  # half of the file, then the connection is cut
    view_corrupt: int = 0  # the right length, wrong bytes
    view_500: int = 0  # the server fails
    hold: bool = False  # each run waits at its first node for a release
    step_s: float = 0.001  # what a sampler's step takes
    load_s: float = 0.0  # what loading a model takes
    unreadable: str = ""  # a text with this in it can't be encoded
    poison: str = ""  # nothing can be sampled with a text that has this in it
    most_images: int = 0  # a sampler that is to make more runs out of memory; 0: never
    card: str = ""  # the file of a simulated GPU that it shares with others (see `SharedCard`)
    model_gb: float = 6.0  # what a checkpoint takes there
    keeps_memory: bool = False  # models stay there although they are to be unloaded
    max_history: int = 10_000  # the history keeps one entry more

    def change(self, values: dict[str, Any]) -> None:
        """Set switches by name, from JSON values or from words of the command line.

        Raises:
            KeyError: there is no such switch.
            ValueError: the value is not one of this switch.
        """
        kinds: dict[str, type] = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        changed = {name: _read(kinds[name], value) for name, value in values.items()}
        for name, value in changed.items():
            setattr(self, name, value)

    def take(self, name: str) -> bool:
        """Whether a counted defect is to happen now; this counts as one time."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0

    def shown(self) -> dict[str, Any]:
        return asdict(self)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a switch, which any thread may set, lets things go on."""
    while not condition():  # noqa: ASYNC110  no event of asyncio can be set from any thread
        await asyncio.sleep(0.01)


def _read(kind: type, value: Any) -> Any:
    if kind is bool and isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError(f"{value!r} is neither true nor false")
        return value == "true"
    if kind is int and (value is True or value == "true"):
        return -1
    return kind(value)
