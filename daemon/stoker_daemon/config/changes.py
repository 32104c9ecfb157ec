"""What differs between two configurations, and which of it can be applied while the daemon works."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from stoker_daemon.config.sections import Config
from stoker_protocol.changes import ConfigChange

APPLIED = ("execution", "retention")
"""Sections that hold from the next run, round or look on."""
RESTARTED = frozenset({"execution.max_pending"})
"""Keys of these that don't."""
UNSHOWN = frozenset({"env", "options"})
"""Keys whose values may be secrets."""


def compare(before: Config, after: Config) -> list[ConfigChange]:
    """The keys that differ, in the order of the file."""
    old, new = dict(_flat("", msgspec.to_builtins(before))), dict(_flat("", msgspec.to_builtins(after)))
    return [
        ConfigChange(key, _shown(key, old), _shown(key, new), is_applied(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key, msgspec.UNSET) != new.get(key, msgspec.UNSET)
    ]


def is_applied(key: str) -> bool:
    """Whether a change of this key needs no restart."""
    return key.split(".")[0] in APPLIED and key not in RESTARTED


def applied(before: Config, after: Config) -> Config:
    """The configuration that holds now: `before` with what of `after` needs no restart."""
    execution = msgspec.structs.replace(after.execution, max_pending=before.execution.max_pending)
    return msgspec.structs.replace(before, execution=execution, retention=after.retention)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each value under the whole of its key."""
    if isinstance(value, dict) and prefix.rpartition(".")[2] not in UNSHOWN:
        for name, inner in cast("Mapping[str, Any]", value).items():
            yield from _flat(f"{prefix}.{name}".removeprefix("."), inner)
    else:
        yield prefix, value


def _shown(key: str, values: Mapping[str, Any]) -> str:
    if key not in values:
        return ""
    return "..." if key.rpartition(".")[2] in UNSHOWN else msgspec.json.encode(values[key]).decode()
