"""What is seen of GPUs through nvidia-ml-py, from a library in the place of the driver's."""

import os
import socket
from collections.abc import Iterator

import pynvml
import pytest
from tests.fakes.nvml.harness import GB, FakeNvml

from stoker_daemon.gpu.driver import Driver, Trouble
from stoker_protocol.gpus import Gpu

HOST_TOTAL, HOST_AVAILABLE = 128 * GB, 100 * GB


@pytest.fixture
def driver() -> Iterator[Driver]:
    """A driver that is closed at the end."""
    driver = Driver()
    yield driver
    driver.close()


def seen(driver: Driver) -> list[Gpu]:
    """All GPUs of a host with that much memory."""
    return driver.gpus(HOST_TOTAL, HOST_AVAILABLE)


def test_a_gpu(driver: Driver, nvml: FakeNvml) -> None:
    """We expect each reading in its unit, as the driver has it at that moment."""
    nvml.card(used=6 * GB, utilisation=73, temperature=64, power=310_500, power_limit=450_000)
    (gpu,) = seen(driver)
    assert (gpu.index, gpu.name, gpu.uuid) == (0, "NVIDIA GeForce RTX 4090", "GPU-01111111-2222")
    assert (gpu.memory_total, gpu.memory_free, gpu.memory_used) == (24 * GB, 18 * GB, 6 * GB)
    assert (gpu.utilisation, gpu.temperature_c, gpu.power_w, gpu.power_limit_w) == (73, 64, 310.5, 450)
    assert (gpu.processes, gpu.is_unified, gpu.part_of, gpu.trouble) == ([], False, "", "")
    nvml.set_of(0, utilisation=0)
    assert seen(driver)[0].utilisation == 0


def test_readings_that_are_not_supported(driver: Driver, nvml: FakeNvml) -> None:
    """We expect None for what a GPU can't tell, for whatever reason, and all else as ever."""
    nvml.card(used=GB, utilisation=5, power=1000)
    nvml.fail("nvmlDeviceGetUtilizationRates", pynvml.NVML_ERROR_NOT_SUPPORTED, 0)
    nvml.fail("nvmlDeviceGetPowerUsage", pynvml.NVML_ERROR_NO_PERMISSION, 0)
    nvml.fail("nvmlDeviceGetComputeRunningProcesses", pynvml.NVML_ERROR_UNKNOWN, 0)
    (gpu,) = seen(driver)
    assert (gpu.utilisation, gpu.power_w, gpu.temperature_c, gpu.processes) == (None, None, None, [])
    assert gpu.memory_used == GB


@pytest.mark.parametrize("how", ["unsupported", "zero"])
def test_unified_memory(driver: Driver, nvml: FakeNvml, how: str) -> None:
    """We expect the host's memory where a GPU has none of its own, which drivers tell in two ways."""
    nvml.card(name="NVIDIA GB10", total_gb=0, utilisation=9)
    if how == "unsupported":
        nvml.fail("nvmlDeviceGetMemoryInfo", pynvml.NVML_ERROR_NOT_SUPPORTED, 0)
    (gpu,) = seen(driver)
    assert gpu.is_unified
    assert (gpu.memory_total, gpu.memory_free) == (HOST_TOTAL, HOST_AVAILABLE)


def test_memory_that_may_not_be_seen(driver: Driver, nvml: FakeNvml) -> None:
    """We expect memory that the driver refuses to tell not to count as the host's, and a GPU that is gone to say so."""
    nvml.card()
    nvml.fail("nvmlDeviceGetMemoryInfo", pynvml.NVML_ERROR_NO_PERMISSION, 0)
    (gpu,) = seen(driver)
    assert (gpu.memory_total, gpu.memory_free, gpu.is_unified) == (None, None, False)
    assert gpu.trouble == ""
    nvml.fail("nvmlDeviceGetMemoryInfo", pynvml.NVML_ERROR_GPU_IS_LOST, 0)
    assert "lost" in seen(driver)[0].trouble


def test_several_gpus_of_which_one_is_lost(driver: Driver, nvml: FakeNvml) -> None:
    """We expect each GPU, also the one that fell off the bus, with what is wrong with it."""
    nvml.card(0)
    nvml.card(1, name="NVIDIA L4")
    nvml.card(2, name="NVIDIA T4")
    nvml.fail("nvmlDeviceGetHandleByIndex", pynvml.NVML_ERROR_GPU_IS_LOST, 1)
    gpus = seen(driver)
    assert [(gpu.index, gpu.name) for gpu in gpus] == [
        (0, "NVIDIA GeForce RTX 4090"),
        (1, "unknown"),
        (2, "NVIDIA T4"),
    ]
    assert ["lost" in gpu.trouble for gpu in gpus] == [False, True, False]


def test_a_divided_gpu(driver: Driver, nvml: FakeNvml) -> None:
    """We expect the parts (MIG) instead of the GPU, with memory of their own and the heat of the whole."""
    nvml.card(name="NVIDIA H100", total_gb=80, mig=pynvml.NVML_DEVICE_MIG_ENABLE, temperature=41)
    for part, gb in ((0, 40), (3, 10)):
        nvml.set_of(f"0.{part}", name="NVIDIA H100 MIG", uuid=f"MIG-{part}", total=gb * GB, used=GB)
    gpus = seen(driver)
    assert [(gpu.uuid, gpu.memory_total, gpu.memory_used) for gpu in gpus] == [
        ("MIG-0", 40 * GB, GB),
        ("MIG-3", 10 * GB, GB),
    ]
    assert {(gpu.part_of, gpu.temperature_c, gpu.utilisation) for gpu in gpus} == {("GPU-01111111-2222", 41, None)}


def test_processes(driver: Driver, nvml: FakeNvml) -> None:
    """We expect each process once, that of the most memory first, by name, and with the ports where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = 2**22 - 1
        nvml.card(compute=f"{nobody}:{2 * GB},{os.getpid()}:{5 * GB}", graphics=f"{os.getpid()}:{5 * GB},1")
        (gpu,) = seen(driver)
        assert [(process.pid, process.bytes) for process in gpu.processes] == [
            (os.getpid(), 5 * GB),
            (nobody, 2 * GB),
            (1, None),
        ]
        assert gpu.processes[0].name.startswith("py")
        assert server.getsockname()[1] in gpu.processes[0].ports
        assert (gpu.processes[1].name, gpu.processes[1].ports) == ("", [])


def test_no_driver(driver: Driver, nvml: FakeNvml) -> None:
    """We expect a host without a driver to say so, and its GPUs as soon as there is one."""
    with pytest.raises(Trouble, match="no NVIDIA driver"):
        seen(driver)
    nvml.card()
    assert len(seen(driver)) == 1


def test_a_driver_that_fails_and_comes_back(driver: Driver, nvml: FakeNvml) -> None:
    """We expect what the driver says when it fails, and to see all again once it works again."""
    nvml.card()
    assert len(seen(driver)) == 1
    nvml.fail("nvmlDeviceGetCount", pynvml.NVML_ERROR_UNINITIALIZED)
    with pytest.raises(Trouble, match="Uninitialized"):
        seen(driver)
    nvml.fail("nvmlInitWithFlags", pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
    with pytest.raises(Trouble, match="restart the host"):
        seen(driver)
    nvml.fail("nvmlInitWithFlags", 0)
    nvml.fail("nvmlDeviceGetCount", 0)
    assert len(seen(driver)) == 1
