"""What a ComfyUI server holds on its GPU, as it says itself, and how it is brought to let go of it."""

import asyncio

from stoker_daemon.engines.comfyui.answers import DeviceStats, SystemStats
from stoker_daemon.engines.comfyui.server import Faulty, Server, Unreachable
from stoker_daemon.jobs.records import EngineFailure, Resident
from stoker_protocol.errors import FailureKind

FREE_S, LOOK_S = 10.0, 0.25
"""A server frees its memory between two prompts: so long may that take, and so often is it looked at."""
RESIDUE_BYTES = 512 << 20
"""What may stay with a server that holds no model."""


class Memory:
    """The models of one server: all that it holds counts for those of the last run, since it does not tell them apart.

    One without a GPU holds what it ran last, as far as anybody knows.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._residency = ""
        self._bytes: int | None = None

    def use(self, residency: str) -> None:
        """A run begins that loads these models."""
        self._residency = residency

    def learn(self, stats: SystemStats, *, is_at_work: bool) -> None:
        """Take what the server says; one at work may be about to load."""
        gpus = [device for device in stats.devices if is_gpu(device)]
        self._bytes = sum(device.torch_vram_total for device in gpus) if gpus else None
        if self._bytes is not None and self._bytes <= RESIDUE_BYTES and not is_at_work:
            self._residency = ""

    def forget(self) -> None:
        """The server has gone."""
        self._residency, self._bytes = "", None

    def residents(self) -> list[Resident]:
        held = self._bytes if (self._bytes or 0) > RESIDUE_BYTES else None
        return [Resident(self._residency, held)] if self._residency or held else []

    async def free(self) -> None:
        """Have it give back all that it holds, and see that it does. Raises EngineFailure."""
        try:
            self.learn(await self._server.stats(), is_at_work=False)
            await self._server.free()
            async with asyncio.timeout(FREE_S):
                while (self._bytes or 0) > RESIDUE_BYTES:
                    await asyncio.sleep(LOOK_S)
                    self.learn(await self._server.stats(), is_at_work=False)
            self._residency = ""
        except TimeoutError:
            held = f"{(self._bytes or 0) / (1 << 30):.1f} GiB"
            message = f"ComfyUI was asked to free its memory and still holds {held} after {FREE_S:g} s"
            raise EngineFailure(FailureKind.SERVER_ERROR, message) from None
        except (Unreachable, Faulty) as error:
            raise EngineFailure(FailureKind.SERVER_ERROR, str(error), unavailable=True) from None


def is_gpu(device: DeviceStats) -> bool:
    """Whether a device has memory of its own that it tells of; the others count the host's."""
    return device.type not in ("cpu", "mps", "")
