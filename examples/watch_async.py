"""Submits a job, follows it to its end through whatever happens, and brings its files into a folder."""

import asyncio
import sys
from pathlib import Path

from stoker_client import AsyncClient
from stoker_protocol.events import JobProgress


async def main(folder: Path) -> None:
    """Submit, watch, fetch."""
    async with AsyncClient() as client:
        job = await client.submit(["a red dragon", "a blue slime"], name="an example")
        async for update in client.watch([job.job_id]):
            if update.link:
                print(f"the daemon is {update.link}")
            elif isinstance(update.event, JobProgress):
                print(f"{update.event.progress.percent:3.0f} %")
            elif update.job:
                print(update.job.state)
        async for path in client.fetch(job.job_id, folder):
            print(path)


asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "pictures")))
