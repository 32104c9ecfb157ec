"""What the codec takes and what it refuses: every limit at its border, and every refusal with its reasons."""

import math
from typing import Any

import msgpack
import pytest
from tests.golden.generate import packed

from stoker_protocol import codec
from stoker_protocol.codec import FORMS_A_STEP, MAX_BODY, MAX_CONTAINERS, MAX_DEPTH, MAX_METADATA, MAX_PARAMS
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import MAX_ITEMS, Priority
from stoker_protocol.requests import Cancel, EventsSince, Ping, ReadArtifact, Submit

SUBMIT: dict[str, Any] = {
    "v": 1,
    "id": "c1-7",
    "op": "submit",
    "job_id": "dragons",
    "items": [{"params": {"prompt": "a dragon"}}],
}
FREE_FORMS = ["metadata", "params", "items[1].params"]


def test_a_body_of_the_largest_size_passes() -> None:
    """A body of exactly 8 MiB is decoded."""
    assert isinstance(codec.decode_request(padded(MAX_BODY)), Submit)


def test_a_body_beyond_is_too_large() -> None:
    """One byte more is refused as too large, and the id for the reply can still be read."""
    body = padded(MAX_BODY + 1)
    refused = refusal(body, ErrorCode.TOO_LARGE)
    assert refused.message == f"the body has {MAX_BODY + 1} bytes"
    assert refused.hint == f"at most {MAX_BODY} bytes; split the request"
    assert codec.request_id_of(body) == "c1-7"


@pytest.mark.parametrize("field", FREE_FORMS)
@pytest.mark.parametrize("innermost", [None, 1, "text", [], {}])
@pytest.mark.parametrize("kind", [list, dict])
def test_free_form_depth(field: str, innermost: object, kind: type) -> None:
    """A free-form value may be 32 maps and lists deep, itself included, and not one more, whatever the last holds."""
    own = 1 if innermost in ([], {}) else 0
    assert isinstance(codec.decode_request(with_free_form(field, nested(MAX_DEPTH - own, kind, innermost))), Submit)
    refused = refusal(with_free_form(field, nested(MAX_DEPTH + 1 - own, kind, innermost)), ErrorCode.BAD_REQUEST)
    assert (refused.message, refused.field) == (f"{field} is nested too deeply", field)
    assert refused.hint == "at most 32 levels"


@pytest.mark.parametrize(
    ("field", "most"), [("metadata", MAX_METADATA), ("params", MAX_PARAMS), ("items[1].params", MAX_PARAMS)]
)
def test_free_form_size(field: str, most: int) -> None:
    """A free-form value may have so many bytes, and one more is too large."""
    text = "x" * (most - len(packed({"a": "x" * (most - 10)})) + most - 10)
    assert isinstance(codec.decode_request(with_free_form(field, {"a": text})), Submit)
    refused = refusal(with_free_form(field, {"a": text + "x"}), ErrorCode.TOO_LARGE)
    assert (refused.field, refused.hint) == (field, f"at most {most} bytes")


