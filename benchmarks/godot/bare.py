"""The bare limit: a subscriber that decodes every event with msgspec, in a process of its own, and nothing more."""

import sys

import msgspec
import zmq


def main(endpoint: str, last: int) -> None:
    """Say when it listens, and when the event `last` has come."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe("job/")
        socket.subscribe("sync/bare")
        socket.connect(endpoint)
        decode = msgspec.msgpack.decode
        seq = 0
        while seq < last:
            topic, body = socket.recv_multipart()
            event = decode(body)
            if topic == b"sync/bare":
                print("listens", flush=True)
            seq = event["seq"] or seq
    print("done", flush=True)


main(sys.argv[1], int(sys.argv[2]))
