"""A daemon of its own in front of the server, what it gets done there, and when the server was at work for it."""

import random
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.comfyui.timeline import Timeline, span_of
from benchmarks.gpu.host import Host
from benchmarks.waves.daemons import engine_at
from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol.jobs import JobState

TIMEOUT_S = 3600.0
AT_ONCE = '[scheduling]\npolicy = "strict"\n'
"""As many items share a run as are asked for; waves take fewer where that is as fast."""

_seeds = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Done:
    """What a daemon got done: the jobs, when the server was at work for them, and the seconds until all had ended."""

    job_ids: Sequence[str]
    timeline: Timeline
    seconds: float


class Desk:
    """One daemon; `params` are what all of its jobs say."""

    def __init__(self, host: Host, client: Client, params: Mapping[str, Any]) -> None:
        self.host = host
        self.client = client
        self._params = params

    def do(self, jobs: Sequence[Mapping[str, Any]]) -> Done:
        """Have jobs done, each given as keywords of `Client.submit`."""
        return self.let_go(self.hold(jobs))

    def hold(self, jobs: Sequence[Mapping[str, Any]]) -> list[str]:
        """Submit jobs to a queue that is held back; their ids."""
        self.client.pause(reason="until all are there")
        return [self._submit(job) for job in jobs]

    def let_go(self, job_ids: Sequence[str]) -> Done:
        """Let the queue go on until these jobs are done."""
        before = self.host.history().keys()
        began_s = time.monotonic()
        self.client.resume()
        for job_id in job_ids:
            job = self.client.wait(job_id, TIMEOUT_S)
            assert job.state is JobState.SUCCEEDED, job
        seconds = time.monotonic() - began_s
        entries = self.host.history()
        spans = sorted(span_of(entries[prompt_id]) for prompt_id in entries.keys() - before)
        return Done(job_ids, Timeline(spans), seconds)

    def _submit(self, job: Mapping[str, Any]) -> str:
        options: dict[str, Any] = {**job, "params": {**self._params, **job.get("params", {})}}
        items = options.pop("items")
        return self.client.submit(items, **options).job_id


@contextmanager
def a_desk(
    host: Host, folder: Path, params: Mapping[str, Any], *, scheduling: str = AT_ONCE, batch_size: int = 8
) -> Generator[Desk]:
    """A daemon at a server, whose items share prompts by so many."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        config = Path(scratch) / "stokerd.toml"
        config.write_text(f"{scheduling}{engine_at(host.url)}batch_size = {batch_size}\n")
        daemon = PrivateDaemon(Path(scratch) / "data", args=["--config", str(config)])
        with daemon, Client(daemon.control, timeout_s=60) as client:
            until_s = time.monotonic() + TIMEOUT_S
            while not all(engine.state == "ready" for engine in client.engines()):
                assert time.monotonic() < until_s, client.engines()
                time.sleep(0.1)  # polls
            yield Desk(host, client, params)


def new_seed() -> int:
    """One that the server has hardly seen before, so that nothing is cached."""
    return _seeds.randrange(1 << 40)


def knights(count: int) -> list[dict[str, Any]]:
    """Items of other prompts and seeds."""
    return [{"params": {"prompt": f"a knight, number {number}", "seed": new_seed()}} for number in range(count)]
