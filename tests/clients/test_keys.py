"""Which daemon is meant and by which key, key files, and what is told when a key does not fit."""

from pathlib import Path

import pytest
from tests.clients.both import Connect, both
from tests.fakes.daemon import FakeDaemon

from stoker_client.errors import BadRequest
from stoker_client.keys import DEFAULT_ENDPOINT, keep, kept_key_file, read_key, target
from stoker_protocol.keys import ClientKey, from_text, to_text

KEY = ClientKey(name="ann", endpoint="tcp://gpu:5577", server_key="s" * 40, public_key="p" * 40, secret_key="x" * 40)


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No environment, and nothing kept."""
    for variable in ("STOKER_KEY", "STOKER_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_CONFIG_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))


def test_what_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """We expect what is named to go before the environment, that before what is kept, and that before the default."""
    assert (target().endpoint, target().key) == (DEFAULT_ENDPOINT, None)
    keep(KEY)
    assert (target().endpoint, target().key) == (KEY.endpoint, KEY)
    assert (target(KEY.endpoint).key, target("tcp://127.0.0.1:1").key) == (KEY, None)
    monkeypatch.setenv("STOKER_ENDPOINT", "tcp://127.0.0.1:2")
    assert (target().endpoint, target().key) == ("tcp://127.0.0.1:2", None)
    other = tmp_path / "other.key"
    other.touch(0o600)
    other.write_text(to_text(KEY).replace("ann", "bob"))
    monkeypatch.setenv("STOKER_KEY", str(other))
    meant = target()
    assert meant.key is not None
    assert (meant.endpoint, meant.key.name) == ("tcp://127.0.0.1:2", "bob")
    assert target("tcp://127.0.0.1:3", KEY).key == KEY


def test_a_kept_key_is_for_its_owner() -> None:
    """We expect a kept key to be read by its owner alone, and to come back as it was."""
    path = keep(KEY)
    assert path == kept_key_file()
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == KEY


def test_a_key_file_that_others_can_read(tmp_path: Path) -> None:
    """We expect a key file of mode 0644 to be refused with the command that mends it."""
    path = tmp_path / "ann.key"
    path.write_text(to_text(KEY))
    path.chmod(0o644)
    with pytest.raises(BadRequest, match="can be read by others") as refused:
        target(key=path)
    assert (refused.value.field, refused.value.hint) == ("key", f"chmod 600 {path}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "name is missing"),
        ("not toml", "not TOML"),
        (to_text(KEY).replace("x" * 40, "short-secret"), "secret_key is not a key of 40 characters"),
        (to_text(KEY).replace('name = "ann"', "name = 7"), "name: expected `str`, got `int`"),
    ],
)
def test_what_is_no_key_file(text: str, says: str) -> None:
    """We expect a file that is no key to be refused by the field that is wrong, without telling a secret."""
    with pytest.raises(ValueError, match=says) as refused:
        from_text(text)
    assert "short-secret" not in str(refused.value)


def test_a_key_never_shows_its_secret() -> None:
    """We expect the secret to be in the file and nowhere else."""
    assert "x" * 40 in to_text(KEY)
    assert "x" * 40 not in repr(KEY) + str(KEY) + f"{KEY}"


def test_no_such_file(tmp_path: Path) -> None:
    """We expect a key file that is not there to be named."""
    with pytest.raises(BadRequest, match=r"nobody\.key: no such file"):
        target(key=tmp_path / "nobody.key")


@both
def test_a_key_where_none_is_wanted(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect a daemon that takes no keys to be told from one that is away."""
    with (
        connect(daemon.control, key=KEY, timeout_s=0.5) as client,
        pytest.raises(BadRequest, match="takes no keys") as refused,
    ):
        client.ping()
    assert "restart it" in str(refused.value.hint)
