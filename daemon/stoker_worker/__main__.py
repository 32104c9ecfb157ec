"""The command that a daemon starts: `python -m stoker_worker --model module:Class --options JSON --fd N`."""

import argparse
import signal
from socket import socket

import msgspec

from stoker_worker.connection import Connection
from stoker_worker.host import Host
from stoker_worker.leash import tie_to_daemon


def main() -> None:
    """Host a model class for the daemon at the other end of an inherited socket."""
    arguments = _arguments()
    daemon = socket(fileno=arguments.fd)
    tie_to_daemon(daemon)
    daemon.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    options = msgspec.json.decode(arguments.options, type=dict[str, object])
    connection = Connection(daemon)
    connection.listen()
    Host(connection, arguments.model, options).serve()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stoker_worker", description=__doc__)
    parser.add_argument("--model", required=True, metavar="MODULE:CLASS", help="the model class to host")
    parser.add_argument("--options", default="{}", metavar="JSON", help="what each of its models is made with")
    parser.add_argument("--fd", required=True, type=int, help="the inherited socket to the daemon")
    return parser.parse_args()


if __name__ == "__main__":
    main()
