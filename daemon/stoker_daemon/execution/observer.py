"""Listens to a run at work: saves what it makes, tells how far it is, and remembers when it last moved."""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

from stoker_daemon.execution.holdup import Holdup, is_of_the_disk
from stoker_daemon.jobs.records import Output, Reads, Run, SavedArtifact, Verdict
from stoker_daemon.ports import Announce, Artifacts, Clock
from stoker_daemon.scheduling.eta import Pace, percent
from stoker_protocol.errors import FailureKind
from stoker_protocol.events import JobProgress, Preview, topic_of_job, topic_of_preview
from stoker_protocol.jobs import Failure, Progress

SAMPLING_PHASES = frozenset({"sampling", "running"})
FINISHING_PHASES = frozenset({"decoding", "saving"})


class Observer:
    """Implements `ports.RunObserver` for one run."""

    def __init__(
        self,
        run: Run,
        artifacts: Artifacts,
        announce: Announce,
        clock: Clock,
        paces: dict[str, Pace],
        holdup: Holdup,
        is_watched: Callable[[], bool],
    ) -> None:
        """`is_watched()` tells whether somebody looks at previews of the run now."""
        self.failures: dict[int, Failure] = {}
        self.verdicts: dict[int, tuple[Verdict, Failure]] = {}
        self.unsaved: set[int] = set()
        self.unwanted: set[int] = set()
        self.ran_out = False
        self.reads: Reads | None = None
        """What was read of model files within the run; None: nobody tells."""
        self.given_up = asyncio.Event()
        self.is_recorded = False
        self.running_since_s: float | None = None
        self.last_progress_s = self._since_s = clock.monotonic_s()
        self._run = run
        self._artifacts = artifacts
        self._announce = announce
        self._clock = clock
        self._paces = paces
        self._holdup = holdup
        self._is_watched = is_watched
        self._members = {member.position: member for member in run.members}
        self._outputs: Counter[int] = Counter()
        self._saves: dict[int, list[asyncio.Task[SavedArtifact]]] = {}
        self._complete: set[int] = set()
        self._fraction = 0.0

    @property
    def wants_previews(self) -> bool:
        return self._is_watched()

    @property
    def complete(self) -> frozenset[int]:
        """The positions of the members whose last output has come."""
        return frozenset(self._complete)

    @property
    def is_loading(self) -> bool:
        """Whether the model is still on its way."""
        return self.running_since_s is None

    def on_running(self, *, is_short: bool) -> None:
        """The model is there; the run itself begins. Of one that is over in a moment nobody need hear that it waits."""
        self._touch()
        self.running_since_s = self.last_progress_s
        if not is_short:
            self.tell_progress("waiting", 0, 1)

    def on_progress(self, phase: str, step: int, steps: int, fraction: float | None = None) -> None:
        self._touch()
        if fraction is not None:
            self._fraction = max(self._fraction, min(1.0, fraction))
        elif phase in SAMPLING_PHASES and steps > 0:
            self._fraction = max(self._fraction, min(1.0, step / steps))
        elif phase in FINISHING_PHASES:
            self._fraction = 1.0
        self.tell_progress(phase, step, steps)

    def on_waiting(self) -> None:
        before_s = self.last_progress_s
        self._touch()
        if self.running_since_s is not None:
            self.running_since_s += self.last_progress_s - before_s

    def on_out_of_memory(self) -> None:
        self._touch()
        self.ran_out = True

    def on_weights(self, read: int, seconds: float, *, heavy: bool = True) -> None:
        self._touch()
        before = self.reads or Reads(0, 0.0, heavy=False)
        self.reads = Reads(before.files + read, before.seconds + seconds, before.heavy or heavy)

    def on_preview(self, position: int, step: int, steps: int, image: bytes, media_type: str = "image/png") -> None:
        self._touch()
        member = self._members[position]
        event = Preview(
            at_ms=self._clock.now_ms(),
            job_id=member.job_id,
            index=member.index,
            step=step,
            steps=steps,
            media_type=media_type,
            image=image,
        )
        self._announce(topic_of_preview(member.job_id) + "preview", event)

    def on_output(self, output: Output) -> None:
        self._touch()
        member, number = self._members[output.position], self._outputs[output.position]
        self._outputs[output.position] += 1
        facts = {"attempt": member.attempt, "seconds_into_run": round(self.seconds(), 3)}
        save = partial(self._artifacts.save, self._run, member, number, output, facts)
        saving = asyncio.ensure_future(self._holdup.outlast(save, self.given_up))
        self._saves.setdefault(output.position, []).append(saving)
        if not output.more:
            self._complete.add(output.position)

    def on_item_done(self, position: int) -> None:
        self._touch()
        self._complete.add(position)

    def on_item_ended(self, position: int, state: Verdict, message: str) -> None:
        self.on_item_done(position)
        self.verdicts[position] = (state, Failure(state.value, message))

    def on_item_failed(self, position: int, kind: FailureKind, message: str) -> None:
        self._touch()
        self.failures[position] = Failure(kind.value, message)

    def has_output(self, position: int) -> bool:
        """Whether anything came of a member."""
        return position in self._saves

    async def saved(self) -> dict[int, tuple[SavedArtifact, ...]]:
        """Wait until all that was made is on disk, however long that takes; the artifacts of each complete member.

        Once `given_up`, a member that the disk did not take is among the `unsaved` instead; one whose output can't be
        stored for a reason of its own is among the `failures`.
        """
        done: dict[int, tuple[SavedArtifact, ...]] = dict.fromkeys(self._complete - self._saves.keys(), ())
        for position, saves in self._saves.items():
            results = await asyncio.gather(*saves, return_exceptions=True)
            errors = [result for result in results if isinstance(result, BaseException)]
            if errors and all(map(is_of_the_disk, errors)):
                self.unsaved.add(position)
            elif errors:
                message = f"the output could not be stored: {errors[0]}"
                self.failures[position] = Failure(FailureKind.SERVER_ERROR.value, message)
            elif position in self._complete:
                done[position] = tuple(result for result in results if isinstance(result, SavedArtifact))
        return done

    def tell_progress(self, phase: str, step: int, steps: int) -> None:
        """Announce how far each job of the run is."""
        for job in self._run.jobs:
            mine = sum(member.job_id == job.job_id for member in self._run.members)
            pace = self._paces.setdefault(job.job_id, Pace())
            remaining = job.items.pending + mine * (1 - self._fraction)
            progress = Progress(
                phase=phase,
                step=step,
                steps=steps,
                items=job.items,
                percent=percent(job.items, mine, self._fraction),
                items_per_s=pace.items_per_s(),
                eta_s=pace.eta(remaining),
            )
            event = JobProgress(at_ms=self._clock.now_ms(), job_id=job.job_id, progress=progress)
            self._announce(topic_of_job(job.job_id) + "job_progress", event)

    def age_s(self) -> float:
        """How long ago the run was taken up, its load with it."""
        return self._clock.monotonic_s() - self._since_s

    def seconds(self) -> float:
        """How long the run has been at work, without the load."""
        return 0.0 if self.running_since_s is None else self._clock.monotonic_s() - self.running_since_s

    def _touch(self) -> None:
        self.last_progress_s = self._clock.monotonic_s()
