"""The ordeal of `stoker selftest`: a daemon and its model process are killed at chosen events, then all is counted."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Timer
from time import monotonic, sleep
from typing import NamedTuple

from stoker_client.cli.proof import Claim, each_seen_once, prove
from stoker_client.errors import DaemonUnavailable
from stoker_client.operations.watching import Update
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.shell import new_job_id
from stoker_client.sync_client import Client
from stoker_protocol.events import RunFinished
from stoker_protocol.jobs import ItemState

CONFIG = """\
[engines.sprites]
model = "stoker_worker.models.sprites:Sprites"

[execution]
crash_limit = 100  # whoever is hit by several of our own blows is not to blame
backoff_base_s = 0.05
backoff_max_s = 0.2
"""
JOBS, ITEMS, BATCH = 6, 40, 4
BLOWS = ("daemon",) * 5 + ("worker",) * 4 + ("submit",) * 3
"""Who is hit how often; `submit`: the daemon, in the middle of a submit."""
EVENTS = range(6, 100)
"""Blows fall when the events have one of these numbers; six jobs make more than a hundred events."""
PATIENCE_S = 120.0
KEEN_S = 1.0
"""A client's time for an answer where the daemon is likely to be dead."""


class Endured(NamedTuple):
    """What was done, and what was found afterwards."""

    claims: list[Claim]
    kills: dict[str, int]
    seconds: float


def endure(directory: Path, dice: Random, *, crash: bool, say: Callable[[str], None]) -> Endured:
    """Go through it in a directory of its own; the dice say where the blows fall.

    Raises:
        StokerError: There is no daemon to start, or it does not come back.
    """
    began_s = monotonic()
    config = directory / "stokerd.toml"
    config.write_text(CONFIG, encoding="utf-8")
    daemon = PrivateDaemon(directory, args=("--config", str(config)))
    with daemon, Client(daemon.control, timeout_s=15) as client:
        ordeal = _Ordeal(daemon, client, dice, BLOWS if crash else (), say)
        ordeal.work()
        return Endured(ordeal.count(), ordeal.kills, monotonic() - began_s)


class _Ordeal:
    """Submits, watches, and hits when the event of a blow has come."""

    def __init__(
        self, daemon: PrivateDaemon, client: Client, dice: Random, blows: tuple[str, ...], say: Callable[[str], None]
    ) -> None:
        self.kills = dict.fromkeys(BLOWS, 0)
        self._daemon = daemon
        self._client = client
        self._dice = dice
        self._say = say
        self._blows = list(zip(sorted(dice.sample(EVENTS, len(blows))), dice.sample(blows, len(blows)), strict=True))
        self._asked: dict[str, int] = {}
        self._open: set[str] = set()
        self._seen_to_succeed: Counter[tuple[str, int]] = Counter()

    def work(self) -> None:
        """Until all that was accepted is done, or patience ends."""
        until_s = monotonic() + PATIENCE_S
        updates = self._client.watch()
        for _ in range(JOBS):
            self._submit(self._client, new_job_id(), ITEMS)
        self._say(f"{sum(self._asked.values())} items accepted, each synced to disk")
        for update in updates:
            self._remember(update)
            seq = update.event.seq if update.event else None
            while seq and self._blows and seq >= self._blows[0][0]:
                self._strike(*self._blows.pop(0))
            if not self._open or monotonic() > until_s:
                return

    def count(self) -> list[Claim]:
        """What is there of what was accepted."""
        there = {job.job_id for job in self._client.jobs()}
        unsound = [f.detail for f in self._client.check() if not f.ok and f.part != "disk"]
        kept = len(there & self._asked.keys())
        return [
            Claim("every accepted job is there, once", there == self._asked.keys(), f"{kept} of {len(self._asked)}"),
            *prove(
                self._client, self._daemon.data_dir, {job: count for job, count in self._asked.items() if job in there}
            ),
            each_seen_once(self._seen_to_succeed, self._asked),
            Claim("the queue agrees with itself", not unsound, unsound[0] if unsound else "all parts checked"),
        ]

    def _strike(self, seq: int, victim: str) -> None:
        self._say(
            f"event {seq}: kill -9 of the {'daemon, in the middle of a submit' if victim == 'submit' else victim}"
        )
        self.kills[victim] += 1
        match victim:
            case "worker":
                self._kill_worker()
            case "submit":
                self._submit_under_fire()
            case _:
                self._daemon.restart()

    def _submit_under_fire(self) -> None:
        """The reply may be lost with the daemon: the same submit to the next one makes no second job."""
        job_id, shot = new_job_id(), Timer(self._dice.uniform(0, 0.03), self._daemon.kill)
        shot.start()
        try:
            with Client(self._daemon.control, timeout_s=KEEN_S) as client:
                self._submit(client, job_id, BATCH)
        except DaemonUnavailable:
            self._say("  no answer; the same again to the next daemon")
        shot.join()
        self._daemon.start()
        self._submit(self._client, job_id, BATCH)
        self._say(f"  {BATCH} items more accepted, {sum(self._asked.values())} in all")

    def _submit(self, client: Client, job_id: str, count: int) -> None:
        prompts = [f"creature {index} of {job_id}" for index in range(count)]
        client.submit(prompts, job_id=job_id, batch_size=BATCH, max_attempts=100)
        if job_id not in self._asked:
            self._asked[job_id] = count
            self._open.add(job_id)

    def _remember(self, update: Update) -> None:
        if update.job and update.job.state.is_final:
            self._open.discard(update.job.job_id)
        if isinstance(update.event, RunFinished):
            job_id = update.event.job.job_id
            made = [outcome.index for outcome in update.event.outcomes if outcome.state is ItemState.SUCCEEDED]
            self._seen_to_succeed.update((job_id, index) for index in made)

    def _kill_worker(self) -> None:
        """The process that hosts the models, as soon as there is one."""
        file, until_s = self._daemon.data_dir / "workers" / "sprites.pid", monotonic() + PATIENCE_S
        while monotonic() < until_s:
            try:
                return os.kill(int(file.read_text().split()[0]), signal.SIGKILL)
            except (FileNotFoundError, IndexError, ProcessLookupError):  # a daemon that was just started has none yet
                sleep(0.01)
        raise DaemonUnavailable(
            "the daemon starts no model process", hint=f"see stokerd.log in {self._daemon.data_dir}"
        )
