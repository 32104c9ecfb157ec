"""Restarts a server that hangs, by the command that the config names."""

import asyncio
from collections.abc import Sequence

import structlog

log = structlog.get_logger()


async def restart(command: Sequence[str], limit_s: float) -> str:
    """Run the command, without a shell; an empty text, or why it did not do."""
    log.warning("restarting ComfyUI", command=list(command))
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        return f"restart_command can't be run: {error.strerror}"
    try:
        async with asyncio.timeout(limit_s):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"restart_command did not end within {limit_s:g} s"
    return f"restart_command failed with exit code {code}" if code else ""
