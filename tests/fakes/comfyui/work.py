"""What a node has to work with, and what it gives back."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from tests.fakes.comfyui.defects import Defects
from tests.fakes.comfyui.files import Folders
from tests.fakes.comfyui.gate import Gate

PREVIEW_SIZE = 512


@dataclass(frozen=True)
class Blocker:
    """A value that keeps whatever uses it from running; with a message, this is told."""

    message: str | None


@dataclass(frozen=True)
class Result:
    """What a node gives: values for other nodes, what it shows, or nodes in its place.

    If there are nodes in its place, the values are links to them.
    """

    values: tuple[Any, ...] = ()
    shown: dict[str, Any] | None = None
    nodes: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Work:
    """One node at work."""

    node_id: str
    graph: dict[str, Any]
    extra_data: dict[str, Any]
    folders: Folders
    gate: Gate
    pace: Defects
    tell_step: Callable[[int, int, bytes | None], None]
    tell_text: Callable[[str], None]
    has_preview: bool

    def load(self) -> None:
        """Take the time that loading a model takes; no interrupt is heard meanwhile."""
        time.sleep(self.pace.load_s)  # simulated work

    def step(self, value: int, total: int, make_preview: Callable[[], Image.Image] | None = None) -> None:
        """Tell that a step is done, with a preview if previews are on."""
        self.gate.check()
        preview = make_preview() if make_preview and self.has_preview else None
        self.tell_step(value, total, None if preview is None else _jpeg(preview))


def _jpeg(image: Image.Image) -> bytes:
    longest = max(image.size)
    size = (image.width * PREVIEW_SIZE // longest, image.height * PREVIEW_SIZE // longest)
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
