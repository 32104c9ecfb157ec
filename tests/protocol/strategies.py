"""Hypothesis strategies for messages, made from the types of their fields."""

from functools import cache
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET, Struct, inspect

from stoker_protocol import codec

MAX_INT = 2**64 - 1
MIN_INT = -(2**63)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INT, MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=8
)
free_forms = st.dictionaries(st.text(max_size=8), json_values, max_size=4)


@cache
def messages(kind: type[Struct]) -> st.SearchStrategy[Struct]:
    """Any message of this kind."""
    return values(inspect.type_info(kind))


def values(info: inspect.Type) -> st.SearchStrategy[Any]:
    """Any value of a field of this type, within its bounds."""
    match info:
        case inspect.StructType(cls=kind, fields=fields):
            return st.builds(kind, **{field.name: values(field.type) for field in fields})
        case inspect.UnionType(types=types):
            return st.one_of([values(t) for t in types])
        case inspect.Metadata(type=inner):
            return values(inner)
        case inspect.ListType(item_type=item, min_length=least, max_length=most):
            return st.lists(values(item), min_size=least or 0, max_size=min(most or 3, 3))
        case inspect.VarTupleType(item_type=item, min_length=least, max_length=most):
            return st.lists(values(item), min_size=least or 0, max_size=min(most or 3, 3)).map(tuple)
        case inspect.DictType(value_type=value):
            return st.dictionaries(st.text(max_size=8), values(value), max_size=3)
        case inspect.EnumType(cls=enum):
            return st.sampled_from(enum)
        case inspect.LiteralType(values=choices):
            return st.sampled_from(choices)
        case inspect.RawType():
            return free_forms.map(codec.pack)
        case _:
            return plain_values(info)


def plain_values(info: inspect.Type) -> st.SearchStrategy[Any]:
    """Any value of a type that holds no others."""
    match info:
        case inspect.StrType(pattern=str()):
            return st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
        case inspect.StrType(min_length=least, max_length=most):
            return st.text(min_size=least or 0, max_size=max(least or 0, min(most or 8, 8)))
        case inspect.IntType(ge=least, le=most):
            return st.integers(MIN_INT if least is None else least, MAX_INT if most is None else most)
        case inspect.FloatType(gt=least, le=most):
            return st.floats(least, most, exclude_min=least is not None, allow_nan=False)
        case inspect.BytesType():
            return st.binary(max_size=16)
        case inspect.BoolType():
            return st.booleans()
        case inspect.AnyType():
            return json_values
        case _:
            return st.just(None if isinstance(info, inspect.NoneType) else UNSET)
