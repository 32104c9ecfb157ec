"""A run's own time stands still while its engine works for somebody else, and watchers may come at any moment."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from tests.conformance.bench import members

from stoker_daemon.execution.holdup import Holdup
from stoker_daemon.execution.observer import Observer
from stoker_daemon.jobs.records import Limits, Run, Signature
from stoker_protocol.jobs import Priority


def observed(clock: SimpleNamespace, watchers: set[str]) -> Observer:
    """An observer of a run, by this clock; somebody watches while there are watchers."""
    signature = Signature(engine="a", residency="x")
    run = Run("run", "gpu", signature, Priority.NORMAL, tuple(members({})), Limits(1.0, 1.0), ())
    anything: Any = None
    holdup = Holdup("gpu", lambda: None)
    return Observer(run, anything, cast(Any, print), cast(Any, clock), {}, holdup, lambda: bool(watchers))


def test_the_time_of_others() -> None:
    """What passed until the engine said that it works for others is not counted; what passed before and after is."""

    async def scenario() -> None:
        clock = SimpleNamespace(at_s=0.0)
        clock.monotonic_s = lambda: clock.at_s
        observer = observed(clock, set())
        observer.on_waiting()
        assert observer.seconds() == 0.0
        observer.on_running(is_short=False)
        clock.at_s = 5.0
        observer.on_progress("sampling", 1, 2)
        for clock.at_s in (6.0, 100.0):
            observer.on_waiting()
        assert (observer.seconds(), observer.last_progress_s) == (5.0, 100.0)
        clock.at_s = 103.0
        assert observer.seconds() == 8.0

    asyncio.run(scenario())


def test_who_watches_now() -> None:
    """Previews are wanted while somebody watches, whether they came before the run or during it."""

    async def scenario() -> None:
        watchers: set[str] = set()
        observer = observed(SimpleNamespace(monotonic_s=lambda: 0.0), watchers)
        assert not observer.wants_previews
        watchers.add("somebody")
        assert observer.wants_previews
        watchers.clear()
        assert not observer.wants_previews

    asyncio.run(scenario())
