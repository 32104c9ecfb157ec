"""Does a job fit what an engine offers: which of its models is meant, and are the parameters what they take?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stoker_daemon.jobs.parameters import by_name, check_parameters, check_values, kind_of
from stoker_protocol.codec import decode_parameters, did_you_mean, pack, taker, unpack_map
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.requests import Submit

ITEMS_A_TURN = 256
"""So many items are checked before others on the loop have their turn."""


def choose_model(models: Sequence[ModelFacts], asked: str) -> str:
    """The model meant: the first one unless another is named; where none are known yet, as asked.

    Raises:
        Refused: `bad_request`: there is no such model.
    """
    names = [model.name for model in models]
    if not asked:
        return names[0] if names else ""
    if names and asked not in names:
        hint = did_you_mean(asked, names) or f"models: {', '.join(names)}"
        raise Refused(ErrorCode.BAD_REQUEST, f"there is no model {asked!r:.80}", field="model", hint=hint)
    return asked


def refuse_recipes(request: Submit, engine: str) -> None:
    """For engines that have none of it. Raises Refused: `bad_request`: a recipe, workflow or profile is named."""
    hint = "leave it out, or name an engine that has recipes; `stoker recipes` lists them"
    refuse(request, engine, ("recipe", "workflow", "profile"), hint)


def refuse(request: Submit, engine: str, fields: Sequence[str], hint: str) -> None:
    """For what an engine has no use for. Raises Refused: `bad_request`: one of these fields is given."""
    for field in fields:
        if getattr(request, field) not in ("", UNSET):
            raise Refused(ErrorCode.BAD_REQUEST, f"engine {engine} takes no {field}", field=field, hint=hint)


async def check_items(parameters: Sequence[Parameter], request: Submit, aside: frozenset[str] = frozenset()) -> None:
    """Check the parameters of all items as they will be: the job's, with the item's own laid over them.

    Those named `aside` are somebody else's to check.

    Raises:
        Refused: `bad_request`, naming the first offending field.
    """
    known = by_name(parameters)
    shared = _without(aside, as_map(request.params, "params"))
    check_values(shared, known, "params")
    are_well = _quick_test(bytes(pack(list(parameters))))
    knows_bare = False
    for start in range(0, len(request.items), ITEMS_A_TURN):
        if start:
            await asyncio.sleep(0)
        some = request.items[start : start + ITEMS_A_TURN]
        given = [item.params for item in some if item.params is not UNSET]
        if are_well(given) and (knows_bare or len(given) == len(some)):
            continue
        for index, item in enumerate(some, start):
            field = f"items[{index}].params"
            check_parameters({**shared, **_without(aside, as_map(item.params, field))}, known, field)
        knows_bare = knows_bare or len(given) < len(some)


@lru_cache(maxsize=64)
def _quick_test(parameters: bytes) -> Callable[[Sequence[Raw]], bool]:
    """Whether items' own parameters are well, whatever the job's are; what it doubts is to be checked at length."""
    known = decode_parameters(parameters)
    try:
        return taker({p.name: kind_of(p) for p in known}, {p.name for p in known if p.required})
    except TypeError:
        return lambda _: False


def _without(aside: frozenset[str], params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in params.items() if name not in aside} if aside else params


def as_map(value: Raw | UnsetType, field: str) -> Mapping[str, Any]:
    """Parameters as they were sent. Raises Refused: `bad_request`: they can't be read."""
    try:
        return unpack_map(value)
    except msgspec.DecodeError as error:
        raise Refused(ErrorCode.BAD_REQUEST, f"{field}: {error}", field=field, hint="a map with text keys") from None
