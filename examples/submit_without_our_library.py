"""Submits a job, follows it and fetches its files by docs/protocol.md, with nothing but pyzmq and msgpack."""

import hashlib
import os
import sys
from pathlib import Path

import msgpack
import zmq

folder, prompts = Path(sys.argv[1] if len(sys.argv) > 1 else "pictures"), sys.argv[2:] or ["a red dragon"]
endpoint, job_id = os.environ.get("STOKER_ENDPOINT", "tcp://127.0.0.1:5577"), "job-" + os.urandom(6).hex()
context = zmq.Context()
context.setsockopt(zmq.LINGER, 0)  # of all sockets


def ask(op, **fields):
    """The reply to a request; while there is none the same bytes go out again, on a new connection."""
    while True:
        with context.socket(zmq.REQ) as control:
            control.connect(endpoint)
            control.send(msgpack.packb({"v": 1, "id": "1", "op": op, **fields}))
            if control.poll(2000):
                reply = msgpack.unpackb(control.recv())
                return sys.exit(reply["message"]) if reply["re"] == "error" else reply


def join():
    """The job's events from now on and its state as it is now; again, if the events are not there in time."""
    events, sync = context.socket(zmq.SUB), "sync/" + os.urandom(6).hex()
    for topic in (f"job/{job_id}/", "daemon/", sync):
        events.subscribe(topic)
    events.connect(f"{endpoint.rpartition(':')[0]}:{ask('hello')['events'][0].rpartition(':')[2]}")
    while events.poll(3000):
        if events.recv_multipart()[0].decode() == sync:
            return events, ask("job", job_id=job_id)["job"]["state"]
    return join()


ask("submit", job_id=job_id, items=[{"params": {"prompt": prompt}} for prompt in prompts])
events, state = join()
while state not in ("succeeded", "failed", "cancelled"):
    if events.poll(3000):  # ticks come each second; without them the daemon was away
        state = msgpack.unpackb(events.recv_multipart()[1]).get("job", {}).get("state", state)
    else:
        events, state = join()
for made in ask("artifacts", job_id=job_id, limit=1000)["artifacts"]:
    data = b""
    while len(data) < made["bytes"]:
        data += ask("read_artifact", artifact_id=made["artifact_id"], offset=len(data))["data"]
    assert hashlib.sha256(data).hexdigest() == made["sha256"]
    folder.mkdir(parents=True, exist_ok=True)
    print((folder / Path(made["path"]).name).write_bytes(data), Path(made["path"]).name)
print(job_id, state)
