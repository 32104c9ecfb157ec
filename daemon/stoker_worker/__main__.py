"""The command that a daemon starts: `python -m stoker_worker --classes JSON --fd N`."""

import argparse
import signal
from socket import socket

import msgspec

from stoker_protocol.worker import Hosted
from stoker_worker import memory
from stoker_worker.connection import Connection
from stoker_worker.host import Host
from stoker_worker.leash import tie_to_daemon


def main() -> None:
    """Host model classes for the daemon at the other end of an inherited socket."""
    arguments = _arguments()
    daemon = socket(fileno=arguments.fd)
    tie_to_daemon(daemon)
    daemon.set_inheritable(False)
    memory.bound(arguments.memory_mb)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(daemon)
    connection.listen()
    Host(connection, msgspec.json.decode(arguments.classes, type=list[Hosted])).serve()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stoker_worker", description=__doc__)
    parser.add_argument("--classes", required=True, metavar="JSON", help="the model classes, with their options")
    parser.add_argument("--memory-mb", type=int, default=0, metavar="MB", help="what the process may hold; 0: anything")
    parser.add_argument("--fd", required=True, type=int, help="the inherited socket to the daemon")
    return parser.parse_args()


if __name__ == "__main__":
    main()
