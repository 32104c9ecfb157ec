"""Procrastinate on a PostgreSQL server, with its own worker of one job at a time that the database wakes."""

# pyright: basic, reportMissingImports=false

import os

from procrastinate import App, PsycopgConnector

from benchmarks.core.marks import PAYLOAD, tell
from benchmarks.peers.work import WHERE, Found, Order, Worker, measure_work, memory_mib, rate, script

app = App(connector=PsycopgConnector(conninfo=f"host=127.0.0.1 port={os.environ[WHERE]} user=bench dbname=postgres"))


@app.task(name="nothing", queue="work")
def nothing(payload: str) -> None:
    """Do nothing, but for what is marked."""
    tell(payload)


def measure(port: str, order: Order) -> Found:
    """All that it has."""
    with app.open():
        app.schema_manager.apply_schema()
        idle = nothing.configure(queue="idle")
        found = {"one by one": rate(lambda: idle.defer(payload=PAYLOAD), order.one_by_one)}
        found["100 a request"] = rate(lambda: _defer(idle, 100), order.hundreds // 100, 100)
        command = ["procrastinate", "--app", f"{__spec__.name}.app", "worker", "--queues", "work", "--concurrency", "1"]
        with Worker(command, port).at_hand() as worker:
            found |= measure_work(
                lambda payload: nothing.defer(payload=payload),
                lambda items: _defer(nothing, items),
                worker.begin,
                order,
            )
            return {**found, "memory": memory_mib(worker.pid)}


def _defer(task, items: int) -> None:
    task.batch_defer(*[{"payload": PAYLOAD}] * items)


if __name__ == "__main__":
    from benchmarks.peers.scripts import procrastinate_queue  # the tasks by the name that the worker knows them by

    script(procrastinate_queue.measure)
