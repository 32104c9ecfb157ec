"""Servers for tests of engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.comfyui.harness import ComfyProcess


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ComfyProcess]:
    """A fake ComfyUI of the test's own."""
    with ComfyProcess(tmp_path / "server") as process:
        yield process
