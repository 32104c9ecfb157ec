"""Whether a task is done, as a command says that the configuration allows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from stoker_daemon.engines.agent.quiet import Quiet
from stoker_daemon.engines.command.engine import CommandEngine
from stoker_daemon.jobs.records import Member, Output, Verdict
from stoker_protocol.errors import ErrorCode, FailureKind, Refused

MAX_SAID = 4_000
"""Characters of what the command wrote that the model is given: the last ones, where test runners sum up."""


class Validation:
    """Runs the command `word` of an engine for commands; without one, a task is done when the model says so."""

    def __init__(self, commands: CommandEngine | None = None, word: str = "") -> None:
        self._commands = commands
        self._word = word

    def check(self, given: Any, field: str) -> None:
        """Do these parameters fit the command? Raises Refused: `bad_request`."""
        if not isinstance(given, dict):
            raise Refused(ErrorCode.BAD_REQUEST, f"{field}: {given!r:.80} is no map", field=field, hint="a map")
        if self._commands is not None:
            self._commands.check_params(self._word, cast("dict[str, Any]", given), field)
        elif given:
            hint = "leave it out, or set `validate_by` in the configuration"
            raise Refused(ErrorCode.BAD_REQUEST, f"{field}: nothing validates tasks here", field=field, hint=hint)

    async def complaint(self, member: Member, given: Mapping[str, Any], quiet: Quiet) -> str:
        """What is wrong with what was done; nothing if the command finds it right, or has nothing to look at."""
        if self._commands is None:
            return ""
        verdict = _Verdict(quiet.tell)
        await self._commands.try_out(self._word, replace(member, position=0, params=dict(given)), verdict)
        if not verdict.is_against:
            return ""
        return f"{verdict.message}\n\n{verdict.said[-MAX_SAID:]}".strip()


class _Verdict(Quiet):
    """What the command came to."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__(tell)
        self.is_against = False
        self.message = ""
        self.said = ""

    def on_output(self, output: Output) -> None:
        self.said += output.data.decode(errors="replace") if output.media_type == "text/plain" else ""

    def on_item_ended(self, position: int, state: Verdict, message: str) -> None:
        del position
        self.is_against = state == "rejected"
        self.message = message

    def on_item_failed(self, position: int, kind: FailureKind, message: str) -> None:
        del position, kind
        self.is_against = True
        self.message = message
