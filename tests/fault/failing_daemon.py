"""`stokerd` that kills itself with SIGKILL at a failpoint, which the environment variable FAILPOINT names."""

import importlib
import inspect
import os
import signal
from collections.abc import Callable
from itertools import count
from typing import Any

VARIABLE = "FAILPOINT"


def install(failpoint: str) -> None:
    """Wrap a method: `module:Class.method before N` or `... after N` dies around its N-th call, from 1."""
    place, moment, number = failpoint.split()
    module, _, path = place.partition(":")
    owner, _, name = path.partition(".")
    kind = getattr(importlib.import_module(module), owner)
    setattr(kind, name, _wrapped(getattr(kind, name), moment, int(number)))


def _wrapped(method: Callable[..., Any], moment: str, number: int) -> Callable[..., Any]:
    calls = count(1)

    async def call_and_wait(*args: Any, **keywords: Any) -> Any:
        is_last = next(calls) == number
        if is_last and moment == "before":
            _die()
        result = await method(*args, **keywords)
        if is_last:
            _die()
        return result

    def call(*args: Any, **keywords: Any) -> Any:
        is_last = next(calls) == number
        if is_last and moment == "before":
            _die()
        result = method(*args, **keywords)
        if is_last:
            _die()
        return result

    return call_and_wait if inspect.iscoroutinefunction(method) else call


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    install(os.environ[VARIABLE])
    from stoker_daemon.cli import stokerd

    stokerd()
