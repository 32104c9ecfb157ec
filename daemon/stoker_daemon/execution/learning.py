"""Keeps what lanes have learned of costs and sizes, so that the next daemon need not begin anew."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import structlog

from stoker_daemon.ports import JobStore
from stoker_protocol.errors import Refused

KEEP_S = 60.0
"""Between two looks whether something was learned; what a kill costs is learned again in a few runs."""

log = structlog.get_logger()


class Learner(Protocol):
    """Who learns what loads and runs cost, or what models hold."""

    def learned(self) -> bytes:
        """What it knows, to be kept."""
        ...

    def recall(self, learned: bytes, /) -> None:
        """Know what an earlier one knew. Raises ValueError: it makes no sense."""
        ...


class Learning:
    """Writes what the learners learned, when it has changed, each under its key."""

    def __init__(self, store: JobStore, learners: Mapping[str, Learner]) -> None:
        self._store = store
        self._learners = learners
        self._kept: dict[str, bytes] = {}

    async def recall(self) -> None:
        """Give the learners what those of an earlier daemon knew."""
        for key, learner in self._learners.items():
            text = await self._store.recall(key)
            if text is None:
                continue
            try:
                learner.recall(text.encode())
            except ValueError as error:
                log.warning("what was learned is of no use; it is learned anew", key=key, why=str(error))
            self._kept[key] = learner.learned()

    async def serve(self) -> None:
        """Keep it until cancelled."""
        while True:
            await asyncio.sleep(KEEP_S)
            await self.keep()

    async def keep(self) -> None:
        """Write what changed since the last time."""
        for key, learner in self._learners.items():
            learned = learner.learned()
            if learned == self._kept.get(key):
                continue
            try:
                await self._store.remember(key, learned.decode())
            except Refused as refused:
                log.warning("what was learned was not kept", key=key, why=refused.message)
                return
            self._kept[key] = learned
