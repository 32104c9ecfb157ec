"""Which parameters a job gives, for all its items or for some."""

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from stoker_protocol.codec import unpack_map
from stoker_protocol.requests import Submit


def maps_of(request: Submit) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters of the job, then those of each item that has own ones, each with its field."""
    yield "params", unpack_map(request.params)
    for index, item in enumerate(request.items):
        if item.params is not UNSET:
            yield f"items[{index}].params", unpack_map(item.params)


def names_somewhere(request: Submit) -> set[str]:
    """The parameters that the job gives, or any of its items."""
    return {name for _, params in maps_of(request) for name in params}


def names_everywhere(request: Submit) -> set[str]:
    """The parameters that each item has, its own or the job's."""
    shared, *own = (params.keys() for _, params in maps_of(request))
    common = set[str]() if len(own) < len(request.items) else set(own[0]).intersection(*own)
    return common.union(shared)
