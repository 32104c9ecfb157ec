"""Jobs live on a terminal: a bar for each that is at work, and above them what happens."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from stoker_client.cli.render import clean, clip, done
from stoker_client.cli.sentences import how_far, is_notable, line
from stoker_client.operations.watching import Update
from stoker_protocol.events import JobProgress
from stoker_protocol.jobs import Job


class LiveView:
    """The bars vanish when it is left, and are there again when it is entered anew.

    `events`: every event is told above the bars, not only what is notable.
    """

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._jobs: dict[str, Job] = {}
        self._bars: dict[str, TaskID] = {}
        self._screen = _new_screen()

    def __enter__(self) -> LiveView:
        self._screen = _new_screen()
        self._bars.clear()
        for job in self._jobs.values():
            self._move(job)
        self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.stop()

    def show(self, update: Update) -> None:
        """Move the bars and tell what is to be told."""
        if isinstance(update.event, JobProgress):
            self._progress(update.event)
        elif update.link == "gone" and update.job:
            self._forget(update.job)
        elif update.job:
            self._state(update.job)
        elif update.link:
            self._link(update.link)
        if (self._events or is_notable(update)) and (text := line(update)):
            self._screen.console.print(Text(text))

    def _progress(self, event: JobProgress) -> None:
        progress = event.progress
        if event.job_id in self._bars:
            step = f" {progress.step}/{progress.steps}" if progress.steps > 1 else ""
            facts = f"{how_far(progress)}, {clean(progress.phase)}{step}"
            self._screen.update(self._bars[event.job_id], completed=progress.percent, facts=facts)

    def _state(self, job: Job) -> None:
        if not job.state.is_final:
            self._jobs[job.job_id] = job
            self._move(job)
        else:
            self._forget(job)

    def _forget(self, job: Job) -> None:
        if self._jobs.pop(job.job_id, None):
            self._screen.remove_task(self._bars.pop(job.job_id))

    def _move(self, job: Job) -> None:
        """Put the bar of a job where the job is."""
        if job.job_id not in self._bars:
            called = clip(clean(job.name or job.job_id), 24)
            self._bars[job.job_id] = self._screen.add_task(called, total=100, facts="")
        facts = "held back" if job.paused else done(job.items)
        percent = 100 * job.items.finished / max(job.items.total, 1)
        self._screen.update(self._bars[job.job_id], completed=percent, facts=facts)

    def _link(self, link: str) -> None:
        facts = "the daemon is away; what it accepted is safe" if link == "away" else ""
        for bar in self._bars.values():
            self._screen.update(bar, facts=facts)


def _new_screen() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(24, complete_style="cyan"),
        TextColumn("{task.fields[facts]}", markup=False),
        transient=True,
    )