def test_containers_of_a_request() -> None:
    """All free-form values of a request together may hold so many maps and lists, and one more is too large."""
    lists: list[list[int]] = [[]] * 9
    items = [{"params": {"a": lists[1:]}} for _ in range(MAX_CONTAINERS // 10)]
    assert isinstance(codec.decode_request(packed({**SUBMIT, "items": items})), Submit)
    refused = refusal(packed({**SUBMIT, "items": [*items[1:], {"params": {"a": lists}}]}), ErrorCode.TOO_LARGE)
    assert refused.field == f"items[{len(items) - 1}].params"


def test_a_large_request_is_checked_in_steps() -> None:
    """A body beyond 64 KiB is read with pauses and checked with one per 256 free-form values, a small one with none."""
    items: list[Any] = [{"params": {"prompt": "x" * 20, "seed": 1, "nested": [1]}}] * 2_000
    body = packed({**SUBMIT, "items": items})
    pauses = 2 + 2_000 // FORMS_A_STEP
    assert len(list(codec.decode_in_steps(body))) == pauses
    assert len(list(codec.decode_in_steps(packed(SUBMIT)))) == 0
    steps = codec.decode_in_steps(packed({**SUBMIT, "items": [*items, {"params": {"a": math.inf}}]}))
    for _ in range(pauses):
        next(steps)
    with pytest.raises(Refused) as refused:
        next(steps)
    assert refused.value.field == "items[2000].params"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"a": math.inf}, ErrorCode.BAD_REQUEST),
        ({"a": b"bytes"}, ErrorCode.BAD_REQUEST),
        ([1], ErrorCode.BAD_REQUEST),
        ({"a": "x" * MAX_PARAMS}, ErrorCode.TOO_LARGE),
    ],
    ids=["infinity", "bytes", "a list", "too large"],
)
@pytest.mark.parametrize("index", [0, 299, 599])
def test_one_wrong_item_among_many(index: int, params: Any, code: ErrorCode) -> None:
    """Of items that are looked at together, one that is wrong is found, whichever it is, and named."""
    items: list[Any] = [{"params": {"prompt": "x" * 120, "seed": 1}}] * 600
    items[index] = {"params": params}
    refused = refusal(packed({**SUBMIT, "items": items}), code)
    assert refused.field == f"items[{index}].params"


def test_number_of_items() -> None:
    """A request takes 1 to 10 000 items."""
    assert len(submitted(items=[{}] * MAX_ITEMS).items) == 10_000
    assert "length <= 10000" in refusal(packed({**SUBMIT, "items": [{}] * (MAX_ITEMS + 1)})).message
    assert "length >= 1" in refusal(packed({**SUBMIT, "items": []})).message


@pytest.mark.parametrize("longest", ["x" * 64, "🐉" * 64, ""])
def test_length_of_an_id(longest: str) -> None:
    """An id has at most 64 characters, whatever their bytes; a longer one can't be quoted in the reply."""
    assert codec.decode_request(packed({"v": 1, "id": longest, "op": "ping"})) == Ping(id=longest)
    body = packed({"v": 1, "id": "x" * 65, "op": "ping"})
    assert refusal(body).field == "id"
    assert codec.request_id_of(body) == ""


@pytest.mark.parametrize("job_id", ["a", "7", "Dragons-01_b.2", "a..b", "x" * 64])
def test_job_ids_that_pass(job_id: str) -> None:
    """A job id of letters, digits, dots, hyphens and underscores passes."""
    assert submitted(job_id=job_id).job_id == job_id


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        "x" * 65,
        ".",
        "..",
        ".hidden",
        "-a",
        "_a",
        "a\n",
        "\na",
        "a/b",
        "a\\b",
        "../a",
        "a b",
        "ä",
        "\uff11",
        "a\0",
    ],
)
def test_job_ids_that_do_not(job_id: str) -> None:
    """A job id that could leave its folder or hide in it, or is not plain ASCII, is refused by name and value."""
    refused = refusal(packed({**SUBMIT, "job_id": job_id}))
    assert refused.field == "job_id"
    assert f"({job_id!r})"[:80] in refused.message
    assert "regex" not in refused.message
    assert len(job_id) > 64 or "letters, digits" in refused.hint


def test_a_wrong_value_is_named_and_quoted() -> None:
    """A refusal names the field by its path, quotes the value, and says what would be accepted."""
    refused = refusal(packed({**SUBMIT, "items": [{}, {"custom_id": 5}]}))
    assert refused.field == "items[1].custom_id"
    assert refused.message == "items[1].custom_id: expected `str | null`, got `int` (5)"


