"""What a worker takes its models to hold, and what it takes for want of memory."""

import sys

import pytest
from tests.fakes.torch import fake_torch

from stoker_protocol.worker import Holding
from stoker_worker.memory import held, is_out_of_memory, release


def test_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch sees GPUs, a model holds what came on all of them, and what is not in use is given back."""
    torch = fake_torch(devices=2)
    monkeypatch.setitem(sys.modules, "torch", torch)
    torch.cuda.allocated = [100, 50]
    before = held()
    torch.cuda.allocated, torch.cuda.cached = [1100, 2050], [7, 7]
    assert held().holding("large", before) == Holding("large", 3000, on_gpu=True)
    torch.cuda.allocated = [0, 0]
    assert held().holding("gone", before) == Holding("gone", 0, on_gpu=True)
    release()
    assert torch.cuda.cached == [0, 0]


def test_torch_that_came_with_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that imports torch only as it is loaded holds all that is on the GPU by then."""
    before = held()
    torch = fake_torch(devices=1)
    monkeypatch.setitem(sys.modules, "torch", torch)
    torch.cuda.allocated = [500]
    assert held().holding("first", before) == Holding("first", 500, on_gpu=True)


@pytest.mark.parametrize("devices", [None, 0])
def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch, devices: int | None) -> None:
    """Where there is no torch, or it sees no GPU, a model holds what the process grew by."""
    if devices is None:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "torch", fake_torch(devices))
    before = held()
    weights = b"\1" * (64 << 20)
    found = held().holding("large", before)
    assert not found.on_gpu
    assert 60 << 20 <= (found.bytes or 0) <= 80 << 20
    assert len(weights) == 64 << 20


class OutOfMemoryError(RuntimeError):
    """As torch and JAX call theirs."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("something else"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_want_of_memory(error: Exception, *, expected: bool) -> None:
    """Want of memory is known by what libraries raise for it, and nothing else is taken for it."""
    assert is_out_of_memory(error) is expected
