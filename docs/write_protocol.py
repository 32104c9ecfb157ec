"""Writes what the types know into protocol.md and protocol.schema.json: `.venv/bin/python docs/write_protocol.py`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from stoker_protocol.errors import CODES, KINDS
from stoker_protocol.events import EphemeralEvent
from stoker_protocol.requests import AnyRequest
from stoker_protocol.schema import describe

HERE = Path(__file__).parent
PAGE = HERE / "protocol.md"
SCHEMA = HERE / "protocol.schema.json"
GOLDEN = HERE.parent / "tests/golden"
MARK = "<!-- From here on all is made from the message types: docs/write_protocol.py -->\n"
HEX_LINE = 96

Schema = Mapping[str, Any]


def main() -> None:
    """Write both files anew; what people wrote above the mark stays."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema_file(), encoding="utf-8")


def page(before: str) -> str:
    """The page as it should be, by the text that people wrote in the one before."""
    written, _, _ = before.partition(MARK)
    return written + MARK + "\n" + "\n".join(_chapters()) + "\n"


def schema_file() -> str:
    """The JSON Schema of every message, as `describe` answers it."""
    return json.dumps(_description(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _chapters() -> Iterator[str]:
    described = _description()
    definitions = described["definitions"]
    answers = _answers(described)
    yield "## Requests\n\nEach also has `v` (1), `id` and `op`. Roles: any < view < submit < admin.\n"
    roles = {str(kind.__struct_config__.tag): kind.role.name.lower() for kind in get_args(AnyRequest)}
    for op, schema in described["requests"].items():
        facts = f"Role: {roles[op]}. Answer: [`{answers[op]}`](#reply-{answers[op]})."
        yield from _message("requests", op, _resolved(schema, definitions), f"request `{op}`", facts)
    yield "## Replies\n\nEach also has `v` (1), `re`, and the `id` of the request.\n"
    for tag, schema in described["replies"].items():
        yield from _message("replies", tag, _resolved(schema, definitions), f"reply `{tag}`", "")
    yield "## Event types\n\nEach also has `v` (1), `type`, `at_ms`, `seq` and `prev` (nil if ephemeral).\n"
    ephemeral = {str(kind.__struct_config__.tag) for kind in get_args(EphemeralEvent)}
    for tag, schema in described["events"].items():
        facts = "Ephemeral." if tag in ephemeral else "Lifecycle."
        yield from _message("events", tag, _resolved(schema, definitions), f"event `{tag}`", facts)
    yield "## Shared types\n"
    messages = {_name_of(schema) for kind in ("requests", "replies", "events") for schema in described[kind].values()}
    for name, schema in definitions.items():
        if name not in messages:
            yield from _shared(name, schema)
    yield from _errors()


def _message(folder: str, tag: str, schema: Schema, heading: str, facts: str) -> Iterator[str]:
    yield f"### {heading}\n\n{_prose(schema['description'])}\n"
    if facts:
        yield f"{facts}\n"
    envelope = {"v", "id", "op", "re", "type", "seq", "prev", "at_ms"}
    if folder != "events":
        envelope -= {"seq"}  # which is a field like others there
    if folder == "requests":
        envelope -= {"at"}
    yield from _table(schema, envelope)
    yield from _example(GOLDEN / folder / f"{tag}.json")


def _shared(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n\n{_prose(schema.get('description', ''))}\n"
    if "enum" in schema:
        yield f"{_words(schema['enum'])}\n"
    else:
        yield from _table(schema, set())


def _table(schema: Schema, left_out: Iterable[str]) -> Iterator[str]:
    """A row for each field, in the order of the type."""
    fields = {name: field for name, field in schema["properties"].items() if name not in left_out}
    if not fields:
        return
    rows = ["| field | type | if left out |", "| --- | --- | --- |"]
    for name, field in fields.items():
        usual = "must be there" if name in schema.get("required", ()) else _usual(field)
        rows.append(f"| `{name}` | {_type(field)} | {usual} |")
    yield "\n".join(rows) + "\n"


def _usual(field: Schema) -> str:
    if "default" not in field:
        return ""
    return "nil" if field["default"] is None else f"`{json.dumps(field['default'])}`"


def _type(field: Schema) -> str:
    """What a field holds, in words."""
    match field:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": list(kinds)}:
            return " or ".join(_type(kind) for kind in kinds)
        case {"enum": list(words)}:
            return _words(words)
        case {"type": "array"}:
            return f"list of {_type(field.get('items', {}))}{_bounds(field, 'minItems', 'maxItems')}"
        case {"type": "string", "pattern": _}:
            return "a job id: up to 64 of `A-Z a-z 0-9 _ . -`, the first a letter or digit"
        case {"type": "string", "contentEncoding": _}:
            return "bytes"
        case {"type": "string"}:
            return f"text{_bounds(field, 'minLength', 'maxLength')}"
        case {"type": "object", "additionalProperties": dict(inner)} if inner:
            return f"map of {_type(inner)}"
        case {"type": "object"}:
            return "map"
        case {"type": "null"}:
            return "nil"
        case {"type": str(kind)}:
            least = "exclusiveMinimum" if "exclusiveMinimum" in field else "minimum"
            return kind + _bounds(field, least, "maximum", above="above" if least != "minimum" else "from")
        case _:
            return "anything"


def _bounds(field: Schema, least: str, most: str, above: str = "from") -> str:
    parts = [f"{above} {field[least]}"] if least in field else []
    parts += [f"to {field[most]}"] if most in field else []
    return f", {' '.join(parts)}" if parts else ""


def _words(words: Iterable[object]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _example(path: Path) -> Iterator[str]:
    """The golden message: its JSON, and its bytes on the wire."""
    body = path.with_suffix(".msgpack").read_bytes().hex()
    lines = [body[start : start + HEX_LINE] for start in range(0, len(body), HEX_LINE)]
    example = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
    yield "```json\n" + example + "\n```\n\n```hex\n" + "\n".join(lines) + "\n```\n"


def _errors() -> Iterator[str]:
    rows = [
        "| code | the same may be accepted later | exit code of `stoker` | HTTP status |",
        "| --- | --- | --- | --- |",
    ]
    for code, facts in CODES.items():
        rows.append(f"| `{code}` | {'yes' if facts.retryable else ''} | {facts.exit_code} | {facts.http_status} |")
    yield "## Error codes\n\nWhy a request was refused; take a code that you don't know for `internal`.\n"
    yield "\n".join(rows) + "\n"
    yield "## Failure kinds\n\nWhy an item failed, and what the daemon does by itself.\n"
    kinds = [f"| `{kind}` | {retry.value} |" for kind, retry in KINDS.items()]
    yield "\n".join(["| kind | retry |", "| --- | --- |", *kinds]) + "\n"


def _answers(described: Mapping[str, Mapping[str, Schema]]) -> dict[str, str]:
    """Which reply answers which op, as the replies' own words say."""
    found: dict[str, str] = {}
    for tag, schema in described["replies"].items():
        text = _resolved(schema, described["definitions"])["description"]
        found.update(dict.fromkeys(re.findall(r"Answers `(\w+)`", text), tag))
    return found


def _prose(text: str) -> str:
    return " ".join(text.split()) if "\n\n" not in text else "\n\n".join(map(_prose, text.split("\n\n")))


def _name_of(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    return definitions[_name_of(schema)]


def _description() -> dict[str, Any]:
    whole = msgspec.to_builtins(describe())
    return {name: whole[name] for name in ("requests", "replies", "events", "definitions")}


if __name__ == "__main__":
    main()