@pytest.mark.parametrize(
    ("request_", "field", "choices"),
    [
        ({**SUBMIT, "priority": "hgh"}, "priority", "urgent, high, normal, low"),
        ({**SUBMIT, "on_interrupt": 3}, "on_interrupt", "requeue, fail, ask"),
        ({"op": "cancel", "scope": "all\n"}, "scope", "queued, all"),
        (
            {"op": "items", "job_id": "a", "states": ["failed", "lost"]},
            "states[1]",
            "pending, running, succeeded, failed, rejected, cancelled, skipped",
        ),
    ],
)
def test_a_closed_list_is_shown(request_: dict[str, Any], field: str, choices: str) -> None:
    """A value that is not on a closed list is refused with the list."""
    refused = refusal(packed({"v": 1, "id": "c1-7", **request_}))
    assert (refused.field, refused.hint) == (field, f"one of: {choices}")


@pytest.mark.parametrize("field", ["job_id", "items", "id"])
def test_a_missing_field_is_named(field: str) -> None:
    """A request without a field that it must have is refused with that field."""
    refused = refusal(packed({key: value for key, value in SUBMIT.items() if key != field}))
    assert refused.field == field
    assert "missing" in refused.message


@pytest.mark.parametrize("value", ["x" * (MAX_BODY - 200), "\\" * 10_000, "a - at `$.name`" * 1_000])
def test_a_refusal_stays_short(value: str) -> None:
    """However long a wrong value is, the refusal quotes only its beginning, and names the right field."""
    refused = refusal(packed({**SUBMIT, "priority": value}))
    assert refused.field == "priority"
    assert len(refused.message) < 200


@pytest.mark.parametrize(("op", "hint"), [("submt", "submit"), ("PING", "ping, "), ("event_since", "events_since")])
def test_an_unknown_op_gets_suggestions(op: str, hint: str) -> None:
    """An op that is not known is refused with the nearest names, or with all when none is near."""
    refused = refusal(packed({"v": 1, "id": "c1-7", "op": op}), ErrorCode.UNKNOWN_OP)
    assert (refused.message, refused.field) == (f"there is no op {op!r}", "op")
    assert hint in refused.hint


@pytest.mark.parametrize("version", [0, 2, -1, 2**64 - 1])
def test_another_version_is_refused_before_all_else(version: int) -> None:
    """Another version is answered with what is supported, even when its op and its fields mean nothing here."""
    body = packed({"v": version, "id": "c1-7", "op": "teleport", "job_id": 5})
    refused = refusal(body, ErrorCode.UNSUPPORTED_VERSION)
    assert (refused.field, refused.hint) == ("v", "supported: 1")


@pytest.mark.parametrize(
    "fields",
    [
        {"v": "one"},
        {"v": 2},
        {"op": "teleport"},
        {"op": 5},
        {"op": "x" * 65},
        {"job_id": 5},
        {"items": "all"},
        {"metadata": []},
        {"metadata": {"a": b"bytes"}},
    ],
)
def test_errors_carry_the_id(fields: dict[str, Any]) -> None:
    """Whatever is wrong in a map, version and op included, its id can be read for the reply."""
    body = packed({**SUBMIT, **fields})
    with pytest.raises(Refused):
        codec.decode_request(body)
    assert codec.request_id_of(body) == "c1-7"


@pytest.mark.parametrize("body", [b"", b"\xc0", b"\x90", b"\xc1", b"\x81", b"junk", packed({"v": 1}) + b"\x00"])
def test_what_is_not_one_map_is_refused(body: bytes) -> None:
    """Anything but exactly one msgpack map is refused with what would do."""
    refused = refusal(body)
    assert refused.message.startswith("body: ")
    assert refused.hint == 'one msgpack map: {"v": 1, "id": ..., "op": ...}'
    assert codec.request_id_of(body) == ""


def test_unknown_fields_are_ignored() -> None:
    """Fields that a later version added, here and in an item, change nothing."""
    with_news = {**SUBMIT, "color": {"a": [b"b"]}, "items": [{"params": {"prompt": "a dragon"}, "weight": 3}]}
    assert codec.decode_request(packed(with_news)) == codec.decode_request(packed(SUBMIT))


def test_the_last_of_double_keys_wins() -> None:
    """When a map has a key twice, the last value counts, in the envelope and in the request alike."""
    body = packed_pairs([("priority", "urgent"), ("id", "old"), *SUBMIT.items(), ("priority", "low")])
    request = codec.decode_request(body)
    assert isinstance(request, Submit)
    assert (request.priority, request.id, codec.request_id_of(body)) == (Priority.LOW, "c1-7", "c1-7")


