"""Tests of checking many items against what an engine offers."""

import asyncio
from typing import Any

import pytest
from msgspec import UNSET

from stoker_daemon.engines.fitting import ITEMS_A_TURN, check_items
from stoker_protocol.codec import pack
from stoker_protocol.errors import Refused
from stoker_protocol.jobs import Parameter
from stoker_protocol.requests import ItemSpec, Submit

PARAMETERS = [Parameter("prompt", "string", required=True), Parameter("steps", "integer", minimum=1)]
MANY = 2 * ITEMS_A_TURN + 10
LAST = MANY - 1


def check(items: list[Any], params: Any = None) -> None:
    """Check items with these parameters, None: with none of their own."""
    specs = [ItemSpec(params=UNSET if item is None else pack(item)) for item in items]
    request = Submit(id="1", job_id="j", items=specs, params=UNSET if params is None else pack(params))
    asyncio.run(check_items(PARAMETERS, request))


@pytest.mark.parametrize("index", [0, ITEMS_A_TURN - 1, ITEMS_A_TURN, LAST])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"prompt": 5}, ".prompt"), ({"prompt": "a", "steps": 0}, ".steps"), ({}, ".prompt"), (None, ".prompt")],
    ids=["type", "value", "missing", "none of its own"],
)
def test_one_wrong_item_among_many(index: int, wrong: Any, field: str) -> None:
    """Of items that are looked at together, one that is wrong is found, whichever it is, and named."""
    items: list[Any] = [{"prompt": "a dragon"}] * MANY
    items[index] = wrong
    with pytest.raises(Refused) as refused:
        check(items)
    assert refused.value.field == f"items[{index}].params{field}"


@pytest.mark.parametrize("own", [None, {"steps": 2}, {"prompt": "a knight"}])
def test_items_that_rely_on_the_job(own: Any) -> None:
    """Items need not repeat what the job says, alone or among others that do."""
    check([own] * MANY, {"prompt": "a dragon"})
    check([own, {"prompt": "an owl"}] * MANY, {"prompt": "a dragon"})
