"""Input files are kept once, whole, and under the name of what is in them."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from stoker_daemon.outputs.blobs import BlobStore
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.requests import PutBlob

DATA = bytes(range(256)) * 40
SHA256 = hashlib.sha256(DATA).hexdigest()


def put(offset: int, data: bytes, *, sha256: str = SHA256, total: int = len(DATA)) -> PutBlob:
    """A request with some of the bytes."""
    return PutBlob(id="1", sha256=sha256, total=total, offset=offset, data=data)


def tried(folder: Path, scenario: Callable[[BlobStore], Coroutine[Any, Any, None]]) -> None:
    """Play a scenario with a store of its own."""

    async def play() -> None:
        blobs = BlobStore(folder)
        try:
            await scenario(blobs)
        finally:
            await blobs.close()

    asyncio.run(play())


def test_pieces_make_a_whole(tmp_path: Path) -> None:
    """A file in pieces is there once the last one came, and not before."""

    async def scenario(blobs: BlobStore) -> None:
        first = await blobs.put(put(0, DATA[:4000]))
        assert (first.received, first.complete, await blobs.has(SHA256)) == (4000, False, False)
        last = await blobs.put(put(4000, DATA[4000:]))
        assert (last.received, last.complete, await blobs.has(SHA256)) == (len(DATA), True, True)
        assert await blobs.read(SHA256) == DATA

    tried(tmp_path, scenario)


def test_pieces_again_and_over_a_hole(tmp_path: Path) -> None:
    """A piece that comes twice counts once, and one after a hole is asked for again."""

    async def scenario(blobs: BlobStore) -> None:
        assert (await blobs.put(put(0, DATA[:4000]))).received == 4000
        assert (await blobs.put(put(0, DATA[:4000]))).received == 4000
        assert (await blobs.put(put(5000, DATA[5000:]))).received == 4000
        assert (await blobs.put(put(3000, DATA[3000:]))).complete
        assert await blobs.read(SHA256) == DATA

    tried(tmp_path, scenario)


def test_a_file_that_is_there_needs_no_bytes(tmp_path: Path) -> None:
    """Who asks first learns that a file is there already, and a question alone begins nothing."""

    async def scenario(blobs: BlobStore) -> None:
        asked = await blobs.put(put(0, b""))
        assert (asked.received, asked.complete) == (0, False)
        await blobs.put(put(0, DATA))
        assert (await blobs.put(put(0, b""))).complete

    tried(tmp_path, scenario)


def test_a_store_goes_on_after_an_end(tmp_path: Path) -> None:
    """What came before an end of the daemon is still there, and is gone on with."""

    async def before(blobs: BlobStore) -> None:
        await blobs.put(put(0, DATA[:4000]))

    async def after(blobs: BlobStore) -> None:
        assert (await blobs.put(put(0, b""))).received == 4000
        assert (await blobs.put(put(4000, DATA[4000:]))).complete

    tried(tmp_path, before)
    tried(tmp_path, after)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (put(0, DATA, sha256="0" * 64), "sha256"),
        (put(0, DATA, sha256="../" * 21 + "x"), "sha256"),
        (put(0, DATA, sha256=SHA256.upper()), "sha256"),
        (put(0, DATA + b"more"), "data"),
        (put(10, DATA), "data"),
    ],
    ids=["other bytes", "a path", "capitals", "too long", "beyond the end"],
)
def test_what_is_not_as_it_says(tmp_path: Path, request_: PutBlob, field: str) -> None:
    """Bytes that are not what they should be are refused by field, and nothing of them is left."""

    async def scenario(blobs: BlobStore) -> None:
        with pytest.raises(Refused) as refused:
            await blobs.put(request_)
        assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, field)

    tried(tmp_path, scenario)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that nobody sent is refused by its name, with what to do."""

    async def scenario(blobs: BlobStore) -> None:
        assert await blobs.has(SHA256) is False
        with pytest.raises(Refused, match=SHA256) as refused:
            await blobs.read(SHA256)
        assert (refused.value.code, "put_blob" in refused.value.hint) == (ErrorCode.NOT_FOUND, True)

    tried(tmp_path, scenario)


def test_what_nobody_uses_is_forgotten(tmp_path: Path) -> None:
    """Files that were not used since then go, whole or not; one that somebody asked for stays."""

    async def scenario(blobs: BlobStore) -> None:
        other = hashlib.sha256(b"other").hexdigest()
        await blobs.put(put(0, DATA))
        await blobs.put(put(0, b"other", sha256=other, total=5))
        await blobs.put(put(0, b"half", sha256="1" * 64, total=8))
        _age_all(tmp_path)
        assert await blobs.has(SHA256)
        assert await blobs.forget(int(time.time() * 1000) - 60_000) == 2
        assert (await blobs.has(SHA256), await blobs.has(other)) == (True, False)

    tried(tmp_path, scenario)


def _age_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))