@pytest.mark.parametrize("wrong", [("v", 2), ("op", "ping"), ("priority", "hgh")])
def test_a_wrong_value_under_a_double_key_is_refused(wrong: tuple[str, Any]) -> None:
    """A value that would be refused alone is refused also where a good one for the same key follows it."""
    refused = refusal(packed_pairs([wrong, *SUBMIT.items(), ("priority", "low")]))
    assert refused.field == wrong[0]


@pytest.mark.parametrize("field", ["timeout_s", "no_progress_s"])
def test_durations(field: str) -> None:
    """A duration is a positive number of seconds of at most 30 days: neither infinite nor no number at all."""
    assert getattr(submitted(**{field: 5}), field) == 5.0
    assert getattr(submitted(**{field: 2_592_000.0}), field) == 2_592_000.0
    for wrong in (0, -1, 2_592_001, math.nan, math.inf, -math.inf, True, "5"):
        assert refusal(packed({**SUBMIT, field: wrong})).field == field


def test_huge_numbers() -> None:
    """A seq is at most what the database can hold, and the next number is refused."""
    request = codec.decode_request(packed({"v": 1, "id": "a", "op": "events_since", "seq": 2**63 - 1}))
    assert request == EventsSince(id="a", seq=2**63 - 1)
    for wrong in (2**63, 2**64 - 1, -1, 1.5, 1e300):
        assert refusal(packed({"v": 1, "id": "a", "op": "events_since", "seq": wrong})).field == "seq"
        read = {"v": 1, "id": "a", "op": "read_artifact", "artifact_id": 1, "offset": wrong}
        assert refusal(packed(read)).field == "offset"


def test_reads_are_bounded() -> None:
    """At most one MiB of an artifact is read at once, and at least a byte."""
    read = {"v": 1, "id": "a", "op": "read_artifact", "artifact_id": 1}
    assert codec.decode_request(packed({**read, "length": 1 << 20})) == ReadArtifact(id="a", artifact_id=1)
    for wrong in (0, (1 << 20) + 1):
        assert refusal(packed({**read, "length": wrong})).field == "length"


def test_a_cancel_names_jobs() -> None:
    """A cancel takes 1 to 1 000 job ids, each of them a good one."""
    cancel = {"v": 1, "id": "a", "op": "cancel"}
    assert codec.decode_request(packed({**cancel, "job_ids": ["a"] * 1000})) == Cancel(id="a", job_ids=["a"] * 1000)
    assert refusal(packed({**cancel, "job_ids": []})).field == "job_ids"
    assert refusal(packed({**cancel, "job_ids": ["a"] * 1001})).field == "job_ids"
    assert refusal(packed({**cancel, "job_ids": ["a", ".."]})).field == "job_ids[1]"


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc3"], ids=["no UTF-8", "lone surrogate", "cut"])
def test_text_that_is_not_utf8(text: bytes) -> None:
    """Text that is not UTF-8 is refused wherever it is decoded."""
    as_text = bytes([0xA0 + len(text)]) + text
    for field, body in {
        "": patched({**SUBMIT, "name": b"?"}, as_text),
        "metadata": patched({**SUBMIT, "metadata": {"a": b"?"}}, as_text),
        "items[0].params": patched({**SUBMIT, "items": [{"params": {"a": ["b", b"?"]}}]}, as_text),
    }.items():
        refused = refusal(body)
        assert refused.field == field
        assert "text that is not UTF-8" in refused.message
        assert codec.request_id_of(body) == "c1-7"


