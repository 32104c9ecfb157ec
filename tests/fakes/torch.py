"""Stands for torch on a machine with GPUs: what `torch.cuda` says of their memory, and how that is given back."""

from types import SimpleNamespace


class Cuda:
    """`torch.cuda` with some devices; `allocated` and `cached` are the bytes of each.

    Source: the documentation of `torch.cuda`: `memory_allocated` is what tensors occupy, and `empty_cache` gives back
    what the allocator keeps beside that.
    """

    def __init__(self, devices: int) -> None:
        self.allocated = [0] * devices
        self.cached = [0] * devices

    def is_available(self) -> bool:
        """Whether there is a device."""
        return bool(self.allocated)

    def device_count(self) -> int:
        """How many there are."""
        return len(self.allocated)

    def memory_allocated(self, device: int) -> int:
        """The bytes of tensors on a device."""
        return self.allocated[device]

    def empty_cache(self) -> None:
        """Keep no more than what is in use."""
        self.cached = [0] * len(self.cached)


def fake_torch(devices: int) -> SimpleNamespace:
    """A module `torch` that has only this."""
    return SimpleNamespace(cuda=Cuda(devices))
