"""Lets others beside long work go first, those of other threads and processes too."""

import time

GIVE_WAY_S = 50e-6
"""Much less is over before the kernel has let the thread go."""


def give_way() -> None:
    """Leave the interpreter and the processor to others for a moment.

    A thread that computes on and on is taken off its processor only at a tick of the kernel, each 4 ms on most. Whoever
    has to run on the same one waits that long: the thread that reads a ping off the network, or the client itself.
    """
    time.sleep(GIVE_WAY_S)
