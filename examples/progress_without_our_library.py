"""Prints how jobs go, and where events were missed, with nothing but pyzmq and msgpack; may be given a key file."""

import os
import sys
import tomllib
from pathlib import Path

import msgpack
import zmq

key = tomllib.loads(Path(sys.argv[1]).read_text()) if sys.argv[1:] else {}
endpoint = key.get("endpoint") or os.environ.get("STOKER_ENDPOINT", "tcp://127.0.0.1:5577")
control, events = zmq.Context.instance().socket(zmq.REQ), zmq.Context.instance().socket(zmq.SUB)
for socket in (control, events) if key else ():
    socket.curve_serverkey, socket.curve_publickey = key["server_key"].encode(), key["public_key"].encode()
    socket.curve_secretkey = key["secret_key"].encode()
control.connect(endpoint)
control.send(msgpack.packb({"v": 1, "id": "1", "op": "hello"}))
events.subscribe("")  # to all: only then a seq that does not follow the one before tells of a gap
events.connect(endpoint.rpartition(":")[0] + ":" + msgpack.unpackb(control.recv())["events"][0].rpartition(":")[2])
known = None
while event := msgpack.unpackb(events.recv_multipart()[1]):
    if (seq := event.get("head", event["seq"])) is not None:  # a tick has no seq, but tells the last that there is
        if known is None:
            print("after", seq, flush=True)
        elif (missed := seq - known - ("head" not in event)) > 0:
            print("missed", missed, flush=True)
        known = seq
    elif progress := event.get("progress"):
        print(f"{event['job_id']} {progress['percent']:3.0f} % {progress['phase']}", flush=True)
