"""Draws a contact sheet: a program of its own, so that no picture, however large or broken, can hurt the daemon."""

import io
import os
import resource
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from math import ceil, sqrt
from pathlib import Path, PurePosixPath
from unicodedata import combining, normalize

import msgspec
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from stoker_daemon.outputs.disk import Disk
from stoker_daemon.outputs.pictures import Sheet, Tile

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

MAX_FILE = 256 << 20
MAX_PIXELS = 64 << 20
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")

# What Pillow's decoders were seen to raise for broken files.
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
)

_CPU_S = 90
_MEMORY = 2 << 30
_FEW = 40
_LARGE, _SMALL = 192, 128
_GAP, _PAD, _MARGIN = 12, 8, 24
_HEAD, _LABEL, _LINE = 64, 42, 17
_CHEQUER = 8
_FAMILIES = ("NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "LiberationSans-Regular.ttf")
"""Fonts that a Linux host may have, for what the built-in one lacks: all beyond ASCII."""

_PAPER, _CARD, _GROUND = "#14161b", "#1e222a", ("#596071", "#505767")
_INK, _FAINT, _ACCENT, _GREY = "#e6e9ef", "#8b94a5", "#f2a65a", "#4a4f59"


def draw(disk: Disk, sheet: Sheet) -> bytes:
    """The sheet as a PNG file; the same pictures give the same bytes."""
    side = _LARGE if len(sheet.tiles) <= _FEW else _SMALL
    columns = _columns(len(sheet.tiles))
    rows = ceil(len(sheet.tiles) / columns)
    card = (side + 2 * _PAD, side + 2 * _PAD + _LABEL)
    width = 2 * _MARGIN + columns * (card[0] + _GAP) - _GAP
    height = 2 * _MARGIN + _HEAD + rows * (card[1] + _GAP) - _GAP
    image = Image.new("RGB", (width, height), _PAPER)
    _draw_head(ImageDraw.Draw(image), sheet, width - 2 * _MARGIN)
    for place, tile in enumerate(sheet.tiles):
        left = _MARGIN + place % columns * (card[0] + _GAP)
        top = _MARGIN + _HEAD + place // columns * (card[1] + _GAP)
        _draw_card(image, (left, top), card, side, disk, tile)
    return _png(image)


def thumbnail(disk: Disk, path: str, side: int) -> Image.Image | str:
    """A picture that fits into a square, small ones enlarged to sharp whole pixels; or why there is none."""
    try:
        data = disk.read(PurePosixPath(path), 0, MAX_FILE + 1)
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if len(data) > MAX_FILE or picture.width * picture.height > MAX_PIXELS:
                return "too large to show"
            picture.draft("RGB", (side * 2, side * 2))
            return _fitted(picture.convert("RGBA"), side)
    except FileNotFoundError:
        return "the file is gone"
    except UnidentifiedImageError:
        return "no picture to show"
    except Image.DecompressionBombError:
        return "too large to show"
    except _DECODER_ERRORS:
        return "broken picture"


def _columns(tiles: int) -> int:
    """Somewhat more columns than rows, and of such numbers the one that leaves the last row fullest."""
    about = ceil(sqrt(tiles * 1.3))
    return min(range(max(about - 1, 1), min(about + 2, tiles) + 1), key=lambda n: (-tiles % n, abs(n - about)))


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    longest = max(picture.size)
    if longest <= side:
        factor = side // longest
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _draw_head(pen: ImageDraw.ImageDraw, sheet: Sheet, width: int) -> None:
    title, large = _writing(sheet.title, 24)
    facts, small = _writing(sheet.facts, 14)
    pen.text((_MARGIN, _MARGIN - 4), _clipped(title, large, width), _INK, large)
    pen.text((_MARGIN, _MARGIN + 28), _clipped(facts, small, width), _FAINT, small)


def _draw_card(
    image: Image.Image, at: tuple[int, int], card: tuple[int, int], side: int, disk: Disk, tile: Tile
) -> None:
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((*at, at[0] + card[0] - 1, at[1] + card[1] - 1), 8, _CARD)
    left, top = at[0] + _PAD, at[1] + _PAD
    picture = thumbnail(disk, tile.path, side)
    if isinstance(picture, str):
        pen.rounded_rectangle((left, top, left + side - 1, top + side - 1), 4, _GREY)
        pen.text((left + side / 2, top + side / 2), picture, _INK, _font(None, 14), anchor="mm")
    else:
        place = (left + (side - picture.width) // 2, top + (side - picture.height) // 2)
        image.paste(_chequered(picture.size), place)
        image.paste(picture, place, picture)
    _draw_label(pen, (left, top + side + _PAD), side, tile)


def _draw_label(pen: ImageDraw.ImageDraw, at: tuple[int, int], width: int, tile: Tile) -> None:
    """The number, and beside and below it at most two lines of what it is called."""
    caption, font = _writing(tile.caption, 13)
    pen.text(at, tile.number, _ACCENT, font)
    indent = int(font.getlength(tile.number)) + 7
    first, rest = _broken(caption, font, width - indent)
    pen.text((at[0] + indent, at[1]), first, _INK, font)
    pen.text((at[0], at[1] + _LINE), _clipped(rest, font, width), _INK, font)


def _chequered(size: tuple[int, int]) -> Image.Image:
    ground = Image.new("RGB", size, _GROUND[0])
    pen = ImageDraw.Draw(ground)
    for top in range(0, size[1], _CHEQUER):
        for left in range(top // _CHEQUER % 2 * _CHEQUER, size[0], 2 * _CHEQUER):
            pen.rectangle((left, top, left + _CHEQUER - 1, top + _CHEQUER - 1), _GROUND[1])
    return ground


def _writing(text: str, size: int) -> tuple[str, Font]:
    """A text with a font that has its letters; where there is none, the text as ASCII has it."""
    if text.replace("·", "").isascii():
        return text, _font(None, size)
    for family in _FAMILIES:
        with suppress(OSError):
            return text, _font(family, size)
    letters = (char for char in normalize("NFKD", text) if not combining(char))
    return "".join(letters).encode("ascii", "replace").decode(), _font(None, size)


@cache
def _font(family: str | None, size: int) -> Font:
    """A font of the host, or the one that Pillow has built in. Raises OSError: there is no such font."""
    return ImageFont.truetype(family, size) if family else ImageFont.load_default(size)


def _broken(text: str, font: Font, width: int) -> tuple[str, str]:
    """As many whole words as fit into a width, and the rest; a single long word is cut."""
    words = text[:400].split(" ")
    fitting = 0
    while fitting < len(words) and font.getlength(" ".join(words[: fitting + 1])) <= width:
        fitting += 1
    if fitting == 0:
        return _clipped(text, font, width), ""
    return " ".join(words[:fitting]), " ".join(words[fitting:])


def _clipped(text: str, font: Font, width: int) -> str:
    return next(shorter for shorter in _ever_shorter(text[:400]) if font.getlength(shorter) <= width or shorter == "…")


def _ever_shorter(text: str) -> Iterator[str]:
    yield text
    for length in range(len(text) - 1, -1, -1):
        yield text[:length].rstrip() + "…"


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=6)
    return file.getvalue()


def main() -> None:
    """Draw the sheet that comes as JSON on the standard input, from the data folder that is the only argument."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    sheet = msgspec.json.decode(sys.stdin.buffer.read(), type=Sheet)
    sys.stdout.buffer.write(draw(Disk(Path(sys.argv[1])), sheet))


if __name__ == "__main__":
    main()
