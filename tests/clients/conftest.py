"""The two daemons that tests of the clients talk to: the fake one, new for each test, and a real one for a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.daemon import FakeDaemon

from stoker_client.private_daemon import PrivateDaemon


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    """A fake daemon that ticks often."""
    with FakeDaemon() as running:
        yield running


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose models load at once."""
    file = tmp_path_factory.mktemp("config") / "stokerd.toml"
    file.write_text(
        "[engines.sprites]\n"
        'model = "stoker_worker.models.sprites:Sprites"\n'
        "options = { load_s = 0.0 }\n"
        "[engines.slow]\n"
        'model = "stoker_worker.models.sprites:Sprites"\n'
        "options = { load_s = 0.0, step_s = 0.02 }\n"
    )
    return file


@pytest.fixture(scope="module")
def stokerd(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Iterator[PrivateDaemon]:
    """A real daemon."""
    with PrivateDaemon(tmp_path_factory.mktemp("stokerd"), args=["--config", str(config)]) as running:
        yield running
