"""The watch over the GPUs: what it remembers, tells, and takes to be the executor's."""

import asyncio

import pytest
from msgspec import structs
from tests.conformance.bench import until, within_bound

from stoker_daemon.execution import monitor as module
from stoker_daemon.execution.monitor import Choice, Monitor
from stoker_protocol.events import AnyEvent, GpuSampled
from stoker_protocol.gpus import Gpu, Host, Sample

HOST = Host(64, 32, 1000, 500)
GPUS = [Gpu(0, "small", "GPU-aaaa", 8, 6), Gpu(1, "large", "GPU-bbbb", 24, 20)]


class ScriptedProbe:
    """Sees one sample after the other, the last one for ever; an error is raised."""

    def __init__(self, *samples: Sample | OSError) -> None:
        self._samples = list(samples)

    async def look(self) -> Sample:
        sample = self._samples.pop(0) if len(self._samples) > 1 else self._samples[0]
        if isinstance(sample, OSError):
            raise sample
        return sample


class StillClock:
    """No test here needs time."""

    def now_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return 0.0


def monitor(probe: ScriptedProbe, told: list[tuple[str, AnyEvent]], choice: str = "") -> Monitor:
    """A watch that looks as often as it can."""
    return Monitor(probe, lambda topic, event: told.append((topic, event)), StillClock(), Choice(choice), 0.001)


def test_each_look_is_told_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect an event for each look, and of the last ones a history for each GPU, also of one that went."""
    monkeypatch.setattr(module, "KEPT_S", 0.003)
    samples = [Sample(n, GPUS[: 1 + n % 2], HOST) for n in range(6)]

    async def scenario() -> None:
        told: list[tuple[str, AnyEvent]] = []
        watch = monitor(ScriptedProbe(*samples), told)
        task = asyncio.create_task(watch.serve())
        await until(lambda: len(told) >= 6)
        task.cancel()
        assert [(topic, event.sample) for topic, event in told[:6] if isinstance(event, GpuSampled)] == [
            ("gpu/gpu_sampled", sample) for sample in samples
        ]
        small, *_ = watch.history()
        assert (small.uuid, len(small.at_ms), set(small.memory_used)) == ("GPU-aaaa", 3, {2})

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("said", "expected"), [("", 0), ("1", 1), ("GPU-bbbb", 1), ("GPU-b", 1), ("2", None), ("G", None), ("GPU-c", None)]
)
def test_which_gpu_is_the_executors(said: str, expected: int | None) -> None:
    """We expect the first GPU, or the one of that index or UUID, and none rather than another."""

    async def scenario() -> None:
        watch = monitor(ScriptedProbe(Sample(1, GPUS, HOST)), [], said)
        assert (watch.executor(), watch.gpu) == (None, None)
        await within_bound(watch.look())
        assert watch.executor() == expected
        assert watch.gpu == (None if expected is None else GPUS[expected])

    asyncio.run(scenario())


def test_a_gpu_that_is_lost_is_not_taken() -> None:
    """We expect a GPU that works to be taken rather than one that does not, unless that one was asked for."""
    gpus = [structs.replace(GPUS[0], trouble="lost"), GPUS[1]]
    assert [Choice(said).among(gpus) for said in ("", "0", "1")] == [1, 0, 1]
    assert Choice().among(gpus[:1]) == 0


def test_a_look_that_fails() -> None:
    """We expect what was seen last to stay, and no event, when even the host can't be looked at."""

    async def scenario() -> None:
        told: list[tuple[str, AnyEvent]] = []
        sample = Sample(1, GPUS, HOST)
        watch = monitor(ScriptedProbe(sample, FileNotFoundError("gone"), sample), told)
        assert await within_bound(watch.look()) == sample
        assert await within_bound(watch.look()) is None
        assert watch.latest() == sample

    asyncio.run(scenario())
