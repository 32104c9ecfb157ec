"""Submits a job and leaves: what the daemon has accepted is safe, and `stoker status` shows what became of it."""

# ruff: noqa: T201  a program that prints

import sys

from stoker_client import Client
from stoker_client.errors import StokerError

prompts = sys.argv[1:] or ["a tiny teal dragon", "a mossy stone tile"]
try:
    with Client() as client:
        job = client.submit(prompts, name="an example", priority="low", params={"steps": 4})
except StokerError as error:
    sys.exit(f"{error}")
print(job.job_id)
