"""Takes up what changes in the files of keys while the daemon runs: who is new comes in, who is revoked is out."""

import asyncio
from collections.abc import Callable, Set
from pathlib import Path

import structlog

from stoker_daemon.zmq import keyring
from stoker_daemon.zmq.admission import Admission

LOOK_S = 1.0
"""How long a change may go unnoticed."""

WARN_S = 3600.0

log = structlog.get_logger()


class KeyWatch:
    """Looks at the folder each second, on a thread. `revoked` is called on the loop with the ids of those put out."""

    def __init__(self, data_dir: Path, admission: Admission, revoked: Callable[[Set[str]], None]) -> None:
        self._data_dir = data_dir
        self._admission = admission
        self._revoked = revoked
        self._seen = keyring.stamp(data_dir)

    async def serve(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except OSError as error:
                log.warning("The keys can't be looked at", error=str(error))

    async def _look(self) -> None:
        seen = await asyncio.to_thread(keyring.stamp, self._data_dir)
        if seen == self._seen:
            return
        clients, faults = await asyncio.to_thread(keyring.read_clients, self._data_dir)
        self._seen = seen
        for fault in faults:
            log.warning("A key lets nobody in", fault=fault)
        gone = self._admission.replace_clients(clients)
        self._revoked(gone)
        log.info("Keys were changed", clients=sorted(client.name for client in clients.values()), revoked=len(gone))


async def warn_of_strangers() -> None:
    """Say at the start and each hour that anyone may come in, so that nobody forgets; until it is cancelled."""
    while True:
        log.warning("Anyone who reaches this machine may do anything here: started with --insecure")
        await asyncio.sleep(WARN_S)
