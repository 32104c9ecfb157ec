"""A program of somebody who uses the library: prints the type and seq of each lifecycle event of one job."""

# ruff: noqa: T201  a program that prints

import asyncio
import sys

from stoker_client import AsyncClient


async def main(endpoint: str, key: str, job_id: str) -> None:
    """Watch until the job ends."""
    async with AsyncClient(endpoint, key=key) as client:
        async for update in client.watch([job_id], progress=False):
            seq = update.event.seq if update.event is not None else None
            print(f'{{"seq": {seq or "null"}, "link": "{update.link}"}}', flush=True)


asyncio.run(main(*sys.argv[1:]))
