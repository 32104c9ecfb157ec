"""How long the store takes to pick the next run, and whether that depends on how much waits."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import count, product
from pathlib import Path
from typing import NamedTuple

from benchmarks.core.contenders import ENGINE, Stoker
from benchmarks.core.figures import Figure, Setting, medians, ratio
from benchmarks.core.marks import PAYLOAD
from benchmarks.core.noop import MODELS
from stoker_client import Client
from stoker_daemon.clock import SystemClock
from stoker_daemon.jobs.records import Choice, Head, Result, Run
from stoker_daemon.ports import ClaimOrder
from stoker_daemon.scheduling import policy
from stoker_daemon.sqlite import claiming, controlling
from stoker_daemon.sqlite.database import FILE_NAME
from stoker_daemon.sqlite.migrating import open_database
from stoker_daemon.sqlite.recording import Ended, record
from stoker_daemon.sqlite.writer import Transaction, Writer
from stoker_protocol.jobs import ItemState, Priority

SMALL_JOB = 20
"""Items; those of one model and priority that are not in such jobs are in one large one."""
MAX_ITEMS = 10_000
"""Items in a request."""
LARGE_RUN = 1_000
"""Items in a run where it matters only that they are done."""


def picking(setting: Setting) -> list[Figure]:
    """Pick in turns from a short and a long queue, both of many jobs of all priorities and several models."""
    depths, picks = ((500, 5_000), 20) if setting.quick else ((1_000, 1_000_000), 200)
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        data_dirs = [_fill(Path(tempfile.mkdtemp(dir=folder)), depth) for depth in depths]
        picked = asyncio.run(_pick_in_turns(data_dirs, depths, picks))
    chosen_us = [[pick.chosen_us for pick in both] for both in picked]
    committed_us = [[pick.committed_us for pick in both] for both in picked]
    return [
        _ratio("pick from a long queue, to a short one", chosen_us, depths, setting.rounds),
        _ratio("pick and commit, to a short queue", committed_us, depths, setting.rounds),
    ]


async def _pick_in_turns(data_dirs: list[Path], depths: tuple[int, int], picks: int) -> list[list["_Pick"]]:
    queues: list[_Queue] = []
    try:
        for data_dir, depth in zip(data_dirs, depths, strict=True):
            queues.append(_Queue(data_dir))
            await queues[-1].work_off(depth // 10)
        return [[await queue.pick() for queue in queues] for _ in range(picks)]
    finally:
        for queue in queues:
            queue.close()


def _ratio(name: str, picks_us: list[list[float]], depths: tuple[int, int], rounds: int) -> Figure:
    columns = list(zip(*picks_us, strict=True))
    short_us, long_us = (statistics.median(column) for column in columns)
    made_of = f"medians of {len(picks_us)}: {short_us:.0f} us at {depths[0]}, {long_us:.0f} us at {depths[1]} items"
    return ratio(name, medians(columns[1], rounds), medians(columns[0], rounds), "<=", 1.5, made_of)


def _fill(folder: Path, depth: int) -> Path:
    """Submit so many items of several models and all priorities, half of each kind in one job; where they are."""
    kinds = [(model, priority) for model in MODELS for priority in Priority]
    small, each = depth // len(kinds) // (2 * SMALL_JOB), depth // len(kinds)
    sizes = [SMALL_JOB, each - small * SMALL_JOB, *[SMALL_JOB] * (small - 1)]
    daemon = Stoker()
    daemon.start(folder)
    try:
        with Client(daemon.endpoint, timeout_s=60) as client:
            for items, (model, priority) in product(sizes, kinds):
                _submit(client, model, priority, items)
    finally:
        daemon.stop()
    return daemon.data_dir


def _submit(client: Client, model: str, priority: Priority, items: int) -> None:
    specs = [{"params": {"p": PAYLOAD}}] * items
    job = client.submit(specs[:MAX_ITEMS], model=model, priority=priority, more=items > MAX_ITEMS)
    for at in range(MAX_ITEMS, items, MAX_ITEMS):
        client.append(job.job_id, at, specs[at : at + MAX_ITEMS])


class _Pick(NamedTuple):
    """How long one pick took: until the run was chosen and written, and until it was committed."""

    chosen_us: float
    committed_us: float


class _Queue:
    """A filled queue that is picked from as a lane does it, whose model changes from pick to pick."""

    def __init__(self, data_dir: Path) -> None:
        self._writer = Writer(open_database(data_dir), data_dir / FILE_NAME, SystemClock())
        self._writer.start()
        self._numbers = count()

    def close(self) -> None:
        self._writer.close()

    async def work_off(self, items: int) -> None:
        """Let it go on, for it was held while it was filled, and do the first items: large jobs are half done then."""
        await self._writer.write(lambda transaction: controlling.resume_queue(transaction, "benchmark"))
        while items > 0:
            run, _ = await self._claim(LARGE_RUN)
            await self._record(run)
            items -= len(run.members)

    async def pick(self) -> _Pick:
        """Pick one item; its outcome, which is not timed, makes room for the next."""
        began_ns = time.perf_counter_ns()
        run, chosen_us = await self._claim(1)
        committed_us = (time.perf_counter_ns() - began_ns) / 1000
        await self._record(run)
        return _Pick(chosen_us, committed_us)

    async def _claim(self, max_batch: int) -> tuple[Run, float]:
        number = next(self._numbers)
        order = _order(MODELS[number % len(MODELS)], max_batch)

        def work(transaction: Transaction) -> tuple[Run | None, float]:
            began_ns = time.perf_counter_ns()
            return claiming.claim(transaction, order, f"run-{number}"), (time.perf_counter_ns() - began_ns) / 1000

        run, chosen_us = await self._writer.write(work)
        assert run is not None
        return run, chosen_us

    async def _record(self, run: Run) -> None:
        results = [Result(member.position, ItemState.SUCCEEDED) for member in run.members]
        await self._writer.write(lambda transaction: record(transaction, [Ended(run.run_id, run.members, results)]))


def _order(model: str, max_batch: int) -> ClaimOrder:
    def choose(heads: Sequence[Head], _run_id: str, _now_ms: int) -> Choice | None:
        head = policy.strict(heads, ENGINE, model)
        return head and Choice(((head, max_batch),))

    return ClaimOrder(
        lane="gpu",
        engines=frozenset({ENGINE}),
        choose=choose,
        timeout_s=600,
        no_progress_s=600,
        max_delay_s=300,
    )
