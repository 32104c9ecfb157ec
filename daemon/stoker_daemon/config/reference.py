"""Writes down what the configuration may say, from the types that it is checked against: as a page and as a file."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect as types

from stoker_daemon.config.sections import Config

MADE_BY = "stokerd config --reference"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what values it takes, in words, its default as TOML (empty: there is none), and what it is for."""

    name: str
    takes: str
    default: str
    says: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file: its heading without brackets, empty for the top, the kind that it is of, and its keys."""

    heading: str
    kind: str
    summary: str
    keys: tuple[Key, ...]


def tables() -> list[Table]:
    """All tables that there may be, outer ones first, each once, whatever it is for."""
    return list(dict.fromkeys(_tables("", types.type_info(Config))))


def markdown() -> str:
    """The page `docs/configuration.md`."""
    lines = [
        "# Configuration",
        "",
        f"*Made by `{MADE_BY}` from the types that a file is checked against.*",
        "",
        "`stokerd --config FILE` reads one TOML file; without it, everything is as the defaults say. A key that does",
        "not exist, or a value that makes no sense, is refused at the start with what would do.",
        "`stokerd config --template` prints a file to begin with; `stokerd --config FILE config` checks one and shows",
        "what it comes to.",
    ]
    for table in tables():
        lines += ["", f"## {_title(table)}", "", table.summary]
        if table.keys:
            lines += ["", "| key | takes | default | |", "| --- | --- | --- | --- |"]
        for key in table.keys:
            default = f"`{key.default}`" if key.default else "*required*" if key.is_required else ""
            lines.append(f"| `{key.name}` | {key.takes} | {default} | {key.says} |".replace("  ", " "))
    return "\n".join(lines) + "\n"


def template() -> str:
    """A file that says nothing yet: each table with its keys, commented out, as their defaults are."""
    lines = ["# The configuration of stokerd. All of it is commented out: each key is shown as its default is."]
    lines += ["# Made by `stokerd config --template`; docs/configuration.md is the same as a page."]
    for table in tables():
        lines += ["", *(f"# {line}" for line in textwrap.wrap(table.summary, 116))]
        if table.heading:
            lines.append(f"#[{table.heading.replace('NAME', table.kind or 'NAME')}]")
        if table.kind:
            lines.append(f'#kind = "{table.kind}"')
        for key in table.keys:
            lines += [f"# {line}" for line in textwrap.wrap(f"{key.says} Takes: {key.takes}.", 116)]
            lines.append(f"#{key.name} = {key.default or '...'}")
    return "\n".join(lines) + "\n"


def _title(table: Table) -> str:
    kind = f', `kind = "{table.kind}"`' if table.kind else ""
    return f"`[{table.heading}]`{kind}" if table.heading else "At the top"


def _tables(heading: str, info: Any) -> Iterator[Table]:
    """The table of a struct, then those within it."""
    own: list[Key] = []
    inner: list[Table] = []
    says = _attribute_docstrings(info.cls)
    for field in info.fields:
        place = f"{heading}.{field.encode_name}".removeprefix(".")
        structs = list(_structs_in(field.type))
        for struct in structs:
            is_named = not isinstance(field.type, types.StructType)
            inner += _tables(f"{place}.NAME" if is_named else place, struct)
        if not structs:
            own.append(_key(field, says[field.name]))
    tag = info.cls.__struct_config__.tag
    kind = str(tag) if info.cls.__struct_config__.tag_field == "kind" else ""
    yield Table(heading, kind, _summary(info.cls), tuple(own))
    yield from inner


def _summary(cls: type[Any]) -> str:
    """What a struct says of itself, without the heading that it begins with."""
    text = " ".join((inspect.getdoc(cls) or "").split())
    if text.startswith("`["):
        _, _, text = text.partition(": ")
    return text[:1].upper() + text[1:]


def _structs_in(info: Any) -> Iterator[Any]:
    """The structs that a field holds, itself or by name."""
    match info:
        case types.StructType():
            yield info
        case types.DictType():
            yield from _structs_in(info.value_type)
        case types.UnionType():
            for each in info.types:
                yield from _structs_in(each)
        case _:
            return


def _key(field: types.Field, says: str) -> Key:
    default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    return Key(field.encode_name, _takes(field.type), _as_toml(default), says, field.required)


def _as_toml(value: Any) -> str:
    """A default as the file would say it; nothing where there is none that a file could say."""
    match value:
        case None | msgspec.NODEFAULT | "" | () | {}:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:g}" if value < 1e6 else str(int(value))
        case str():
            return "" if value == sys.executable else f'"{value}"'
        case _:
            return "[" + ", ".join(_as_toml(each) for each in value) + "]"


def _takes(info: Any) -> str:
    """What values are taken, in words."""
    match info:
        case types.BoolType():
            return "`true` or `false`"
        case types.IntType():
            return "a whole number" + _bounds(info)
        case types.FloatType():
            return "a number" + _bounds(info)
        case types.StrType():
            return "a text"
        case types.LiteralType():
            return " or ".join(f"`{value}`" for value in info.values)
        case types.VarTupleType() | types.ListType():
            return f"a list, each {_takes(info.item_type)}"
        case types.TupleType():
            return f"a list of {len(info.item_types)}, each {_takes(info.item_types[0])}"
        case types.DictType():
            return "a table"
        case types.UnionType():
            return " or ".join(_takes(each) for each in info.types if not isinstance(each, types.NoneType))
        case _:
            return "anything"


def _bounds(info: types.IntType | types.FloatType) -> str:
    low = f" above {info.gt:g}" if info.gt is not None else f" from {info.ge:,g}" if info.ge is not None else ""
    high = f" up to {info.le:,.12g}" if info.le is not None else ""
    return low + high


@cache
def _attribute_docstrings(cls: type[Any]) -> dict[str, str]:
    """What stands below each field in the source; a field that says nothing is an error of ours.

    Python keeps no docstrings of attributes, so they are read from the source, which every installation has.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    said: dict[str, str] = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    said[field.target.id] = " ".join(text.split())
                case _:
                    said[field.target.id] = ""
    return said
