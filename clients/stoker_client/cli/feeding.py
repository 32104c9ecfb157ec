"""Bringing items to a job chunk by chunk, with patience for a full queue and for a daemon that comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from stoker_client.cli.lines import Chunk, bad_line
from stoker_client.errors import BadRequest, Conflict, DaemonUnavailable, QueueFull, ShuttingDown, StokerError, TooLarge
from stoker_client.operations.verbs import SubmitOptions

if TYPE_CHECKING:
    from stoker_client.sync_client import Client

PATIENCE_S = 60.0
"""How long the daemon may be away, or say that it can't store, once it has accepted the job."""
_USUAL_WAIT_S = 1.0

T = TypeVar("T")


class Feed:
    """The way into one job, which is opened by the first chunk unless it has items already (`total`).

    `told(total, why)` hears after each step how far it is, and why it waits if it does. `dry_run`: all is checked and
    nothing sent to stay.
    """

    def __init__(
        self,
        client: Client,
        job_id: str,
        options: SubmitOptions,
        *,
        total: int,
        dry_run: bool,
        told: Callable[[int, str], None],
    ) -> None:
        self.job_id = job_id
        self.total = total
        self._client = client
        self._options = options
        self._dry_run = dry_run
        self._told = told

    def send(self, chunk: Chunk, *, stays_open: bool) -> None:
        """Add a chunk, which opens the job if it is the first; `stays_open`: more items come.

        Raises:
            BadRequest: An item is refused; its line is named.
            StokerError: It can't be added, or the daemon is away for too long.
        """
        try:
            self.total = self._patiently(lambda: self._send(chunk, stays_open=stays_open))
        except TooLarge:
            if len(chunk.items) == 1:
                raise
            first, second = chunk.halves()
            self.send(first, stays_open=True)
            self.send(second, stays_open=stays_open)
        except BadRequest as error:
            raise _by_line(error, chunk) from None
        self._told(self.total, "")

    def repeat(self, last: Chunk) -> None:
        """Say the job's last item once more, which changes nothing.

        Raises:
            Conflict: The job has another one there.
        """
        try:
            self._patiently(lambda: self._client.append(self.job_id, self.total - 1, last.items))
        except Conflict as error:
            what = f"line {last.numbers[0]} is not what job {self.job_id} has as its item {self.total - 1}"
            hint = "give the file that the job was begun with"
            raise Conflict(error.code, what, field=error.field, hint=hint) from None

    def seal(self) -> None:
        """Say that this was all."""
        if not self._dry_run:
            self._patiently(lambda: self._client.seal(self.job_id))

    def is_there(self) -> bool:
        """Whether the job was begun: asks, since the last reply may not have come."""
        if self._dry_run:
            return False
        with suppress(StokerError):
            self.total = self._client.job(self.job_id).items.total
        return self.total > 0

    def _send(self, chunk: Chunk, *, stays_open: bool) -> int:
        if self.total and not self._dry_run:
            return self._client.append(self.job_id, self.total, chunk.items).total
        options: SubmitOptions = {**self._options, "more": stays_open or None, "dry_run": self._dry_run or None}
        reply = self._client.submit(chunk.items, job_id=None if self.total else self.job_id, **options)
        return self.total + reply.items

    def _patiently(self, call: Callable[[], T]) -> T:
        """Call until it is answered with yes or no."""
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call()
            except StokerError as error:
                why = _reason_to_wait(error)
                is_full = isinstance(error, QueueFull)
                if not why or (not is_full and (not self.total or time.monotonic() > give_up_s)):
                    raise
                give_up_s += PATIENCE_S if is_full else 0
                self._told(self.total, why)
                time.sleep(min(error.retry_after_s or _USUAL_WAIT_S, PATIENCE_S))


def _reason_to_wait(error: StokerError) -> str:
    if isinstance(error, QueueFull):
        return "the queue is full; waiting until some is done"
    if isinstance(error, DaemonUnavailable | ShuttingDown):
        return "the daemon is away; waiting for it"
    return error.message if error.retry_after_s is not None else ""


def _by_line(error: BadRequest, chunk: Chunk) -> BadRequest:
    """A refusal of an item of the chunk as one of its line."""
    found = re.match(r"items\[(\d+)]\.?(.*)", error.field)
    if found is None:
        return error
    what = re.sub(r"items\[\d+]\S* ", "", error.message, count=1)
    return bad_line(chunk.numbers[int(found[1])], found[2].removeprefix("params."), what, error.hint)
