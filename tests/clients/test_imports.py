"""A one-shot command pays only for what it uses, and an artist's machine needs no POSIX."""

import subprocess
import sys

import pytest

SHOW_MODULES = "import sys; bare = {{*sys.modules}}; import {0}; print(*{{*sys.modules}} - bare)"


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("stoker_client", {"zmq", "msgspec", "asyncio"}),
        (
            "stoker_client.sync_client",
            {
                "asyncio",
                "rich",
                "click",
                "structlog",
                "sqlite3",
                "subprocess",
                "difflib",
                "hashlib",
                "tomllib",
                "pathlib",
            },
        ),
        ("stoker_client.cli.status", {"zmq", "asyncio", "rich", "pathlib", "shutil", "click.shell_completion"}),
        ("stoker_client.async_client", {"rich", "click", "structlog", "sqlite3", "stoker_client.sync_client"}),
        ("stoker_client.private_daemon", {"zmq", "asyncio", "structlog", "sqlite3", "stoker_daemon"}),
    ],
)
def test_spared_imports(module: str, spared: set[str]) -> None:
    """We expect that importing a module of the client loads none of those that it can do without."""
    shown = subprocess.run([sys.executable, "-c", SHOW_MODULES.format(module)], capture_output=True, check=True)
    loaded = set(shown.stdout.decode().split())
    assert module in loaded
    assert loaded & spared == set()


def test_names_of_the_package() -> None:
    """We expect that the package offers both clients by name, and nothing that is not there."""
    import stoker_client
    from stoker_client.async_client import AsyncClient
    from stoker_client.sync_client import Client

    assert (stoker_client.Client, stoker_client.AsyncClient) == (Client, AsyncClient)
    with pytest.raises(AttributeError, match="Cleint"):
        _ = stoker_client.Cleint  # pyright: ignore[reportAttributeAccessIssue]  # that is the point


def test_without_posix() -> None:
    """We expect that the clients can be imported where the modules of POSIX are missing."""
    missing = ["fcntl", "grp", "posix_ipc", "pwd", "resource", "termios", "pty", "tty"]
    hide = "".join(f"sys.modules[{name!r}] = None; " for name in missing)
    modules = "stoker_client.sync_client, stoker_client.async_client, stoker_client.private_daemon"
    code = f"import sys; {hide}import {modules}, stoker_client.cli, stoker_protocol.session, stoker_protocol.schema"
    subprocess.run([sys.executable, "-c", code], check=True)
