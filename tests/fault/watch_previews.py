"""A program of somebody who uses the library: watches all jobs with previews, and prints each lifecycle event's seq."""

# ruff: noqa: T201  a program that prints

import sys

from stoker_client import Client


def main(endpoint: str) -> None:
    """Watch until somebody ends it."""
    with Client(endpoint) as client:
        for update in client.watch(previews=True, progress=False):
            if update.event is None:
                print(update.link or "begins", flush=True)
            elif update.event.seq is not None:
                print(update.event.seq, flush=True)


main(sys.argv[1])
