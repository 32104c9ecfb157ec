"""The wire described for other languages: JSON Schema generated from the message types."""

from functools import cache
from typing import Any, get_args

import msgspec

from stoker_protocol.events import AnyEvent
from stoker_protocol.replies import AnyReply, Description
from stoker_protocol.requests import AnyRequest


@cache
def describe() -> Description:
    """Schemas of every message; `$ref`s point into `#/definitions/`. Bytes are base64 text where JSON is validated."""
    kinds = {"requests": get_args(AnyRequest), "replies": get_args(AnyReply), "events": get_args(AnyEvent)}
    every = [t for types in kinds.values() for t in types]
    schemas, definitions = msgspec.json.schema_components(every, ref_template="#/definitions/{name}")
    by_type = dict(zip(every, schemas, strict=True))
    named = {kind: {_tag(t): by_type[t] for t in types} for kind, types in kinds.items()}
    return Description(
        requests=named["requests"], replies=named["replies"], events=named["events"], definitions=definitions
    )


def _tag(message: Any) -> str:
    return str(message.__struct_config__.tag)
