"""Hands what a worker says about one run to its observer, and knows which items it said nothing of."""

from collections.abc import Collection, Mapping
from typing import Any, assert_never, cast

from stoker_daemon.jobs.records import Output
from stoker_daemon.ports import RunObserver
from stoker_protocol.errors import FailureKind
from stoker_protocol.worker import AnySay, ItemDone, ItemFailed, Produced, Report, RunEnded


class Relay:
    """One run's words on their way. `versions` become part of each output's record."""

    def __init__(
        self, run_id: str, positions: Collection[int], observer: RunObserver, versions: Mapping[str, str]
    ) -> None:
        self._run_id = run_id
        self._positions = frozenset(positions)
        self._unanswered = set(positions)
        self._observer = observer
        self._versions = versions

    def pass_on(self, said: AnySay) -> RunEnded | None:
        """Tell the observer, or return the end of the run. What is about another run, or none, is dropped."""
        if not isinstance(said, Report | Produced | ItemDone | ItemFailed | RunEnded) or said.run_id != self._run_id:
            return None
        match said:
            case RunEnded():
                return said
            case Report():
                self._pass_on_report(said)
            case Produced(position=position) if position in self._positions:
                self._unanswered.discard(position)
                self._observer.on_output(_output(said, self._versions))
            case ItemDone(position=position) if position in self._positions:
                self._unanswered.discard(position)
                self._observer.on_item_done(position)
            case ItemFailed(position=position) if position in self._positions:
                self._unanswered.discard(position)
                self._observer.on_item_failed(position, said.kind, said.message)
            case Produced() | ItemDone() | ItemFailed():
                pass
            case _:
                assert_never(said)
        return None

    def fail_unanswered(self) -> None:
        """Fail the items of a finished run that the model returned nothing for."""
        for position in sorted(self._unanswered):
            self._observer.on_item_failed(position, FailureKind.INTERNAL, "the model returned nothing")

    def _pass_on_report(self, report: Report) -> None:
        self._observer.on_progress(report.phase, report.step, report.steps)
        if report.preview is not None and report.position in self._positions:
            self._observer.on_preview(report.position, report.step, report.steps, report.preview)


def _output(said: Produced, versions: Mapping[str, str]) -> Output:
    """The model may add versions of its own to those of the worker."""
    record = dict(said.record)
    of_model = record.get("versions")
    record["versions"] = {**versions, **cast("dict[str, Any]", of_model)} if isinstance(of_model, dict) else versions
    return Output(said.position, said.data, said.media_type, said.suffix, record, said.more)
