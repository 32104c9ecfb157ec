"""JSON lines to items, a chunk at a time: a file of any length is never held, and a bad line is named by its number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from stoker_client.errors import BadRequest
from stoker_protocol import codec
from stoker_protocol.jobs import MAX_ITEMS

MAX_LINE = 1 << 20
"""Bytes of a line: four times what the parameters of an item may have."""
MAX_CHUNK = 4 << 20
"""Bytes of the items in one request."""
_OVERHEAD = 32
"""Bytes that an item takes beside its parameters and its id, at most."""
_BOM = b"\xef\xbb\xbf"
_FORMS = 'a prompt as "text", a map of parameters, or {"params": {...}, "custom_id": "..."}'


class Chunk(NamedTuple):
    """Items that go in one request, and the number of the line that each came from."""

    items: list[dict[str, Any]]
    numbers: list[int]
    is_last: bool

    def halves(self) -> tuple[Chunk, Chunk]:
        """The same in two requests."""
        middle = len(self.items) // 2
        first = Chunk(self.items[:middle], self.numbers[:middle], is_last=False)
        return first, Chunk(self.items[middle:], self.numbers[middle:], self.is_last)


class Lines:
    """The items of a file, each read once; blank lines don't count."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = _numbered(file)
        self._ahead: tuple[int, bytes] | None = next(self._lines, None)

    @property
    def is_at_end(self) -> bool:
        """Whether there is no further item."""
        return self._ahead is None

    def skip(self, count: int) -> Chunk:
        """Pass over items unread; the last of them.

        Raises:
            BadRequest: There are not so many.
        """
        last = (0, b"")
        for passed in range(count):
            if self._ahead is None:
                raise BadRequest(
                    "bad_request",
                    f"the file has {passed} items, the job {count} already",
                    field="file",
                    hint="give the file that the job was begun with",
                )
            last = next(self)
        return Chunk([item_of(*last)], [last[0]], is_last=self.is_at_end)

    def chunks(self, limit: int | None) -> Iterator[Chunk]:
        """The next `limit` items, or all; `is_last` is true of the chunk after which the file ends.

        Raises:
            BadRequest: A line is no item.
        """
        left = limit
        while not self.is_at_end and left != 0:
            chunk = self._chunk(min(MAX_ITEMS, MAX_ITEMS if left is None else left))
            left = None if left is None else left - len(chunk.items)
            yield chunk

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return self

    def __next__(self) -> tuple[int, bytes]:
        if self._ahead is None:
            raise StopIteration
        line, self._ahead = self._ahead, next(self._lines, None)
        return line

    def _chunk(self, most: int) -> Chunk:
        items: list[dict[str, Any]] = []
        numbers: list[int] = []
        size = 0
        for number, text in islice(self, most):
            item = item_of(number, text)
            items.append(item)
            numbers.append(number)
            size += memoryview(item["params"]).nbytes + 4 * len(item.get("custom_id", "")) + _OVERHEAD
            if size >= MAX_CHUNK:
                break
        return Chunk(items, numbers, is_last=self.is_at_end)


def item_of(number: int, text: bytes) -> dict[str, Any]:
    """The item that a line says, its parameters packed.

    Raises:
        BadRequest: It says none; line, field and value are named.
    """
    said = _parsed(number, text)
    if isinstance(said, str):
        return {"params": _packed(number, {"prompt": said})}
    if not isinstance(said, dict):
        raise bad_line(number, "", f"{said!r:.80} is no item", _FORMS)
    fields = cast("dict[str, Any]", said)
    item: dict[str, Any] = {}
    if (custom_id := fields.pop("custom_id", None)) is not None:
        if not isinstance(custom_id, str) or len(custom_id) > 200:
            raise bad_line(number, "custom_id", f"{custom_id!r:.80} is no id", "text of at most 200 characters")
        item["custom_id"] = custom_id
    item["params"] = _packed(number, _params_in(number, fields))
    return item


def bad_line(number: int, field: str, what: str, hint: str) -> BadRequest:
    """The refusal of a line."""
    place = f"line {number}" + (f", {field:.80}" if field else "")
    return BadRequest("bad_request", f"{place}: {what}", field=place, hint=hint)


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that say something, with their numbers."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise bad_line(number, "", f"has more than {MAX_LINE} bytes", "one item a line")
        text = (line.removeprefix(_BOM) if number == 1 else line).strip()
        if text:
            yield number, text


def _parsed(number: int, text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error).removeprefix("JSON is malformed: ")
        shown = text.decode(errors="replace")
        raise bad_line(number, "", f"{shown[:60]!r} is no JSON: {why}", _FORMS) from None


def _params_in(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The parameters: what is under `params`, or all fields."""
    if "params" not in fields:
        return fields
    params = fields["params"]
    if not isinstance(params, dict):
        raise bad_line(number, "params", f"{params!r:.80} is no map", '{"params": {"prompt": "a fox"}}')
    if strange := fields.keys() - {"params"}:
        raise bad_line(number, min(strange), "is not known beside params", "put parameters into params")
    return cast("dict[str, Any]", params)


def _packed(number: int, params: dict[str, Any]) -> msgspec.Raw:
    try:
        return codec.pack(params)
    except (ValueError, OverflowError, RecursionError) as error:
        culprit = next((name for name, value in params.items() if not _can_be_sent(value)), "params")
        value = params.get(culprit, params)
        raise bad_line(number, culprit, f"{value!r:.80} can't be sent: {error}", "numbers of at most 64 bits") from None


def _can_be_sent(value: Any) -> bool:
    try:
        codec.pack(value)
    except (ValueError, OverflowError, RecursionError):
        return False
    return True
