"""The output tree as the daemon uses it: saves, reads, sums up and tidies without ever blocking the event loop."""

import errno
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

from stoker_daemon.jobs.records import JobFolder, Member, Output, Run, SavedArtifact
from stoker_daemon.outputs import layout, tidying
from stoker_daemon.outputs.disk import Disk
from stoker_daemon.outputs.disk_thread import DiskThread
from stoker_daemon.outputs.pages import Page, pages_of
from stoker_daemon.outputs.pictures import Sheet, read_pictures
from stoker_daemon.outputs.provenance import Origin
from stoker_daemon.outputs.saving import Save, save_all
from stoker_daemon.outputs.sheet_process import SheetError, drawn
from stoker_daemon.outputs.summary import summary
from stoker_daemon.ports import Clock
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.replies import DiskSpace

log = structlog.get_logger()
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class OutputTree:
    """Implements the port Artifacts below `data_dir`. It owns two threads, one that writes and one that reads.

    Paths are relative to `data_dir`, with forward slashes. `close` ends the threads.
    """

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._clock = clock
        self._data_dir = data_dir
        self._disk = Disk(data_dir)
        self._writer = DiskThread("outputs-writer")
        self._reader = DiskThread("outputs-reader")
        self._save_all = partial(save_all, self._disk)

    async def save(
        self, run: Run, member: Member, output: int, made: Output, facts: Mapping[str, Any]
    ) -> SavedArtifact:
        """Put one output and its provenance record on disk for good, in place of an earlier one.

        Args:
            run: The run that made it.
            member: The item that it is of.
            output: Its place among the outputs of that item, from 0.
            made: The file as the engine gave it; a PNG gets text chunks, its pixels stay as they are.
            facts: What else goes into the record: timings, versions and the like.

        Raises:
            OSError: It could not be written; its path is in the error.
            Refused: `bad_request`: the job's id can't be the name of a folder.
        """
        origin = Origin(run, member, output, made, dict(facts), self._clock.now_ms())
        save = Save(origin, layout.artifact_path(member, output, made), layout.record_path(member, output))
        return await self._writer.do_together(self._save_all, save)

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of an artifact, fewer than `length` at its end.

        Raises:
            Refused: `not_found`: the file is gone, or the path is none of the tree; `storage_unavailable`: the disk.
        """
        inside = PurePosixPath(path)
        if not layout.is_inside(inside):
            raise Refused(ErrorCode.NOT_FOUND, f"{path!r:.200} is not in the output tree", hint="ask `artifacts`")
        try:
            return await self._reader.do(partial(self._disk.read, inside, offset, length))
        except OSError as error:
            if error.errno in _GONE:
                hint = "somebody removed or moved the file; submit its item again to have it made anew"
                raise Refused(ErrorCode.NOT_FOUND, f"{path} is gone", hint=hint) from None
            log.warning("an output could not be read", path=path, why=str(error))
            message = f"{path} can't be read: {error.strerror}"
            raise Refused(ErrorCode.STORAGE_UNAVAILABLE, message, hint="see that its disk is well") from None

    async def sum_up(self, folder: JobFolder) -> None:
        """Write the summary file of a final job, and for people its pages and contact sheets. Raises OSError."""
        place = layout.job_folder(folder.job.job_id, folder.job.created_at_ms)
        await self._writer.do(lambda: self._disk.write(place, {layout.SUMMARY: summary(folder)}))
        for page in pages_of(folder):
            await self._show(page, place)

    async def forget_unknown(self, members: Sequence[Member], known: frozenset[str]) -> int:
        """Remove files of these items that are not `known` paths, and their records; how many. Raises OSError."""
        return await self._writer.do(partial(tidying.forget_unknown, self._disk, members, known))

    async def forget_temporaries(self, job_id: str, created_ms: int) -> int:
        """Remove the files of a job that were never completed; how many. Raises OSError."""
        folder = layout.job_folder(job_id, created_ms)
        return await self._writer.do(partial(tidying.forget_temporaries, self._disk, folder))

    def folder(self, job_id: str, created_ms: int) -> str:
        """The folder of a job. Raises Refused: `bad_request`: the id can't be the name of a folder."""
        return str(layout.job_folder(job_id, created_ms))

    async def space(self) -> DiskSpace:
        """The disk that the tree is on, which may be another one than that of the data folder. Raises OSError."""
        return await self._reader.do(self._space)

    async def remove_some(self, job_id: str, created_ms: int) -> bool:
        """Remove some of a job's files; False: none of ours is left. What people put there stays. Raises OSError."""
        folder = layout.job_folder(job_id, created_ms)
        return await self._writer.do(partial(tidying.remove_some, self._disk, folder))

    async def close(self) -> None:
        """Finish what was begun and end the threads; one that hangs in the disk is left to the end of the process."""
        await self._writer.close()
        await self._reader.close()

    def _space(self) -> DiskSpace:
        tree = self._data_dir / layout.ROOT
        usage = shutil.disk_usage(tree if tree.exists() else self._data_dir)
        return DiskSpace(usage.total, usage.free)

    async def _show(self, page: Page, place: PurePosixPath) -> None:
        pictures = await self._reader.do(partial(read_pictures, self._disk, page.artifacts))
        sheet = await self._draw(page.sheet(pictures))
        await self._writer.do(lambda: self._disk.write(place, page.files(pictures, sheet)))

    async def _draw(self, sheet: Sheet | None) -> bytes | None:
        """A contact sheet if it can be drawn; a job is no less complete without."""
        if sheet is None:
            return None
        try:
            return await drawn(self._data_dir, sheet)
        except (SheetError, OSError) as error:
            log.warning("a contact sheet could not be drawn", job=sheet.title, why=str(error))
            return None
