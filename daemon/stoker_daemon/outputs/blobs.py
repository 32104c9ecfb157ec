"""Input files that clients sent, each once, by the SHA-256 of its content."""

import errno
import hashlib
import os
import re
from contextlib import suppress
from functools import partial
from pathlib import Path

from stoker_daemon.outputs.disk_thread import DiskThread
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import BlobStored
from stoker_protocol.requests import PutBlob

ROOT = "blobs"
_INCOMING = "incoming"
_READ_BYTES = 1 << 20


class BlobStore:
    """Implements the port Blobs below `data_dir`: `blobs/ab/abcd...`, and what is not complete in `blobs/incoming`.

    It owns a thread; `close` ends it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / ROOT
        self._thread = DiskThread("blobs")

    async def put(self, request: PutBlob) -> BlobStored:
        _check_sha256(request.sha256)
        return await self._do(partial(self._put, request))

    async def has(self, sha256: str) -> bool:
        _check_sha256(sha256)
        return await self._thread.do(partial(self._touch, sha256))

    async def read(self, sha256: str) -> bytes:
        _check_sha256(sha256)
        try:
            return await self._thread.do(partial(self._read, sha256))
        except FileNotFoundError:
            hint = "send it with `put_blob`; files that nobody used for long are removed"
            raise Refused(ErrorCode.NOT_FOUND, f"there is no blob {sha256}", hint=hint) from None

    async def forget(self, before_ms: int) -> int:
        return await self._thread.do(partial(self._forget, before_ms / 1000))

    async def close(self) -> None:
        """Finish what was begun and end the thread."""
        await self._thread.close()

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    def _touch(self, sha256: str) -> bool:
        """A file in use is kept: its age counts from here."""
        try:
            os.utime(self._path(sha256))
        except FileNotFoundError:
            return False
        return True

    def _read(self, sha256: str) -> bytes:
        self._touch(sha256)
        return self._path(sha256).read_bytes()

    async def _do(self, work: "partial[BlobStored]") -> BlobStored:
        try:
            return await self._thread.do(work)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
                raise
            why = f"the disk does not take it: {error.strerror}"
            raise Refused(ErrorCode.STORAGE_UNAVAILABLE, why, hint="go on when it does", retry_after_s=5.0) from None

    def _put(self, request: PutBlob) -> BlobStored:
        if self._touch(request.sha256):
            return BlobStored(sha256=request.sha256, received=request.total, complete=True)
        part = self._root / _INCOMING / request.sha256
        part.parent.mkdir(parents=True, exist_ok=True)
        received = self._append(part, request)
        if received < request.total:
            return BlobStored(sha256=request.sha256, received=received, complete=False)
        self._complete(part, request)
        return BlobStored(sha256=request.sha256, received=received, complete=True)

    def _append(self, part: Path, request: PutBlob) -> int:
        """Add the bytes that are missing; how many are there then. Bytes after a hole are left out."""
        with part.open("ab") as file:
            size = file.tell()
            end = request.offset + len(request.data)
            if end > request.total:
                part.unlink()
                raise _wrong("data", f"it goes on to byte {end} of {request.total}")
            if request.offset <= size < end:
                file.write(request.data[size - request.offset :])
                return end
            return size

    def _complete(self, part: Path, request: PutBlob) -> None:
        """Give a whole file its name, if it is what it says."""
        digest = hashlib.sha256()
        with part.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
            os.fsync(file.fileno())
            size = file.tell()
        if digest.hexdigest() != request.sha256 or size != request.total:
            part.unlink()
            raise _wrong("sha256", f"{size} bytes came whose SHA-256 is {digest.hexdigest()}")
        path = self._path(request.sha256)
        path.parent.mkdir(exist_ok=True)
        part.rename(path)
        for folder in (path.parent, self._root):
            _sync(folder)

    def _forget(self, before_s: float) -> int:
        removed = 0
        for path in self._root.glob("*/*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before_s:
                    path.unlink()
                    removed += 1
        return removed


def _check_sha256(text: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        hint = "64 lower-case hexadecimal digits"
        raise Refused(ErrorCode.BAD_REQUEST, f"sha256: {text!r:.80} is none", field="sha256", hint=hint)


def _wrong(field: str, what: str) -> Refused:
    return Refused(ErrorCode.BAD_REQUEST, f"{field}: {what}", field=field, hint="send the file anew, from offset 0")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
