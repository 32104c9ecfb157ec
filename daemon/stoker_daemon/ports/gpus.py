"""What the core needs to know of the GPUs and the host."""

from typing import Protocol

from stoker_protocol.gpus import History, Sample


class GpuProbe(Protocol):
    """Who looks."""

    async def look(self) -> Sample:
        """How all is now, after some seconds at most. Raises OSError: the host itself can't be looked at."""
        ...


class GpuStatus(Protocol):
    """What handlers may know."""

    every_s: float

    def latest(self) -> Sample | None:
        """The last look."""
        ...

    def history(self) -> list[History]:
        """The looks of the last minutes, of each GPU."""
        ...

    def executor(self) -> int | None:
        """Which GPU of the last look is the executor's."""
        ...
