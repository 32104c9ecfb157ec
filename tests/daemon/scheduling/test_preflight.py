"""Go or no-go."""

import pytest
from msgspec import structs

from stoker_daemon.scheduling.ledger import UNSEEN
from stoker_daemon.scheduling.preflight import GIB, Thresholds, of_disk, of_gpu, reason
from stoker_protocol.gpus import Gpu, Holding, Host, Sample

DEFAULTS = Thresholds()
CARD = Gpu(0, "card", "GPU-1", 24 * GIB, 24 * GIB)
OURS = Holding("comfyui", "xl", 20 * GIB, 7)
BLENDER = Holding("blender", "", 23 * GIB, 8, is_stranger=True)


def sample(*gpus: Gpu, memory: float = 32, available: float = 16, disk: float = 1000, free: float = 500) -> Sample:
    """A look at a host of so many GiB."""
    sizes = [int(each * GIB) for each in (memory, available, disk, free)]
    return Sample(1, list(gpus), Host(*sizes))


def used(gib: float) -> Gpu:
    """The card with so much in use."""
    return structs.replace(CARD, memory_free=int((24 - gib) * GIB))


def no_go(gpu: Gpu | None, *holdings: Holding, limits: Thresholds = DEFAULTS, seen: Sample | None = None) -> str:
    """Why a lane of the GPU is held back."""
    return reason(of_gpu(seen or sample(*[gpu] if gpu else []), gpu, holdings, limits))


def test_a_host_without_a_gpu() -> None:
    """We expect work to begin where there is no GPU, unless one was asked for by name."""
    seen = structs.replace(sample(), trouble="there is no NVIDIA driver on this host")
    assert no_go(None, seen=seen) == ""
    assert no_go(None, seen=seen, limits=Thresholds(device="1")).endswith("there is no NVIDIA driver on this host")
    assert "only 0 (card): correct [gpu] device" in no_go(
        None, seen=sample(CARD), limits=Thresholds(device="GPU-other")
    )


def test_a_card_full_of_strangers() -> None:
    """We expect work to wait for a card that others hold, to say who that is, and to go on once there is room."""
    said = no_go(used(23.5), BLENDER)
    assert "others hold 23.5 GiB of 24.0 GiB" in said
    assert "blender (pid 8) holds 23.0 GiB" in said
    assert no_go(used(22.5), BLENDER) == ""
    assert "no process is shown" in no_go(used(23.5), Holding(UNSEEN, "", 23 * GIB))


def test_a_card_full_of_our_own() -> None:
    """We expect what our engines hold not to be in the way of their own work."""
    assert no_go(used(23.9), OURS, Holding("llm", "", 3 * GIB)) == ""


def test_a_card_that_is_lost() -> None:
    """We expect work to wait for a GPU that fell off the bus."""
    assert "GPU is lost" in no_go(structs.replace(CARD, trouble="the NVIDIA driver says: GPU is lost"))


def test_a_card_that_tells_little() -> None:
    """We expect no guess where memory is shared with the host, or is not told."""
    assert no_go(structs.replace(used(24), is_unified=True)) == ""
    assert no_go(structs.replace(CARD, memory_free=None)) == ""


@pytest.mark.parametrize(
    ("total", "needed"), [(2, 0.125), (8, 0.5), (16, 1.0), (64, 4.0), (512, 4.0)], ids=lambda value: f"{value} GiB"
)
def test_memory(total: float, needed: float) -> None:
    """We expect 4 GiB to be asked for on large hosts, and a sixteenth on small ones."""
    assert no_go(None, seen=sample(memory=total, available=needed)) == ""
    assert "memory: " in no_go(None, seen=sample(memory=total, available=needed * 0.99))


def test_thresholds_as_configured() -> None:
    """We expect what the configuration says to count to the letter, and 0 never to hold anything up."""
    low = sample(memory=16, available=5, disk=100, free=0.5)
    assert no_go(None, seen=low, limits=Thresholds(memory_gb=6))
    assert no_go(None, seen=low, limits=Thresholds(memory_gb=0)) == ""
    assert not of_disk(low, DEFAULTS).ok
    assert of_disk(low, Thresholds(disk_gb=0.5)).ok
    assert of_disk(low, Thresholds(disk_gb=0)).ok
    assert "stoker outputs clean" in of_disk(low, DEFAULTS).detail
    assert of_disk(sample(disk=19, free=0), DEFAULTS).ok
    assert no_go(used(13), BLENDER, limits=Thresholds(gpu_percent=50))
    assert no_go(used(24), BLENDER, limits=Thresholds(gpu_percent=100)) == ""
