"""The port `Engine` for commands that the configuration allows."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from stoker_daemon.engines.command.batch import Batch, Bench
from stoker_daemon.engines.command.outputs import remove
from stoker_daemon.engines.fitting import ITEMS_A_TURN, as_map, check_items, refuse
from stoker_daemon.jobs.parameters import by_name, check_values
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Member, Placement, Resident, Signature
from stoker_daemon.ports import RunObserver
from stoker_daemon.recipes.command import Command
from stoker_protocol import jobs as words
from stoker_protocol.codec import did_you_mean
from stoker_protocol.errors import ErrorCode, FailureKind, Refused
from stoker_protocol.requests import Submit


class CommandEngine:
    """Runs `commands`, by their words, up to `max_parallel` items at once; a job's `recipe` is the word of its command.

    Each item has a folder in `scratch` below `data_dir`, and a pid file in `workers`, so that a later daemon finds what
    is left. Of each item `max_output_bytes` are kept of its files, and as many of each of its streams.
    """

    remembers = False

    def __init__(
        self,
        name: str,
        *,
        lane: str,
        commands: Mapping[str, Command],
        data_dir: Path,
        max_parallel: int = 1,
        max_output_bytes: int = 16 << 20,
    ) -> None:
        self.name = name
        self._lane = lane
        self._commands = commands
        self._scratch = data_dir / "scratch" / name
        self._max_parallel = max_parallel
        numbers = count()
        # No engine has a dot in its name, so that nobody else's file is called like this.
        self._bench = Bench(
            commands, self._scratch, lambda: data_dir / "workers" / f"{name}.{next(numbers)}.pid", max_output_bytes
        )
        self._state, self._detail = "starting", ""
        self._batch: tuple[str, Batch] | None = None

    def facts(self) -> words.Engine:
        return words.Engine(
            name=self.name,
            kind="command",
            state=self._state,
            lane=self._lane,
            default_model="",
            models=[],
            parameters=next(iter(self._commands.values())).described(),
            max_batch=self._max_parallel,
            detail=self._detail,
        )

    async def start(self) -> None:
        try:
            await asyncio.to_thread(_make_empty, self._scratch)
        except OSError as error:
            self._state, self._detail = "down", str(error)
        else:
            self._state, self._detail = "ready", ""

    async def stop(self) -> None:
        self._state, self._detail = "down", "stopped"
        if self._batch is not None:
            self._batch[1].kill()
            await self._batch[1].gone()

    def subscribe(self, _listener: Callable[[], None], /) -> None:
        """It is never away."""

    def recipes(self) -> list[words.Recipe]:
        return [
            words.Recipe(word, self.name, command.summary, command.described())
            for word, command in self._commands.items()
        ]

    def place(self, request: Submit) -> Placement:
        hint = "leave it out; `recipe` says which command, and `stoker recipes` lists them"
        refuse(request, self.name, ("model", "workflow", "profile"), hint)
        word = request.recipe or next(iter(self._commands))
        self._command(word)
        return Placement("", Signature(engine=self.name, residency=word), recipe=word, template=word.encode())

    async def check(self, request: Submit, placement: Placement, /) -> None:
        command = self._command(placement.recipe)
        await check_items(command.described(), request)
        command.check(as_map(request.params, "params"), "params")
        for index, item in enumerate(request.items):
            if index % ITEMS_A_TURN == ITEMS_A_TURN - 1:
                await asyncio.sleep(0)
            field = f"items[{index}].params"
            command.check(as_map(item.params, field), field)

    def check_params(self, word: str, given: Mapping[str, Any], field: str) -> None:
        """Do these fit the command of that word, as far as they are given? Raises Refused: `bad_request`."""
        command = self._command(word)
        check_values(given, by_name(command.described()), field)
        command.check(given, field)

    async def try_out(self, word: str, member: Member, observer: RunObserver) -> None:
        """Run a command for another engine, beside what the lane runs here; who cancels this ends it."""
        batch = Batch(self._bench, [replace(member, template=word.encode())], observer)
        try:
            await batch.run()
        finally:
            batch.kill()

    def max_batch(self, _signature: Signature, /) -> int:
        return self._max_parallel

    async def load(self, _residency: str, /) -> float:
        """There is nothing to load."""
        if self._state != "ready":
            await self.start()
        if self._state != "ready":
            raise EngineFailure(FailureKind.SERVER_ERROR, self._detail, unavailable=True)
        return 0.0

    def residents(self) -> list[Resident]:
        return []

    async def unload(self, _residency: str, /) -> None:
        """What a command holds goes with its process."""

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        batch = Batch(self._bench, members, observer)
        self._batch = (run_id, batch)
        try:
            await batch.run()
        finally:
            self._batch = None
        if self._state != "ready":
            raise EngineFailure(FailureKind.LOST, "the daemon stopped in the middle of the run")
        return not batch.is_stopped

    async def holds(self, _run: Interrupted, /) -> bool:
        return False

    async def interrupt(self, run_id: str) -> None:
        if self._batch is not None and self._batch[0] == run_id:
            self._batch[1].stop()

    async def terminate(self, *, force: bool) -> None:
        if self._batch is not None and force:
            self._batch[1].kill()
        elif self._batch is not None:
            self._batch[1].stop()

    def _command(self, word: str) -> Command:
        """The command of that word. Raises Refused: `bad_request`: the configuration does not allow it."""
        command = self._commands.get(word)
        if command is None:
            hint = did_you_mean(word, self._commands) or f"commands: {', '.join(self._commands)}"
            raise Refused(ErrorCode.BAD_REQUEST, f"there is no command {word!r:.80}", field="recipe", hint=hint)
        return command


def _make_empty(folder: Path) -> None:
    """What a killed daemon left in it is of no use."""
    remove(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
