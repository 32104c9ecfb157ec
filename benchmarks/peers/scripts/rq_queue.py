"""RQ on a Redis server, worked off by its SimpleWorker, which does not fork for each job."""

# pyright: basic, reportMissingImports=false

from redis import Redis
from rq import Queue

from benchmarks.core.marks import PAYLOAD, tell
from benchmarks.peers.work import Found, Order, Worker, measure_work, memory_mib, rate, script


def measure(port: str, order: Order) -> Found:
    """All that it has."""
    redis = Redis(port=int(port))
    idle, work = Queue("idle", connection=redis), Queue("work", connection=redis)
    found = {"one by one": rate(lambda: idle.enqueue(tell, PAYLOAD), order.one_by_one)}
    found["100 a request"] = rate(lambda: _hundred(idle), order.hundreds // 100, 100)
    command = ["rq", "worker", "--quiet", "--worker-class", "rq.SimpleWorker", "--url", f"redis://127.0.0.1:{port}"]
    with Worker([*command, "work"], port).at_hand() as worker:
        found |= measure_work(
            lambda payload: work.enqueue(tell, payload),
            lambda items: [work.enqueue(tell, PAYLOAD) for _ in range(items)],
            worker.begin,
            order,
        )
        return {**found, "memory": memory_mib(worker.pid)}


def _hundred(queue: Queue) -> None:
    queue.enqueue_many([Queue.prepare_data(tell, (PAYLOAD,)) for _ in range(100)])


if __name__ == "__main__":
    script(measure)
