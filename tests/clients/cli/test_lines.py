"""A line is an item or is refused by its number, and a file of any length is cut into requests that fit."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_client.cli.lines import MAX_CHUNK, MAX_LINE, Lines, item_of
from stoker_client.errors import BadRequest
from stoker_protocol import codec
from stoker_protocol.codec import MAX_BODY
from stoker_protocol.jobs import MAX_ITEMS
from stoker_protocol.requests import Append, ItemSpec

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PARAMS = st.dictionaries(st.text().filter(lambda name: name not in ("params", "custom_id")), VALUES, max_size=4)
IDS = st.none() | st.text(max_size=200)


@given(params=PARAMS, custom_id=IDS, is_flat=st.booleans(), is_ascii=st.booleans())
def test_a_map_is_an_item(params: dict[str, Any], custom_id: str | None, is_flat: bool, is_ascii: bool) -> None:
    """We expect parameters and id of an item as they were written, in either form."""
    said: dict[str, Any] = {**params} if is_flat else {"params": params}
    if custom_id is not None:
        said["custom_id"] = custom_id
    item = item_of(1, json.dumps(said, ensure_ascii=is_ascii).encode(errors="surrogatepass"))
    assert codec.unpack(item["params"]) == params
    assert item.get("custom_id") == custom_id


@given(prompt=st.text())
def test_a_text_is_a_prompt(prompt: str) -> None:
    """We expect a plain JSON string to be the prompt."""
    assert codec.unpack(item_of(1, json.dumps(prompt).encode())["params"]) == {"prompt": prompt}


@given(text=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_line_is_an_item_or_refused(text: bytes) -> None:
    """We expect whatever bytes a line has to be an item that can be sent, or refused by the line's number."""
    try:
        item = item_of(17, text)
    except BadRequest as refused:
        named = refused
    else:
        codec.encode(Append(id="1", job_id="j", at=0, items=[ItemSpec(**item)]))
        return
    assert named.field.startswith("line 17")
    assert named.hint


@pytest.mark.parametrize(
    ("line", "field", "part"),
    [
        ("{", "line 1", "is no JSON"),
        ("[1, 2]", "line 1", "[1, 2] is no item"),
        ("7", "line 1", "7 is no item"),
        ('{"custom_id": 7}', "line 1, custom_id", "7 is no id"),
        (json.dumps({"custom_id": "x" * 201}), "line 1, custom_id", "is no id"),
        ('{"params": "fox"}', "line 1, params", "'fox' is no map"),
        ('{"params": {}, "prompt": "fox"}', "line 1, prompt", "is not known beside params"),
        ('{"a": 1, "seed": 99999999999999999999}', "line 1, seed", "99999999999999999999 can't be sent"),
        ('{"a": 1e999}', "line 1", "out of range"),
        ('{"a": NaN}', "line 1", "is no JSON"),
        ("[" * 5000, "line 1", "is no JSON"),
    ],
)
def test_a_bad_line_is_named(line: str, field: str, part: str) -> None:
    """We expect the refusal of a line to name the line, the field, and the value."""
    with pytest.raises(BadRequest) as refused:
        item_of(1, line.encode())
    assert refused.value.field == field
    assert part in refused.value.message


@given(
    texts=st.lists(st.sampled_from(['"a"', "", "  ", '{"x": 1}', "\t"]), max_size=30),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_lines_keep_their_numbers(texts: list[str], end: str) -> None:
    """We expect blank lines not to be items and yet to count where a line is named, whatever ends a line."""
    lines = Lines(io.BytesIO(b"\xef\xbb\xbf" + end.join(texts).encode()))
    chunks = list(lines.chunks(None))
    expected = [number for number, text in enumerate(texts, start=1) if text.strip()]
    assert [number for chunk in chunks for number in chunk.numbers] == expected
    assert lines.is_at_end


@given(total=st.integers(0, 40), skipped=st.integers(0, 40), limit=st.none() | st.integers(1, 50))
def test_what_was_sent_is_passed_over(total: int, skipped: int, limit: int | None) -> None:
    """We expect the next items after those that are there, as many as asked for, and to know whether more follow."""
    lines = Lines(io.BytesIO(b"".join(b'"%d"\n' % number for number in range(total))))
    if skipped > total:
        with pytest.raises(BadRequest, match=f"the file has {total} items"):
            lines.skip(skipped)
        return
    if skipped:
        assert lines.skip(skipped).numbers == [skipped]
    sent = [number for chunk in lines.chunks(limit) for number in chunk.numbers]
    left = total - skipped if limit is None else min(limit, total - skipped)
    assert sent == list(range(skipped + 1, skipped + left + 1))
    assert lines.is_at_end == (skipped + left == total)


def test_chunks_fit_into_requests() -> None:
    """We expect at most 10 000 items and about 4 MiB in a request, however long lines are, and all items once."""
    sizes = [10] * 25_000 + [200_000] * 100
    lines = Lines(io.BytesIO(b"".join(b'{"p": "%s"}\n' % (b"x" * size) for size in sizes)))
    chunks = list(lines.chunks(None))
    assert [len(chunk.items) for chunk in chunks[:2]] == [MAX_ITEMS] * 2
    assert sum(len(chunk.items) for chunk in chunks) == len(sizes)
    assert [chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    for chunk in chunks:
        size = len(codec.encode(Append(id="1", job_id="j", at=0, items=[ItemSpec(**item) for item in chunk.items])))
        assert size < MAX_CHUNK + 300_000 < MAX_BODY


def test_a_file_without_line_ends_is_refused() -> None:
    """We expect a line that never ends to be refused after a bounded part of it."""
    with pytest.raises(BadRequest, match="line 2: has more than"):
        list(Lines(io.BytesIO(b'"a"\n' + b"x" * (MAX_LINE + 2))))
