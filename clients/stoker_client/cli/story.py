"""The story that `stoker demo` tells: jobs of three priorities, a cancel, a kill -9, and the proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from stoker_client.cli.follow import View
from stoker_client.cli.proof import Claim, prove
from stoker_client.cli.render import plural
from stoker_client.operations.watching import Update
from stoker_client.private_daemon import PrivateDaemon
from stoker_client.sync_client import Client
from stoker_protocol.events import JobProgress
from stoker_protocol.jobs import Job

CONFIG = """\
[engines.sprites]
model = "stoker_worker.models.sprites:Sprites"
options = { step_s = 0.08 }  # a sprite takes milliseconds; the story wants time to be watched
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
        StokerError: There is no daemon to start, or it does not do as it should.
    """
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
        story.finish()
        return story.count()


class _Story:
    """The chapters, in order; the watch that begins in one goes on through the others."""

    def __init__(self, stage: Stage, daemon: PrivateDaemon, client: Client) -> None:
        self._stage = stage
        self._daemon = daemon
        self._client = client
        self._ids: dict[Plan, str] = {}
        self._updates: Iterator[Update] = iter(())

    def introduce(self) -> None:
        self._stage.chapter(
            "A daemon of our own",
            f"Process {self._daemon.pid} listens on this machine only and keeps everything in {self._daemon.data_dir}.",
        )
        for engine in self._client.engines():
            models = ", ".join(f"{model.name} ({model.summary})" for model in engine.models)
            self._stage.say(f"Engine {engine.name}: {models}")

    def submit(self) -> None:
        self._stage.chapter(
            "Four jobs, the most urgent one last",
            "The queue is held back so that all have to wait. Accepted means: synced to disk before the answer.",
        )
        self._client.pause(reason="the demo hands in its jobs")
        for plan in (BESTIARY, MISTAKE, NIGHT, ERRAND):
            reply = self._client.submit(
                plan.prompts, model=plan.model, priority=plan.priority, name=plan.name, batch_size=BATCH
            )
            self._ids[plan] = reply.job_id
            self._stage.say(f"{plan.name}: {plural(reply.items, 'item')}, {plan.priority}, {plan.model}: accepted")

    def begin(self) -> None:
        self._stage.chapter("Go", "The errand came last and is urgent, so it goes first.")
        self._updates = self._client.watch(list(self._ids.values()))
        self._client.resume()
        self._follow(self._is_errand_done)

    def cancel(self) -> None:
        self._stage.chapter("A change of mind", "The mistake is cancelled; the others do not notice.")
        done = self._client.cancel(self._ids[MISTAKE]).jobs[0]
        self._stage.say(f"{MISTAKE.name}: {plural(done.dropped, 'waiting item')} dropped")

    def pull_the_plug(self) -> None:
        """Kill the daemon in the middle of a run, as a power cut would, and start it again."""
        self._follow(self._is_half_way)
        self._stage.chapter("kill -9", "In the middle of a run the daemon dies without a word.")
        self._daemon.kill()
        self._daemon.start()
        self._stage.say(f"Started again as process {self._daemon.pid} on the same ports. Who was watching still is:")

    def finish(self) -> None:
        """Follow the watch to its end, which is that of the jobs."""
        self._follow(lambda _: False)

    def count(self) -> Told:
        self._stage.chapter("The proof", "As many pictures as prompts?")
        asked = {job_id: len(plan.prompts) for plan, job_id in self._ids.items() if plan is not MISTAKE}
        claims = prove(self._client, self._daemon.data_dir, asked)
        return Told([self._client.job(job_id) for job_id in self._ids.values()], claims)

    def _follow(self, is_enough: Callable[[Update], bool]) -> None:
        with self._stage.view as view:
            for update in self._updates:
                view.show(update)
                if is_enough(update):
                    return

    def _is_errand_done(self, update: Update) -> bool:
        job = update.job
        return job is not None and job.job_id == self._ids[ERRAND] and job.state.is_final

    def _is_half_way(self, update: Update) -> bool:
        event = update.event
        if not isinstance(event, JobProgress) or event.job_id != self._ids[NIGHT]:
            return False
        return (
            event.progress.items.finished >= len(NIGHT.prompts) // 2
            and event.progress.step >= event.progress.steps // 2 > 0
        )
