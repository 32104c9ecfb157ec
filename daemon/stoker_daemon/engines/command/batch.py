"""One run of commands, side by side, each in a scratch folder of its own, and what becomes of its items."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stoker_daemon.engines.command.outputs import File, Unfit, collect, remove
from stoker_daemon.engines.command.process import Ended, Process
from stoker_daemon.jobs.records import Member, Output
from stoker_daemon.ports import RunObserver
from stoker_daemon.recipes.command import Command
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.jobs import ItemState

ALIVE_S = 1.0
"""A command that runs is heard of so often, whether it writes anything or not."""
GONE_S = 10.0
"""The kernel ends what is killed at once, unless it is stuck in a driver."""
_MAX_MESSAGE = 300
_SIGNAL_NAMES = {int(number): number.name for number in signal.Signals}


@dataclass(frozen=True, slots=True)
class Bench:
    """What commands are run with: those allowed, by their words, and where their scratch folders and pid files are."""

    commands: Mapping[str, Command]
    scratch: Path
    next_pid_file: Callable[[], Path]
    max_output_bytes: int


class Batch:
    """The members of one run; `stop` and `kill` end what is at work."""

    def __init__(self, bench: Bench, members: Sequence[Member], observer: RunObserver) -> None:
        self.is_stopped = False
        self._bench = bench
        self._members = members
        self._observer = observer
        self._processes: set[Process] = set()
        self._ended = 0

    async def run(self) -> None:
        """Run all to their ends."""
        self._observer.on_progress("running", 0, len(self._members))
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell())
            await asyncio.gather(*(group.create_task(self._run(member)) for member in self._members))
            telling.cancel()

    def stop(self) -> None:
        """Ask all commands to end."""
        self.is_stopped = True
        for process in self._processes:
            process.terminate()

    def kill(self) -> None:
        """Kill all commands with all that came of them."""
        self.is_stopped = True
        for process in self._processes:
            process.kill()

    async def gone(self) -> None:
        """Wait until all that was killed has ended, but not for ever."""
        await asyncio.gather(*(process.gone(GONE_S) for process in self._processes))

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_S)
            self._observer.on_progress("running", self._ended, len(self._members))

    async def _run(self, member: Member) -> None:
        if self.is_stopped:
            return
        word = member.template.decode()
        command = self._bench.commands.get(word)
        if command is None:
            message = f"the configuration does not allow the command {word} any more"
            self._observer.on_item_failed(member.position, FailureKind.REFUSED, message)
            return
        try:
            await self._run_in_scratch(member, word, command)
        except Refused as refused:
            message = f"{refused.message}; {refused.hint}"
            self._observer.on_item_failed(member.position, FailureKind.INVALID, message)
        except Unfit as unfit:
            self._observer.on_item_failed(member.position, FailureKind.INVALID, str(unfit))
        except TimeoutError:
            message = f"took longer than {command.timeout_s:g} s"
            self._observer.on_item_failed(member.position, FailureKind.TIMEOUT, message)
        except OSError as error:
            self._observer.on_item_failed(member.position, FailureKind.SERVER_ERROR, str(error))
        self._ended += 1
        self._observer.on_progress("running", self._ended, len(self._members))

    async def _run_in_scratch(self, member: Member, word: str, command: Command) -> None:
        scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._bench.scratch))
        try:
            ended = await self._outcome(command, member, scratch)
            if ended is not None and not self._fail(member.position, word, command, ended):
                files = await asyncio.to_thread(collect, scratch, command.outputs, self._bench.max_output_bytes)
                self._keep(member.position, {"command": word, "exit_code": ended.code}, ended, files)
                self._conclude(member.position, word, command, ended)
        finally:
            await asyncio.to_thread(remove, scratch)

    async def _outcome(self, command: Command, member: Member, scratch: Path) -> Ended | None:
        """How the command ended; None: it was stopped."""
        argv = command.arguments(member.params, str(scratch))
        process = await Process.start(
            argv,
            command.cwd or str(scratch),
            environment(command.env),
            self._bench.next_pid_file(),
            self._bench.max_output_bytes,
        )
        self._processes.add(process)
        try:
            if self.is_stopped:
                return None
            async with asyncio.timeout(command.timeout_s):
                ended = await process.ended()
        finally:
            process.kill()
            await process.gone(GONE_S)
            self._processes.discard(process)
        return None if self.is_stopped else ended

    def _fail(self, position: int, word: str, command: Command, ended: Ended) -> bool:
        """Tell that an item failed, if it did."""
        outcome = command.outcome(ended.code)
        if ended.trouble:
            self._observer.on_item_failed(position, FailureKind.SERVER_ERROR, f"{word}: {ended.trouble}")
        elif ended.code < 0:
            name = _SIGNAL_NAMES.get(-ended.code, f"signal {-ended.code}")
            self._observer.on_item_failed(position, FailureKind.CRASH, f"{word} was killed by {name}{_said(ended)}")
        elif outcome in ("failed", "retry"):
            kind = FailureKind.SERVER_ERROR if outcome == "retry" else FailureKind.INVALID
            self._observer.on_item_failed(position, kind, _reason(word, ended))
        else:
            return False
        return True

    def _conclude(self, position: int, word: str, command: Command, ended: Ended) -> None:
        """Tell how an item ended that did not fail."""
        match command.outcome(ended.code):
            case "rejected":
                self._observer.on_item_ended(position, ItemState.REJECTED, _reason(word, ended))
            case "skipped":
                self._observer.on_item_ended(position, ItemState.SKIPPED, _reason(word, ended))
            case _:
                self._observer.on_item_done(position)

    def _keep(self, position: int, record: Mapping[str, object], ended: Ended, files: Sequence[File]) -> None:
        """Hand on the files, then what was written to the standard streams."""
        for file in files:
            facts = {**record, "file": file.path}
            self._observer.on_output(Output(position, file.data, file.media_type, file.suffix, facts, True, True))
        for name, stream in (("stdout", ended.stdout), ("stderr", ended.stderr)):
            if data := stream.data:
                facts = {**record, "stream": name, "bytes_left_out": stream.left_out}
                self._observer.on_output(Output(position, data, "text/plain", ".txt", facts, True, True))


def environment(names: Sequence[str]) -> dict[str, str]:
    """Only what the configuration lets through."""
    given = dict(name.split("=", 1) for name in names if "=" in name)
    return {**{name: os.environ[name] for name in names if name in os.environ}, **given}


def _reason(word: str, ended: Ended) -> str:
    return f"{word} exited with code {ended.code}{_said(ended)}"


def _said(ended: Ended) -> str:
    """The last line that it wrote, to stderr if there is one."""
    for stream in (ended.stderr, ended.stdout):
        lines = stream.data[-4_000:].decode(errors="replace").split("\n")
        if said := next((line.strip() for line in reversed(lines) if line.strip()), ""):
            return ": " + "".join(c if c.isprintable() else " " for c in said)[:_MAX_MESSAGE]
    return ""
