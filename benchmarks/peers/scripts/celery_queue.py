"""Celery on a Redis server; a task is taken off only when it is done, as one must that may not lose any."""

# pyright: basic, reportMissingImports=false

import os

from celery import Celery

from benchmarks.core.marks import PAYLOAD, tell
from benchmarks.peers.work import WHERE, Found, Order, Worker, measure_work, memory_mib, rate, script

app = Celery("benchmark", broker=f"redis://127.0.0.1:{os.environ[WHERE]}/0")
app.conf.update(task_acks_late=True, task_ignore_result=True)


@app.task(name="nothing")
def nothing(payload: str) -> None:
    """Do nothing, but for what is marked."""
    tell(payload)


def measure(port: str, order: Order) -> Found:
    """All that it has."""
    found = {"one by one": rate(lambda: nothing.apply_async((PAYLOAD,), queue="idle"), order.one_by_one)}
    quiet = ["--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = ["celery", "--app", __spec__.name, "worker", "--pool", "solo", "--queues", "work", *quiet]
    with Worker(command, port).at_hand() as worker:
        found |= measure_work(
            lambda payload: nothing.apply_async((payload,), queue="work"),
            lambda items: [nothing.apply_async((PAYLOAD,), queue="work") for _ in range(items)],
            worker.begin,
            order,
        )
        return {**found, "memory": memory_mib(worker.pid)}


if __name__ == "__main__":
    script(measure)
