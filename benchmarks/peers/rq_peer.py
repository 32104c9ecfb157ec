"""RQ on a Redis server whose every write is on disk before its answer; runs in an environment of its own.

`python rq_peer.py MEASURE COUNT PORT` prints how many jobs a second it took in, or worked off.
"""

# pyright: basic, reportMissingImports=false

import logging
import sys
import time

from redis import Redis
from rq import Queue, SimpleWorker

PAYLOAD = "a red dragon with a small hat, sitting on a heap of gold coins, three quarter view"


def main() -> None:
    """Measure and print."""
    measure, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    redis = Redis(port=port)
    queue = Queue(measure, connection=redis)
    at_once = 100 if measure == "100 a request" else 1
    began_s = time.perf_counter()
    for _ in range(count // at_once):
        if at_once == 1:
            queue.enqueue(len, PAYLOAD)
        else:
            queue.enqueue_many([Queue.prepare_data(len, (PAYLOAD,)) for _ in range(at_once)])
    taken_s = time.perf_counter() - began_s
    if measure == "no-op items":
        logging.disable(logging.CRITICAL)
        began_s = time.perf_counter()
        SimpleWorker([queue], connection=redis).work(burst=True)
        taken_s = time.perf_counter() - began_s
    print(count / taken_s)


if __name__ == "__main__":
    main()
