"""What ties a worker to its daemon: it does not outlive it, whatever state it is in."""

import ctypes
import os
import signal
import socket
import struct
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_CREDENTIALS = struct.Struct("3i")


def tie_to_daemon(daemon: socket.socket) -> None:
    """Have the kernel kill this process when the daemon dies, even while no Python can run in it.

    The kernel says nothing about a daemon that died before; then this process has another parent than the one that made
    the socket. Source: prctl(2), PR_SET_PDEATHSIG; unix(7), SO_PEERCRED.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        maker, _, _ = _CREDENTIALS.unpack(daemon.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if os.getppid() != maker:
            end_group()


def end_group() -> NoReturn:
    """End this process at once, in the middle of whatever it does, and with it all that the model started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