@pytest.mark.parametrize("field", FREE_FORMS)
@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"a": b"bytes"}, "bytes"),
        ({"a": [{"b": msgpack.ExtType(42, b"x")}]}, "Ext"),
        ({"a": msgpack.Timestamp(1, 2)}, "datetime"),
        ({"a": math.nan}, "a number that is not finite"),
        ({"a": [1.0, [-math.inf]]}, "a number that is not finite"),
        ({"a": {1: "one"}}, "int"),
        ({"a": [{None: 1}]}, "NoneType"),
        ({"a": {(1, 2): 1}}, "tuple"),
        ({1: "one"}, "what can't be read: Expected `str`, got `int`"),
        ({b"a": 1}, "what can't be read: Expected `str`, got `bytes`"),
        (["a"], "what can't be read: Expected `object`, got `array`"),
        (None, "what can't be read: Expected `object`, got `None`"),
        ("text", "what can't be read: Expected `object`, got `str`"),
    ],
)
def test_free_forms_hold_what_json_can_say(field: str, value: Any, what: str) -> None:
    """A free-form value is a map with text keys of what JSON can say too, so that every client can show it."""
    refused = refusal(with_free_form(field, value))
    assert refused.field == field
    assert refused.message.startswith(f"{field} holds {what}")
    assert refused.hint.startswith("a map with text keys")


def test_a_timestamp_out_of_range_is_refused() -> None:
    """A timestamp that no calendar knows is refused like any other that a free-form value can't hold."""
    body = patched({**SUBMIT, "metadata": {"a": b"?"}}, b"\xc7\x0c\xff" + b"\xff" * 12)
    assert refusal(body).field == "metadata"


def test_keys_that_are_maps_are_refused() -> None:
    """A map whose keys are maps, which Python can't even hold, is refused."""
    assert refusal(patched({**SUBMIT, "metadata": {"a": b"?"}}, b"\x81\x80\x01")).field == "metadata"
    assert refusal(b"\x81\x80\x01").field == ""


@pytest.mark.parametrize(
    "field", ["v", "id", "op", "job_id", "engine", "model", "name", "priority", "on_interrupt", "batch_size", "dry_run"]
)
@pytest.mark.parametrize("value", [b"bytes", msgpack.ExtType(42, b"x"), msgpack.Timestamp(1, 2), None, [], {}])
def test_fields_of_other_types_are_refused(field: str, value: object) -> None:
    """Bytes, extensions, nil, lists and maps are refused where a field is text, a number or a truth value."""
    refused = refusal(packed({**SUBMIT, field: value}))
    assert refused.field == field


def padded(size: int) -> bytes:
    """A good submit of exactly so many bytes, by an unknown field."""
    overhead = len(packed({**SUBMIT, "padding": b"x" * 70_000})) - 70_000
    return packed({**SUBMIT, "padding": b"x" * (size - overhead)})


def nested(depth: int, kind: type, innermost: object) -> Any:
    """A map with so many maps or lists inside each other around the innermost value, itself included."""
    value: Any = innermost
    for _ in range(depth - 1):
        value = [value] if kind is list else {"a": value}
    return {"a": value}


def with_free_form(field: str, value: Any) -> bytes:
    """A submit with such a free-form value."""
    if field == "items[1].params":
        return packed({**SUBMIT, "items": [{}, {"params": value}]})
    return packed({**SUBMIT, field: value})


def packed_pairs(pairs: list[tuple[str, Any]]) -> bytes:
    """A map of these keys and values, doubles too."""
    assert len(pairs) < 16
    return bytes([0x80 + len(pairs)]) + b"".join(packed(key) + packed(value) for key, value in pairs)


def patched(request: dict[str, Any], raw: bytes) -> bytes:
    """A request with raw bytes in place of its one `b"?"`."""
    head, _, tail = packed(request).partition(packed(b"?"))
    return head + raw + tail


def submitted(**fields: Any) -> Submit:
    """The decoded submit with these fields."""
    request = codec.decode_request(packed({**SUBMIT, **fields}))
    assert isinstance(request, Submit)
    return request


def refusal(body: bytes, code: ErrorCode = ErrorCode.BAD_REQUEST) -> Refused:
    """How this body is refused."""
    with pytest.raises(Refused) as caught:
        codec.decode_request(body)
    assert caught.value.code is code
    return caught.value
