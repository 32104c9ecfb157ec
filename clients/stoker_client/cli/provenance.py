"""What a PNG file says about how Stoker made it: the texts `stoker` and `prompt` in it, no byte of it trusted."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

KEYWORD = b"stoker"
GRAPH_KEYWORD = b"prompt"
"""Where ComfyUI writes the graph that it ran."""
OWN_WORKFLOW = "workflow"
"""What the recipe of a job is called that brought a workflow of its own."""
MAX_FILE = 256 << 20
MAX_TEXT = 4 << 20

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Provenance(Struct, frozen=True):
    """The item that made a picture: its job and place there, what the engine was asked for, and its own workflow."""

    job_id: str
    index: int
    engine: str
    model: str
    params: dict[str, Any]
    recipe: str = ""
    workflow: dict[str, Any] | None = None


def read_provenance(file: Path) -> Provenance:
    """How a picture was made.

    Source: PNG specification (third edition), 5.3 chunk layout and 11.3.3 textual information.

    Raises:
        click.UsageError: It is no PNG, or none that Stoker made, or the text in it is damaged.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE)
    except OSError as error:
        raise click.UsageError(f"Can't read {file}: {error.strerror}.") from None
    if not data.startswith(_SIGNATURE):
        raise click.UsageError(f"{file} is no PNG file.")
    try:
        texts = _texts(data)
        if KEYWORD in texts:
            return _read(texts)
    except (ValueError, zlib.error) as error:
        raise click.UsageError(f"What {file} says about itself is damaged: {error}.") from None
    if file.name.startswith("contact_sheet"):
        one = file.parent / "images" / "00000_0.png"
        raise click.UsageError(f"{file} shows all pictures of a job; take one of them, for example {one}.")
    raise click.UsageError(
        f"{file} does not say how it was made: Stoker did not make it, or a program that changed it left that out."
    )


def _read(texts: dict[bytes, str]) -> Provenance:
    """The workflow is that of the picture only where no recipe made it. Raises ValueError: no such thing."""
    found = msgspec.convert({**msgspec.json.decode(texts[KEYWORD], type=dict[str, Any]), "workflow": None}, Provenance)
    if found.recipe != OWN_WORKFLOW:
        return found
    if GRAPH_KEYWORD not in texts:
        raise ValueError("its workflow is missing")
    return msgspec.structs.replace(found, workflow=msgspec.json.decode(texts[GRAPH_KEYWORD], type=dict[str, Any]))


def _texts(data: bytes) -> dict[bytes, str]:
    """The texts under our keywords, the first of each. Raises ValueError, zlib.error."""
    found: dict[bytes, str] = {}
    for kind, content in _chunks(data):
        keyword = content[:80].partition(b"\0")[0]
        if keyword in (KEYWORD, GRAPH_KEYWORD) and keyword not in found:
            text = _text(kind, content)
            if text is not None:
                found[keyword] = text
    return found


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each whole chunk. Raises ValueError: a damaged one."""
    at = len(_SIGNATURE)
    while len(data) >= at + 12:
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ValueError(f"wrong checksum at byte {at}")
        yield data[at + 4 : at + 8], data[at + 8 : end - 4]
        at = end


def _text(kind: bytes, content: bytes) -> str | None:
    """The text of a textual chunk, however it is packed; other programs pack anew what they keep."""
    _, _, rest = content.partition(b"\0")
    match kind:
        case b"tEXt":
            return rest.decode("latin-1")
        case b"zTXt":
            return _inflated(rest[1:]).decode("latin-1")
        case b"iTXt":
            _, _, text = rest[2:].split(b"\0", 2)
            return (_inflated(text) if rest[:1] == b"\1" else text).decode()
        case _:
            return None


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, MAX_TEXT)
    if inflater.unconsumed_tail:
        raise ValueError(f"more than {MAX_TEXT} bytes of text")
    return text
