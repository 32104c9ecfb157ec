"""What a daemon says at a terminal when it is ready."""

from pathlib import Path

import pytest

from stoker_daemon.greeting import say_ready


@pytest.mark.parametrize(
    ("control", "where"),
    [
        ("tcp://127.0.0.1:5577", ""),
        ("tcp://0.0.0.0:5577", ""),
        ("tcp://0.0.0.0:6577", " --endpoint tcp://127.0.0.1:6577"),
        ("tcp://[::]:6577", " --endpoint tcp://[::1]:6577"),
        ("ipc:///run/s", " --endpoint ipc:///run/s"),
    ],
)
def test_what_to_try_next(
    control: str, where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """We expect a command that reaches this daemon from its own host, and a folder that is meant from anywhere."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    say_ready([control], ["tcp://127.0.0.1:5578"], "{}", data_dir=Path("second"), boot="b")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith(f'stoker generate "a red dragon" --wait{where}')
    assert lines[1].endswith(f" {Path.cwd() / 'second'}")
