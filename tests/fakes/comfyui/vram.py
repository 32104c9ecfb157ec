"""The models that are in the memory of a simulated GPU, and what `/system_stats` says of it."""

from typing import Any

from tests.fakes.comfyui.defects import Defects
from tests.fakes.nvml.shared import GB, SharedCard

MEMORY = 16 << 30
"""What a server without a GPU has."""


class Vram:
    """Without a `card` (see `defects.py`) there is no GPU. The fields are those of ComfyUI's `get_system_stats`."""

    def __init__(self, defects: Defects) -> None:
        self._defects = defects

    @property
    def _card(self) -> SharedCard | None:
        return SharedCard(self._defects.card) if self._defects.card else None

    def load(self, name: str) -> None:
        """Bring a model onto the card; what else is there stays as long as it fits. Raises Full."""
        card = self._card
        if card is None or name in card.held():
            return
        size = int(self._defects.model_gb * GB)
        for other in list(card.held()):
            if card.free < size:
                card.take(other)
        card.put(name, size)

    def free(self) -> None:
        """Give it all back."""
        if self._card is not None and not self._defects.keeps_memory:
            self._card.take()

    def device(self) -> dict[str, Any]:
        """One of the devices of `/system_stats`."""
        card = self._card
        if card is None:
            sizes = {"vram_total": MEMORY, "vram_free": MEMORY // 2}
            sizes |= {"torch_vram_total": MEMORY, "torch_vram_free": MEMORY // 2}
            return {"name": "cpu", "type": "cpu", "index": None, **sizes}
        held = sum(card.held().values())
        sizes = {"vram_total": card.total, "vram_free": card.free, "torch_vram_total": held, "torch_vram_free": 0}
        return {"name": "cuda:0 simulated : cudaMallocAsync", "type": "cuda", "index": 0, **sizes}
