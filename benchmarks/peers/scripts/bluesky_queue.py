"""Bluesky's queue server on a Redis server: its manager, and a run engine that goes through plans of one message."""

# pyright: basic, reportMissingImports=false

import time
from dataclasses import replace
from pathlib import Path

from bluesky_queueserver.manager.comms import ZMQCommSendThreads

from benchmarks.core.marks import PAYLOAD
from benchmarks.peers.work import Found, Order, Worker, measure_work, memory_mib, rate, script

READY_S = 60.0
HUNDREDS = 2_000
ITEMS, STARTS, GAP_S = 8, 4, 1.0
"""At most so many, so far apart, since it takes some half a second for each."""
PLANS = '''
from bluesky import Msg, RunEngine
from benchmarks.core.marks import tell

RE = RunEngine({})

def nothing(payload: str):
    """Do nothing, but for what is marked."""
    tell(payload)
    yield Msg("null")
'''
USERS = """
user_groups:
  root: {allowed_plans: [null], forbidden_plans: [null], allowed_devices: [null], forbidden_devices: [null]}
  primary: {allowed_plans: [":.*"], forbidden_plans: [null], allowed_devices: [":.*"], forbidden_devices: [null]}
"""


def measure(where: str, order: Order) -> Found:
    """All that it has; `where` is a folder, and the ports of Redis, of its requests and of its news."""
    folder, redis, control, news = where.split(" ")
    (Path(folder) / "plans.py").write_text(PLANS)
    (Path(folder) / "users.yaml").write_text(USERS)
    (Path(folder) / "existing.yaml").touch()
    command = ["start-re-manager", "--silent", "--startup-script", f"{folder}/plans.py"]
    command += ["--user-group-permissions", f"{folder}/users.yaml"]
    command += ["--existing-plans-devices", f"{folder}/existing.yaml", "--redis-addr", f"127.0.0.1:{redis}"]
    command += ["--zmq-control-addr", f"tcp://127.0.0.1:{control}", "--zmq-info-addr", f"tcp://127.0.0.1:{news}"]
    with Worker(command, where).at_hand() as manager:
        manager.begin()
        client = _Client(f"tcp://127.0.0.1:{control}")
        found = {"one by one": rate(lambda: client.add(PAYLOAD), order.one_by_one)}
        times = min(order.hundreds, HUNDREDS) // 100
        found["100 a request"] = rate(lambda: client.add_many(100), times, 100)
        client.ask("queue_clear")
        few = replace(order, items=min(ITEMS, order.items), starts=min(STARTS, order.starts), gap_s=GAP_S)
        found |= measure_work(client.add, client.add_many, client.begin, few)
        return {**found, "memory": memory_mib(manager.pid)}


class _Client:
    """Asks the manager, and waits until it has opened its environment."""

    def __init__(self, address: str) -> None:
        self._link = ZMQCommSendThreads(zmq_server_address=address, timeout_recv=10_000)
        until_s = time.monotonic() + READY_S
        while not self._is_up():
            assert time.monotonic() < until_s, "the manager does not answer"
        self.ask("environment_open")
        while self.ask("status")["worker_environment_state"] != "idle":
            assert time.monotonic() < until_s, "no environment"
            time.sleep(0.1)

    def ask(self, method: str, **params: object) -> dict:
        """The answer to a request that may not be refused."""
        answer = self._link.send_message(method=method, params=params)
        assert answer.get("success", True), answer
        return answer

    def add(self, payload: str) -> None:
        self.ask("queue_item_add", item=_item(payload), user="bench", user_group="primary")

    def add_many(self, items: int) -> None:
        self.ask("queue_item_add_batch", items=[_item(PAYLOAD)] * items, user="bench", user_group="primary")

    def begin(self) -> None:
        self.ask("queue_autostart", enable=True)

    def _is_up(self) -> bool:
        try:
            return self._link.send_message(method="ping", timeout=500)["msg"] is not None
        except Exception:  # noqa: BLE001  its timeouts have a class of their own
            return False


def _item(payload: str) -> dict:
    return {"item_type": "plan", "name": "nothing", "kwargs": {"payload": payload}}


if __name__ == "__main__":
    script(measure)
