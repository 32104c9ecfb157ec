"""Who lives with the daemon: one submits at a steady rate, another watches everything from first to last."""

import random
import threading
import time
from collections import Counter

from tests.fakes.openai.words import MODELS

from benchmarks.soak.studio import CHECKPOINTS
from stoker_client import Client
from stoker_client.errors import StokerError
from stoker_protocol.jobs import JobState

PATIENCE_S = 120.0
PRIORITIES = ("urgent", "high", "normal", "low")
MAX_ATTEMPTS = 20
"""A server that dies under an item is no fault of the item's, but counts as an attempt."""


class Submitter:
    """Submits a job of one to eight items at each tick, for each engine in turn."""

    def __init__(self, endpoint: str, seed: int) -> None:
        self.accepted: Counter[str] = Counter()
        self._dice = random.Random(seed)
        self._client = Client(endpoint, timeout_s=PATIENCE_S)

    def tick(self) -> None:
        """One job more, through restarts of the daemon too."""
        engine, models = self._dice.choice([("sprites", [""]), ("comfyui", CHECKPOINTS), ("llm", MODELS)])
        number = len(self.accepted)
        prompts = [f"a small owl {number} {index}" for index in range(self._dice.randint(1, 8))]
        submitted = self._client.submit(
            prompts,
            engine=engine,
            model=self._dice.choice(models),
            priority=self._dice.choice(PRIORITIES),
            max_attempts=MAX_ATTEMPTS,
        )
        self.accepted[submitted.job_id] = len(prompts)

    def close(self) -> None:
        """No more jobs."""
        self._client.close()


class Watcher:
    """Watches everything on a thread of its own, and counts how often it was told that a job ended."""

    def __init__(self, endpoint: str) -> None:
        self.ends: Counter[tuple[str, JobState]] = Counter()
        self.links: Counter[str] = Counter()
        self.error: StokerError | None = None
        self._endpoint = endpoint
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def await_ends(self, jobs: int) -> None:
        """Wait until it was told of the ends of so many jobs."""
        until_s = time.monotonic() + PATIENCE_S
        while len(self.ends) < jobs and self.error is None and time.monotonic() < until_s:
            time.sleep(0.1)

    def _watch(self) -> None:
        try:
            with Client(self._endpoint, timeout_s=PATIENCE_S) as client:
                for update in client.watch():
                    self.links[update.link] += 1
                    if update.event is not None and update.event.seq and update.job and update.job.state.is_final:
                        self.ends[update.job.job_id, update.job.state] += 1
        except StokerError as error:
            self.error = error
