"""The daemon that most system tests work with."""

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.system.daemons import Rig, a_rig, config


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig]:
    """A daemon with the fault models; what it leaves on disk is audited at its end."""
    with a_rig(tmp_path) as rig:
        yield rig


@pytest.fixture
def rig_with_long_back_off(tmp_path: Path) -> Generator[Rig]:
    """The same, but what fails waits for long."""
    with a_rig(tmp_path, config(backoff_base_s=60, backoff_max_s=60)) as rig:
        yield rig
