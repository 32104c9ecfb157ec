# A cell of a notebook, to be pasted whole: submits a job, tells how far it is, and shows its pictures.
# A notebook is in an event loop already, so `await` stands here where a program has `asyncio.run` (watch_async.py).

# ruff: noqa: D100, F704  a cell, which awaits

from IPython.display import Image, display

from stoker_client import AsyncClient
from stoker_protocol.events import JobProgress

async with AsyncClient() as client:  # of the daemon and with the key that `stoker connect` keeps
    job = await client.submit(["a red dragon", "a blue slime"], name="from a notebook")
    async for update in client.watch([job.job_id]):
        if isinstance(update.event, JobProgress):
            print(f"{update.event.progress.percent:3.0f} % {update.event.progress.phase}")
        elif update.link or update.job:
            print(update.link or update.job.state)
    async for path in client.fetch(job.job_id, "pictures"):
        display(Image(path, width=128))
