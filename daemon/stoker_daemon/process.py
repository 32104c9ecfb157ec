"""What the daemon asks of its own process, so that it stays prompt beside many clients."""

import gc
import resource
import sys

MAX_FILES = 65_536
"""Files and connections at a time, where the host allows as many."""
SWITCH_S = 0.001
"""How long a thread that computes may keep the others of the process, and so the answer to a `ping`, waiting."""


def stay_prompt() -> None:
    """Let neither the garbage collector nor another thread keep the loop for long."""
    gc.collect()
    gc.freeze()  # what is there by now stays to the end; looking through all of it takes 10 to 20 ms each time
    sys.setswitchinterval(SWITCH_S)


def raise_file_limit() -> None:
    """Leave room for work beside many clients: each connection counts as an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MAX_FILES)), hard))
