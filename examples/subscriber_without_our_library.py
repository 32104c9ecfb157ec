"""Prints every event of a daemon, none missed, with nothing but pyzmq and msgpack; ends with the job that is named."""

import os
import sys

import msgpack
import zmq

endpoint, sync = os.environ.get("STOKER_ENDPOINT", "tcp://127.0.0.1:5577"), f"sync/{os.getpid()}"
context = zmq.Context()
control, events = context.socket(zmq.REQ), context.socket(zmq.SUB)
control.connect(endpoint)


def ask(op, **fields):
    """Send one request and wait for its reply."""
    control.send(msgpack.packb({"v": 1, "id": "1", "op": op, **fields}))
    return msgpack.unpackb(control.recv())


for topic in ("job/", "queue/", "lane/", "gpu/", "engine/", "daemon/", sync):
    events.subscribe(topic)
events.connect(f"{endpoint.rpartition(':')[0]}:{ask('hello')['events'][0].rpartition(':')[2]}")
while events.recv_multipart()[0].decode() != sync:
    pass  # from that answer on, all that happens arrives
known = ask("snapshot")["seq"]
print("after", known, flush=True)
jobs = {}
while jobs.get(sys.argv[-1]) not in ("succeeded", "failed", "cancelled"):
    event = msgpack.unpackb(events.recv_multipart()[1])
    news, seq = [event], event["seq"] or 0
    if max(event.get("head", 0), seq - 1) > known:  # something was lost on the way
        page = ask("events_since", seq=known)
        news, seq = [one["body"] for one in page["events"]], page["head" if page["gap"] else "through"]
    for event in news if seq > known else ():
        print(event["seq"], event["type"], flush=True)
        jobs |= {event["job"]["job_id"]: event["job"]["state"]} if "job" in event else {}
    known = max(known, seq)
