"""A process that starts a worker on an item and then waits to be killed: `short_lived_daemon.py DO`."""

import signal
import sys

from tests.worker.host_process import ready

from stoker_protocol.worker import Report

with ready(leader=True) as host:
    host.start({"do": sys.argv[1], "steps": 1})
    host.hear_until(Report)
    print(host.process.pid, flush=True)  # noqa: T201  what this program is for
    signal.pause()
