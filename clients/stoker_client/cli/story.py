"""The story that `stoker demo` tells: jobs of three priorities, a cancel, a kill -9, and the proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Protocol

import click

from stoker_client.cli.follow import View
from stoker_client.cli.proof import Claim, each_seen_once, prove
from stoker_client.cli.render import duration, plural, table
from stoker_client.operations.watching import Update
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.sync_client import Client
from stoker_protocol.events import JobProgress, RunFinished
from stoker_protocol.jobs import ItemState, Job

CONFIG = """\
[engines.sprites]
model = "stoker_worker.models.sprites:Sprites"
options = { step_s = 0.15 }  # a sprite takes milliseconds; the story wants time to be watched
"""
BATCH = 4
"""Items in one run: small, so that there is a middle to pull the plug in."""


class Plan(NamedTuple):
    """A job of the story."""

    name: str
    model: str
    priority: str
    prompts: tuple[str, ...]


_KINDS = ("dragon", "knight", "slime", "owl", "robot", "fox", "ghost", "crab")
BESTIARY = Plan("bestiary", "classic", "low", tuple(f"a {hue} {kind}" for hue in ("red", "teal") for kind in _KINDS))
MISTAKE = Plan("mistake", "classic", "low", ("a wrong turn",) * 12)
NIGHT = Plan("night shift", "neon", "normal", tuple(f"a {size} {kind}" for size in ("tiny", "big") for kind in _KINDS))
ERRAND = Plan("errand", "classic", "urgent", ("a king", "a queen", "a golden castle", "a gem"))


class Stage(Protocol):
    """Where the story is told."""

    view: View

    def chapter(self, heading: str, text: str) -> None: ...

    def say(self, text: str) -> None: ...


class Told(NamedTuple):
    """What the story came to."""

    jobs: list[Job]
    claims: list[Claim]


def tell_story(directory: Path, stage: Stage) -> Told:
    """Tell it from the start of the daemon to its end.

    Raises:
        click.UsageError: The directory is somebody's.
        StokerError: There is no daemon to start, or it does not do as it should.
    """
    if (directory / "stoker.sqlite3").exists():
        raise click.UsageError(f"There is a queue in {directory} already; the demo wants a directory of its own.")
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "stokerd.toml"
    config.write_text(CONFIG, encoding="utf-8")
    daemon = PrivateDaemon(directory, args=("--config", str(config)))
    with daemon, Client(daemon.control, timeout_s=15) as client:
        story = _Story(stage, daemon, client)
        story.introduce()
        story.submit()
        story.begin()
        story.cancel()
        story.pull_the_plug()
        return story.count()


class _Story:
    """The chapters, in order; the watch that begins in one goes on through the others."""

    def __init__(self, stage: Stage, daemon: PrivateDaemon, client: Client) -> None:
        self._stage = stage
        self._daemon = daemon
        self._client = client
        self._ids: dict[Plan, str] = {}
        self._jobs: dict[str, Job] = {}
        self._seen_to_succeed: Counter[tuple[str, int]] = Counter()
        self._updates: Iterator[Update] = iter(())
        self._last = Update()

    def introduce(self) -> None:
        self._stage.chapter(
            "A daemon starts",
            f"Process {self._daemon.pid}, reachable from this machine only. All that it knows is in "
            f"{self._daemon.data_dir}. Its models draw by rules; nothing here is learned, so it runs anywhere:",
        )
        for engine in self._client.engines():
            self._stage.say(table(("model", "what it is"), [(model.name, model.summary) for model in engine.models]))

    def submit(self) -> None:
        self._stage.chapter(
            "Four jobs come in, the most urgent one last",
            "The queue is paused meanwhile, so all of them wait. Accepted means that a job is synced to disk: "
            "from then on it can't be lost.",
        )
        self._client.pause(reason="the demo hands in its jobs")
        for plan in (BESTIARY, MISTAKE, NIGHT, ERRAND):
            reply = self._client.submit(
                plan.prompts, model=plan.model, priority=plan.priority, name=plan.name, batch_size=BATCH
            )
            self._ids[plan] = reply.job_id
            what = f"{plural(reply.items, 'prompt')} for {plan.model}, {plan.priority}"
            self._stage.say(f"accepted  {reply.job_id} ({plan.name}): {what}")

    def begin(self) -> None:
        self._stage.chapter("The queue goes on", "The errand came last, but it is urgent: it goes first.")
        self._updates = self._client.watch()
        self._client.resume()
        self._follow(lambda: self._is_over(ERRAND))

    def cancel(self) -> None:
        self._stage.chapter("A change of mind", "Cancelling the mistake ends that job and touches no other.")
        self._client.cancel(self._ids[MISTAKE])
        self._follow(self._is_half_way)

    def pull_the_plug(self) -> None:
        """Kill the daemon in the middle of a run, as a power cut would, and start it again."""
        self._stage.chapter("The plug is pulled", "kill -9 in the middle of a run: no goodbye, nothing saved in haste.")
        self._daemon.kill()
        began_s = monotonic()
        self._daemon.start()
        self._stage.chapter(
            "It starts again",
            f"Process {self._daemon.pid} answers on the same ports after {duration(monotonic() - began_s)}. What was "
            "finished stays so, the run that was cut short goes back to the queue, and this watch has missed nothing:",
        )
        self._follow(lambda: all(map(self._is_over, self._ids)))

    def count(self) -> Told:
        self._stage.chapter("The proof", "Is there one picture for each prompt, no more and no less?")
        asked = {job_id: len(plan.prompts) for plan, job_id in self._ids.items() if plan is not MISTAKE}
        claims = [
            *prove(self._client, self._daemon.data_dir, asked),
            each_seen_once(self._seen_to_succeed, asked),
        ]
        return Told([self._client.job(job_id) for job_id in self._ids.values()], claims)

    def _follow(self, is_enough: Callable[[], bool]) -> None:
        with self._stage.view as view:
            for update in self._updates:
                self._remember(update)
                view.show(update)
                if is_enough():
                    return

    def _remember(self, update: Update) -> None:
        self._last = update
        if update.job:
            self._jobs[update.job.job_id] = update.job
        if isinstance(update.event, RunFinished):
            job_id = update.event.job.job_id
            made = [outcome.index for outcome in update.event.outcomes if outcome.state is ItemState.SUCCEEDED]
            self._seen_to_succeed.update((job_id, index) for index in made)

    def _is_over(self, plan: Plan) -> bool:
        job = self._jobs.get(self._ids[plan])
        return job is not None and job.state.is_final

    def _is_half_way(self) -> bool:
        event = self._last.event
        if not isinstance(event, JobProgress) or event.job_id != self._ids[NIGHT]:
            return False
        progress = event.progress
        return progress.items.finished >= len(NIGHT.prompts) // 2 and progress.step >= progress.steps // 2 > 0
