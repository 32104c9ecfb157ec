"""Has contact sheets drawn by a short-lived process, which may fail without harm to anything else."""

import asyncio
import sys
from pathlib import Path

import msgspec

from stoker_daemon.outputs.pictures import Sheet

LIMIT_S = 120.0
_PROGRAM = "stoker_daemon.outputs.contact_sheet"


class SheetError(Exception):
    """A contact sheet could not be drawn; the message says why."""


async def drawn(data_dir: Path, sheet: Sheet) -> bytes:
    """The sheet as a PNG file. Cancelled, it leaves no process behind.

    Raises:
        SheetError: The process failed, or was not done within LIMIT_S.
        OSError: It could not be started.
    """
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", _PROGRAM, str(data_dir))
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(LIMIT_S):
            image, complaint = await process.communicate(msgspec.json.encode(sheet))
    except TimeoutError:
        raise SheetError(f"not done after {LIMIT_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise SheetError(last or f"exit code {process.returncode}")
    return image
