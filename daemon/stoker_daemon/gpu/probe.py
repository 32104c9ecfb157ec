"""The port `GpuProbe`: looks at the GPUs and the host on a thread of its own, since a driver may hang."""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import psutil
import structlog

from stoker_daemon.gpu.driver import Driver, Trouble
from stoker_protocol.gpus import Gpu, Host, Sample

LOOK_S = 5.0
"""A look that takes longer is not waited for any more."""
CLOSE_S = 2.0

log = structlog.get_logger()


class Probe:
    """Looks from the first `look` to `close`. `data_dir` is on the disk that counts."""

    def __init__(self, data_dir: Path, now_ms: Callable[[], int]) -> None:
        self._data_dir = data_dir
        self._now_ms = now_ms
        self._driver = Driver()
        self._asked: SimpleQueue[Future[Sample] | None] = SimpleQueue()
        self._looking: Future[Sample] | None = None
        # One that hangs in the driver must not keep the process alive.
        self._thread = Thread(target=self._serve, name="gpu probe", daemon=True)
        self._thread.start()

    async def look(self) -> Sample:
        """How all is now. While the driver hangs: how the host is."""
        if self._looking is None or self._looking.done():
            self._looking = Future()
            self._asked.put(self._looking)
        looking = asyncio.wrap_future(self._looking)
        await asyncio.wait({looking}, timeout=LOOK_S)
        if looking.done():
            return looking.result()
        return Sample(self._now_ms(), [], self._host(), f"the GPU driver does not answer within {LOOK_S:g} s")

    async def close(self) -> None:
        """End the thread, unless it hangs."""
        self._asked.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE_S)

    def _serve(self) -> None:
        while (asked := self._asked.get()) is not None:
            try:
                asked.set_result(self._looked())
            except Exception as error:  # noqa: BLE001  whatever is wrong is for who asked
                asked.set_exception(error)
        self._driver.close()

    def _looked(self) -> Sample:
        host = self._host()
        gpus: list[Gpu] = []
        trouble = ""
        try:
            gpus = self._driver.gpus(host.memory_total, host.memory_available)
        except Trouble as error:
            trouble = str(error)
        except Exception as error:
            log.error("the GPUs could not be looked at", exc_info=error)
            trouble = f"what the driver says can't be read: {type(error).__name__}: {error}"
        return Sample(self._now_ms(), gpus, host, trouble)

    def _host(self) -> Host:
        memory = psutil.virtual_memory()
        disk = shutil.disk_usage(self._data_dir)
        return Host(memory.total, memory.available, disk.total, disk.free)
