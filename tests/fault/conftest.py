"""The daemons that tests of faults work with unless they need one of their own."""

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.fault.failing_disk import FailingDisk, a_rig_on_a_failing_disk, build
from tests.system.daemons import Rig, a_rig


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig]:
    """A daemon with the fault models; what it leaves on disk is audited at its end."""
    with a_rig(tmp_path) as rig:
        yield rig


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What makes a disk fail."""
    return build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def rig_on_disk(tmp_path: Path, library: Path) -> Generator[tuple[Rig, FailingDisk]]:
    """A daemon and the disk that its data lies on, which can fail."""
    with a_rig_on_a_failing_disk(tmp_path, library) as rig_on_disk:
        yield rig_on_disk
