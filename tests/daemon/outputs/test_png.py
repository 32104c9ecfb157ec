"""Text chunks: right place, right checksum, right encoding, nothing else touched."""

import pytest
from tests.daemon.outputs.samples import a_png, chunk, parse_png, texts_of

from stoker_daemon.outputs import png


def test_texts_follow_the_header() -> None:
    """We expect that the texts come right after the header and that every other chunk stays byte for byte."""
    before = a_png(3)
    after = png.with_text(before, {"parameters": "a", "stoker": "b"})
    assert parse_png(after)[1:3] == [(b"tEXt", b"parameters\0a"), (b"tEXt", b"stoker\0b")]
    assert [parse_png(after)[0], *parse_png(after)[3:]] == parse_png(before)


def test_other_scripts_go_into_unicode_texts() -> None:
    """We expect that Latin-1 goes into tEXt and all else into iTXt, and that both read back the same."""
    texts = {"parameters": "ein Ritter, größer", "stoker": "騎士 🛡"}
    after = png.with_text(a_png(), texts)
    assert [kind for kind, _ in parse_png(after)[1:3]] == [b"tEXt", b"iTXt"]
    assert texts_of(after) == texts


def test_a_null_byte_in_a_prompt_does_not_end_the_text() -> None:
    """We expect that null bytes, which the format forbids, are left out of a text."""
    assert texts_of(png.with_text(a_png(), {"parameters": "a\0b"})) == {"parameters": "ab"}


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_text_of_the_whole_batch_gives_way(kind: bytes) -> None:
    """We expect that texts under our keywords are replaced and those under others kept."""
    before = a_png(texts=chunk(kind, b"parameters\0all prompts") + chunk(kind, b"workflow\0{}"))
    after = parse_png(png.with_text(before, {"parameters": "mine"}))
    assert after[1:3] == [(b"tEXt", b"parameters\0mine"), (kind, b"workflow\0{}")]
    assert len(after) == 5


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_only_texts_that_are_there_are_replaced(kind: bytes) -> None:
    """We expect the text of one item where that of the batch was, none where none was, and all else the same."""
    before = a_png(texts=chunk(kind, b"prompt\0all prompts") + chunk(kind, b"other\0{}")) + b"more"
    after = png.with_other_text(before, {"prompt": "mine", "stoker": "none was there"})
    expected = [
        (b"tEXt", b"prompt\0mine") if part == (kind, b"prompt\0all prompts") else part for part in parse_png(before)
    ]
    assert parse_png(after) == expected
    assert after.endswith(before[-16:])
    assert png.with_other_text(before, {"stoker": "x"}) == before


def test_what_follows_the_end_is_kept() -> None:
    """We expect that bytes after the last chunk stay where they are."""
    assert png.with_text(a_png() + b"more", {"stoker": "x"}).endswith(a_png()[-12:] + b"more")


def test_the_size_is_read_from_the_header() -> None:
    """We expect width and height as the header has them."""
    assert png.size_of(a_png(width=300, height=7)) == (300, 7)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no PNG signature"),
        (b"\xff\xd8\xff\xe0 a JPEG", "no PNG signature"),
        (a_png()[:8], "cut off within the chunk at byte 8"),
        (a_png()[:30], "cut off within the chunk at byte 8"),
        (a_png()[:-1], "cut off"),
        (a_png()[:-12], "cut off"),
        (a_png()[:20] + b"\xff" + a_png()[21:], "wrong checksum of the chunk at byte 8"),
        (a_png()[:41] + b"\xff" + a_png()[42:], "wrong checksum of the chunk at byte 33"),
        (a_png()[:8] + a_png()[33:], "a header is missing or misplaced at byte 8"),
        (a_png()[:33] + a_png()[8:], "a header is missing or misplaced at byte 33"),
        (a_png()[:8] + b"\xff\xff\xff\xffIHDR", "cut off within the chunk at byte 8"),
        (a_png()[:8] + chunk(b"IHDR", b"") + chunk(b"IEND", b""), "a header is missing or misplaced at byte 8"),
    ],
)
def test_a_damaged_file_is_refused(data: bytes, why: str) -> None:
    """We expect that a file with a missing, cut off or damaged chunk is refused with the place of the damage."""
    with pytest.raises(png.MalformedPng, match=why):
        png.with_text(data, {"stoker": "x"})
