"""The golden messages: written by the reference implementation, read by our codec, and the other way round."""

import json
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec import UNSET, Raw, Struct
from tests.golden.generate import HERE, as_sent, packed

from stoker_protocol import codec
from stoker_protocol.errors import Refused
from stoker_protocol.events import AnyEvent
from stoker_protocol.replies import AnyReply, Description
from stoker_protocol.requests import AnyRequest
from stoker_protocol.schema import describe
from stoker_protocol.worker import AnyCommand, AnySay

UNIONS = {
    "requests": get_args(AnyRequest),
    "replies": get_args(AnyReply),
    "events": get_args(AnyEvent),
    "worker": get_args(AnyCommand | AnySay),
}
FILES = sorted(HERE.glob("*/*.json"))
on_every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")


@pytest.mark.parametrize("folder", UNIONS)
def test_every_message_has_golden_files(folder: str) -> None:
    """Each message variant has a golden file, and no file is of a message that is no more."""
    assert {tag_of(path) for path in FILES if path.parent.name == folder} == set(structs(folder))


@pytest.mark.parametrize("folder", UNIONS)
def test_golden_files_show_every_field(folder: str) -> None:
    """The golden files of a message show all of its fields between them, so that none is untried."""
    for tag, struct in structs(folder).items():
        shown = {
            field for path in FILES if path.parent.name == folder and tag_of(path) == tag for field in as_sent(path)
        }
        assert set(struct.__struct_fields__) <= shown, tag


@on_every_file
def test_msgpack_and_json_say_the_same(path: Path) -> None:
    """The committed bytes are what the reference implementation makes of the JSON beside them."""
    assert path.with_suffix(".msgpack").read_bytes() == packed(as_sent(path))


@on_every_file
def test_our_codec_reads_the_reference(path: Path) -> None:
    """Our codec reads each file as the struct of its tag, with every field and no other as the file has it."""
    message = decoded(path)
    assert type(message) is structs(path.parent.name)[tag_of(path)]
    assert list(differences(message, as_sent(path))) == []


@on_every_file
def test_the_reference_reads_our_codec(path: Path) -> None:
    """To the reference implementation our codec writes all that the file has; fields of later versions stand beside."""
    assert has_all(msgpack.unpackb(codec.encode(decoded(path))), as_sent(path))


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name != "worker"], ids=lambda path: path.stem)
def test_golden_messages_fit_the_schema(path: Path) -> None:
    """Each message of the sockets is valid by the JSON Schema that `describe` answers."""
    validator(path.parent.name, tag_of(path)).validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name == "requests"], ids=lambda path: path.stem)
def test_schema_and_codec_refuse_alike(path: Path) -> None:
    """A request with any one field of a wrong type is as wrong to the schema as to the codec."""
    request = as_sent(path)
    for field in request:
        wrong = {**request, field: [[0]]}
        assert not validator("requests", tag_of(path)).is_valid(wrong), field
        with pytest.raises(Refused):
            codec.decode_request(packed(wrong))


def test_the_description_itself_crosses_the_wire() -> None:
    """The schemas survive encoding, and each `$ref` in them points to a definition that is there."""
    description = codec.decode_reply(codec.encode(describe()))
    assert isinstance(description, Description)
    assert set(description.requests) == set(codec.REQUEST_TYPES)
    text = json.dumps(msgspec.to_builtins(description))
    refs = {part.split('"')[0] for part in text.split('"#/definitions/')[1:]}
    assert refs == set(description.definitions)


def structs(folder: str) -> dict[str, type[Struct]]:
    """The message structs of a folder by their tags."""
    return {str(struct.__struct_config__.tag): struct for struct in UNIONS[folder]}


def tag_of(path: Path) -> str:
    """The tag of a golden file: its name up to the first dot."""
    return path.name.split(".")[0]


def decoded(path: Path) -> Struct:
    """A golden file as our codec reads it."""
    body = path.with_suffix(".msgpack").read_bytes()
    decoders: dict[str, Callable[[bytes], Struct]] = {
        "requests": codec.decode_request,
        "replies": codec.decode_reply,
        "events": codec.decode_event,
        "worker": codec.decode_command if "do" in as_sent(path) else codec.decode_say,
    }
    return decoders[path.parent.name](body)


def differences(ours: Any, theirs: Any, place: str = "") -> Iterator[str]:
    """Where a decoded message is not what the reference says."""
    if isinstance(ours, Struct):
        fields = {f.encode_name: getattr(ours, f.name) for f in msgspec.structs.fields(ours)}
        tag = {ours.__struct_config__.tag_field: ours.__struct_config__.tag}
        yield from (f"{place}.{name} is unknown" for name in theirs.keys() - fields.keys() - tag.keys())
        for name, value in fields.items():
            if value is not UNSET and name in theirs:
                yield from differences(value, theirs[name], f"{place}.{name}")
    elif type(ours) in (list, tuple):
        for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(our, their, f"{place}[{index}]")
    else:
        plain = codec.unpack(ours) if isinstance(ours, Raw) else ours.value if isinstance(ours, Enum) else ours
        if plain != theirs or type(plain) is not type(theirs):
            yield f"{place}: {plain!r} is not {theirs!r}"


def has_all(ours: Any, theirs: Any) -> bool:
    """Whether a value has all that another one has, in maps perhaps with further keys."""
    if type(ours) is not type(theirs):
        return False
    if type(theirs) in (dict,):
        return all(key in ours and has_all(ours[key], theirs[key]) for key in theirs)
    if type(theirs) in (list,):
        return len(ours) == len(theirs) and all(map(has_all, ours, theirs))
    return ours == theirs


@cache
def validator(folder: str, tag: str) -> Draft202012Validator:
    """What checks a message of this kind against the schema that clients get."""
    description = describe()
    schema = getattr(description, folder)[tag]
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator({**schema, "definitions": description.definitions})
