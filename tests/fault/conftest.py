"""The daemon that tests of faults work with unless they need one of their own."""

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.system.daemons import Rig, a_rig


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig]:
    """A daemon with the fault models; what it leaves on disk is audited at its end."""
    with a_rig(tmp_path) as rig:
        yield rig
