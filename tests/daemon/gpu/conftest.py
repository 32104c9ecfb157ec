"""A machine with GPUs for tests in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.nvml.harness import FakeNvml, build, load_here


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    """A machine without a GPU until a test puts one there."""
    machine = FakeNvml(tmp_path, nvml_library)
    load_here(machine, monkeypatch)
    yield machine
    machine.remove()
