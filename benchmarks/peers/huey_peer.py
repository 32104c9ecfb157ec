"""Huey on a SQLite file of its own, as its users would measure it; runs in an environment of its own.

`python huey_peer.py MEASURE COUNT DIRECTORY` prints how many tasks a second it took in, or worked off.
"""

# pyright: basic, reportMissingImports=false

import logging
import sys
import time
from pathlib import Path

from huey import SqliteHuey

PAYLOAD = "a red dragon with a small hat, sitting on a heap of gold coins, three quarter view"


def main() -> None:
    """Measure and print."""
    measure, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    huey = SqliteHuey(filename=str(folder / "huey.sqlite3"), fsync=True, results=False)

    @huey.task()
    def nothing(prompt: str) -> None:
        """Do nothing."""

    began_s = time.perf_counter()
    for _ in range(count):
        nothing(PAYLOAD)
    taken_s = time.perf_counter() - began_s
    if measure == "no-op items":
        logging.disable(logging.CRITICAL)
        consumer = huey.create_consumer(workers=1, worker_type="thread", periodic=False, initial_delay=0.001)
        began_s = time.perf_counter()
        consumer.start()
        while huey.pending_count():
            time.sleep(0.002)
        taken_s = time.perf_counter() - began_s
        consumer.stop(graceful=True)
    print(count / taken_s)


if __name__ == "__main__":
    main()
