"""What tests of clients share: an end to each, a fake daemon for a test, and a real one for a module."""

import signal
from collections.abc import Iterator

import pytest
from tests.fakes.daemon import FakeDaemon

from stoker_client.private_daemon import PrivateDaemon

LIMIT_S = 120


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Let a test fail that takes far longer than any should: a client that follows may follow for ever."""

    def give_up(*_: object) -> None:
        pytest.fail(f"not done after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    """A fake daemon that ticks often."""
    with FakeDaemon() as running:
        yield running


@pytest.fixture(scope="session")
def config_args(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a real daemon whose models load at once, and that has an engine `slow` with steps of 20 ms."""
    file = tmp_path_factory.mktemp("config") / "stokerd.toml"
    file.write_text(
        "[engines.sprites]\n"
        'model = "stoker_worker.models.sprites:Sprites"\n'
        "options = { load_s = 0.0 }\n"
        "[engines.slow]\n"
        'model = "stoker_worker.models.sprites:Sprites"\n'
        "options = { load_s = 0.0, step_s = 0.02 }\n"
    )
    return ["--config", str(file)]


@pytest.fixture(scope="module")
def stokerd(tmp_path_factory: pytest.TempPathFactory, config_args: list[str]) -> Iterator[PrivateDaemon]:
    """A real daemon."""
    with PrivateDaemon(tmp_path_factory.mktemp("stokerd"), args=config_args) as running:
        yield running
