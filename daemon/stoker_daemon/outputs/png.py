"""Text chunks in PNG files, put in without touching a pixel."""

import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT_KINDS = frozenset({b"tEXt", b"zTXt", b"iTXt"})


class MalformedPng(ValueError):
    """The bytes are no whole PNG file; the message says at which byte."""


class Size(NamedTuple):
    """Width and height of an image in pixels."""

    width: int
    height: int


class _Chunk(NamedTuple):
    kind: bytes
    content: memoryview
    whole: memoryview


def size_of(data: bytes) -> Size:
    """The size that the header tells.

    Raises:
        MalformedPng: There is no header, or it is damaged.
    """
    header = next(_chunks(data))
    return Size(int.from_bytes(header.content[:4], "big"), int.from_bytes(header.content[4:8], "big"))


def with_text(data: bytes, texts: Mapping[str, str]) -> bytes:
    """The file with these texts right after its header, in place of any that it had under the same keywords.

    Source: PNG specification (third edition), 5.3 chunk layout and 11.3.3 textual information.

    Args:
        data: A whole PNG file; what follows its end is kept.
        texts: Contents by keyword; a keyword is up to 79 printable Latin-1 characters.

    Raises:
        MalformedPng: A damaged, cut off or missing chunk.
    """
    keywords = {keyword.encode("latin-1") for keyword in texts}
    header, *others = _chunks(data)
    kept = [chunk.whole for chunk in others if not _is_text_of(chunk, keywords)]
    end = len(SIGNATURE) + sum(len(chunk.whole) for chunk in (header, *others))
    added = [_text_chunk(keyword, text) for keyword, text in texts.items()]
    return b"".join([SIGNATURE, header.whole, *added, *kept, memoryview(data)[end:]])


def with_other_text(data: bytes, texts: Mapping[str, str]) -> bytes:
    """The file with these texts in place of those that it has under the same keywords; where it has none, it stays.

    Raises:
        MalformedPng: A damaged, cut off or missing chunk.
    """
    keywords = {keyword.encode("latin-1"): keyword for keyword in texts}
    parts: list[bytes | memoryview] = [SIGNATURE]
    end = len(SIGNATURE)
    for chunk in _chunks(data):
        keyword = keywords.get(_keyword(chunk)) if chunk.kind in _TEXT_KINDS else None
        parts.append(chunk.whole if keyword is None else _text_chunk(keyword, texts[keyword]))
        end += len(chunk.whole)
    return b"".join([*parts, memoryview(data)[end:]])


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """All chunks from IHDR to IEND. Raises MalformedPng."""
    if not data.startswith(SIGNATURE):
        raise MalformedPng("there is no PNG signature")
    view = memoryview(data)
    at, kind = 8, b""
    while kind != b"IEND":
        end = at + 12 + int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        if end > len(view):
            raise MalformedPng(f"cut off within the chunk at byte {at}")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise MalformedPng(f"wrong checksum of the chunk at byte {at}")
        if (at == 8) != (kind == b"IHDR" and end - at == 25):
            raise MalformedPng(f"a header is missing or misplaced at byte {at}")
        yield _Chunk(kind, view[at + 8 : end - 4], view[at:end])
        at = end


def _is_text_of(chunk: _Chunk, keywords: set[bytes]) -> bool:
    return chunk.kind in _TEXT_KINDS and _keyword(chunk) in keywords


def _keyword(chunk: _Chunk) -> bytes:
    return bytes(chunk.content[:80]).partition(b"\0")[0]


def _text_chunk(keyword: str, text: str) -> bytes:
    """A tEXt chunk, which all tools read, or iTXt where Latin-1 has not the letters."""
    text = text.replace("\0", "")
    name = keyword.encode("latin-1") + b"\0"
    try:
        return _chunk(b"tEXt", name + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", name + b"\0\0\0\0" + text.encode())


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return len(content).to_bytes(4, "big") + kind + content + crc.to_bytes(4, "big")
