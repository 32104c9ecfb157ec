"""How tests run the command: in this process with its output captured, the fake daemon as its daemon."""

from collections.abc import Callable

import pytest
from tests.clients.cli.running import Ran
from tests.fakes.daemon import FakeDaemon

from stoker_client.cli import run

Stoker = Callable[..., Ran]


@pytest.fixture
def stoker(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stoker:
    """Runs `stoker` with the arguments given."""
    monkeypatch.setenv("STOKER_ENDPOINT", daemon.control)

    def run_it(*args: str) -> Ran:
        capsys.readouterr()
        code = run(args)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run_it
