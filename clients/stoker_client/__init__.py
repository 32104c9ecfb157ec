"""The thin client: a library and a command line that reach the daemon over its sockets."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stoker_client.async_client import AsyncClient
    from stoker_client.sync_client import Client

__all__ = ["AsyncClient", "Client"]
_HOMES = {"AsyncClient": "stoker_client.async_client", "Client": "stoker_client.sync_client"}


def __getattr__(name: str) -> Any:
    """Import a client when it is asked for: one never pays for the other."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
