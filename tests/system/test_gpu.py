"""What a daemon sees and tells of a GPU: on a machine whose driver is a stand-in, and on one that has none."""

import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pynvml
import pytest
import zmq
from tests.fakes.nvml.harness import GB, FakeNvml, build
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import BOUND_S, wait_for

from stoker_protocol import codec
from stoker_protocol.events import GPU_TOPIC, GpuSampled

WATCHED = "[gpu]\nsample_s = 0.2\n"
OnGpu = Callable[..., AbstractContextManager[Rig]]


@pytest.fixture
def nvml(tmp_path: Path) -> FakeNvml:
    """A machine with one GPU."""
    machine = FakeNvml(tmp_path, build(tmp_path))
    machine.card(used=2 * GB, utilisation=40, temperature=50)
    return machine


@pytest.fixture
def on_gpu(nvml: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnGpu:
    """Starts a daemon on that machine."""

    @contextmanager
    def start(head: str = "", **options: Any) -> Generator[Rig]:
        for name, value in nvml.environment.items():
            monkeypatch.setenv(name, value)
        with a_rig(tmp_path, config(head=WATCHED + head, **options)) as rig:
            yield rig

    return start


def test_a_daemon_tells_of_its_gpu(on_gpu: OnGpu, nvml: FakeNvml) -> None:
    """We expect the readings from the start, their history, and a stranger by name beside the worker of an engine."""
    with on_gpu() as rig:
        assert rig.run("a dragon").state == "succeeded"
        nvml.set_of(0, used=9 * GB, compute=f"{rig.worker_pid}:{5 * GB},{os.getpid()}:{3 * GB}")
        wait_for(lambda: len(rig.client.gpu().holdings) == 3)
        report = rig.client.gpu()
        ours, stranger, rest = report.holdings
        assert (ours.holder, ours.what, ours.bytes, ours.pid) == ("faults", "one", 5 * GB, rig.worker_pid)
        assert (stranger.bytes, stranger.pid, stranger.is_stranger) == (3 * GB, os.getpid(), True)
        assert (rest.holder, rest.bytes) == ("driver and unseen", GB)
        assert report.sample is not None
        assert (report.executor, report.sample.gpus[0].utilisation) == (0, 40)
        wait_for(lambda: 9 * GB in rig.client.gpu().history[0].memory_used)
        assert 2 * GB in rig.client.gpu().history[0].memory_used


def test_a_gpu_that_comes_and_goes(on_gpu: OnGpu, nvml: FakeNvml) -> None:
    """We expect a driver that fails in the middle to cost no run, and to be seen again when it works again."""
    with on_gpu() as rig:
        nvml.fail("nvmlDeviceGetCount", pynvml.NVML_ERROR_UNKNOWN)
        wait_for(lambda: rig.client.gpu().executor is None)
        sample = rig.client.gpu().sample
        assert sample is not None
        assert "Unknown Error" in sample.trouble
        assert rig.run("a dragon").state == "succeeded"
        nvml.fail("nvmlDeviceGetCount", 0)
        wait_for(lambda: rig.client.gpu().executor == 0)


def test_samples_are_published(on_gpu: OnGpu) -> None:
    """We expect ephemeral events on `gpu/`, for who listens."""
    with on_gpu() as rig, zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(rig.daemon.events)
        socket.subscribe(GPU_TOPIC)
        assert socket.poll(int(BOUND_S * 1000)), "no sample"
        topic, body = socket.recv_multipart()
        assert topic == b"gpu/gpu_sampled"
        event = codec.decode_event(body)
        assert isinstance(event, GpuSampled)
        assert event.seq is None
        assert [gpu.name for gpu in event.sample.gpus] == ["NVIDIA GeForce RTX 4090"]


def test_no_such_gpu(on_gpu: OnGpu) -> None:
    """We expect a daemon that is told of a GPU which is not there to say so, and to take no other."""
    with on_gpu('device = "3"\n') as rig:
        report = rig.client.gpu()
        assert report.sample is not None
        assert (report.executor, len(report.sample.gpus), report.holdings) == (None, 1, [])


def test_work_waits_for_a_card_that_strangers_fill(on_gpu: OnGpu, nvml: FakeNvml) -> None:
    """We expect no run to begin, the reason wherever people look, and all to go on once the stranger has gone."""
    with on_gpu() as rig:
        nvml.set_of(0, used=int(23.5 * GB), compute=f"1:{23 * GB}")
        wait_for(lambda: not rig.client.health().ready)
        job_id = rig.submit("a dragon")
        wait_for(lambda: "others hold 23.5 GiB" in rig.client.snapshot().lanes[0].held_up)
        (lane,) = (one.detail for one in rig.client.health().findings if one.part == "lane gpu")
        assert "goes on by itself" in lane
        assert [check.ok for check in rig.client.gpu().checks if check.part == "GPU"] == [False]
        assert rig.executed() == []
        cancelled = rig.submit("never made")
        rig.client.cancel(cancelled)
        assert rig.wait(cancelled).state == "cancelled"
        nvml.set_of(0, used=GB, compute="")
        assert rig.wait(job_id).state == "succeeded"
        wait_for(lambda: rig.client.health().ready)
        assert rig.client.snapshot().lanes[0].held_up == ""
        assert {item.attempts for item in rig.items(job_id)} == {1}


def test_the_daemons_own_processes_are_in_nobodys_way(on_gpu: OnGpu, nvml: FakeNvml) -> None:
    """We expect a card that is full of our own model to be worked on."""
    with on_gpu() as rig:
        assert rig.run("a dragon").state == "succeeded"
        nvml.set_of(0, used=int(23.9 * GB), compute=f"{rig.worker_pid}:{int(23.5 * GB)}")
        wait_for(lambda: [holding.bytes for holding in rig.client.gpu().holdings][:1] == [int(23.5 * GB)])
        assert rig.client.health().ready
        assert rig.run("another").state == "succeeded"


def test_a_host_that_is_short_of_memory(tmp_path: Path) -> None:
    """We expect work to wait for memory, on a host without a GPU too, and the daemon to stop without waiting for it."""
    with a_rig(tmp_path, config(head="[preflight]\nmin_memory_gb = 4096\n")) as rig:
        job_id = rig.submit("a dragon")
        wait_for(lambda: "4096.0 GiB" in rig.client.snapshot().lanes[0].held_up)
        assert [finding.part for finding in rig.client.health().findings if not finding.ok] == ["memory", "lane gpu"]
        rig.stop()
        rig._config.write_text(config(head="[preflight]\nmin_memory_gb = 0\n"))
        rig.daemon.start()
        assert rig.wait(job_id).state == "succeeded"
