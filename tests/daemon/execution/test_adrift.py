"""Runs out of sight go on where their engine has something of them, and are settled once where it has nothing."""

import asyncio
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any, cast

from tests.conformance.bench import members

from stoker_daemon.execution.adrift import Adrift
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Limits, Member, Result, Run, Signature
from stoker_daemon.ports import ClaimOrder
from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import ItemState, Priority

AWAY = EngineFailure(FailureKind.SERVER_ERROR, "away", unavailable=True)
RESULTS = [Result(0, ItemState.PENDING, charged=False)]


class World:
    """Engines that have these runs, or are away; a store and a tree that note what is done to them."""

    def __init__(self, *, held: Collection[str] = (), away: Collection[str] = ()) -> None:
        self.held = set(held)
        self.away = set(away)
        self.done: list[tuple[str, str]] = []
        self.missed: list[str] = []
        engines = {name: SimpleNamespace(holds=self._holds, interrupt=self._interrupt) for name in ("a", "b")}
        store = SimpleNamespace(take_up=self._take_up, record=self._record, hand_back=self._hand_back)
        artifacts = SimpleNamespace(forget_unknown=self._forget_unknown)
        self.adrift = Adrift(cast(Any, engines), cast(Any, store), cast(Any, artifacts), self._miss)

    def next_run(self, *engines: str, unwanted: Collection[str] = ()) -> Run | None:
        """The next run to go on with, of these engines."""
        order = ClaimOrder("gpu", frozenset(engines), lambda _, __, ___: None, 1.0, 1.0, 1.0)
        return asyncio.run(self.adrift.next_run(order, lambda run: run.run_id in unwanted))

    async def _holds(self, run: Interrupted) -> bool:
        if run.engine in self.away:
            raise AWAY
        return run.run_id in self.held

    async def _take_up(self, run: Interrupted, _: ClaimOrder) -> Run:
        return claimed(run.run_id, run.engine)

    async def _record(self, ended: Sequence[tuple[Run, Sequence[Result]]], order: None) -> None:
        assert order is None
        assert [results for _, results in ended] == [RESULTS]
        self.done += [("record", run.run_id) for run, _ in ended]

    def _miss(self, engine: str, failure: EngineFailure) -> None:
        assert failure is AWAY
        self.missed.append(engine)

    async def _interrupt(self, run_id: str) -> None:
        self.done.append(("interrupt", run_id))

    async def _hand_back(self, run: Interrupted) -> None:
        self.done.append(("hand_back", run.run_id))

    async def _forget_unknown(self, members: Sequence[Member], known: frozenset[str]) -> None:
        self.done += [("forget", member.job_id) for member in members]
        assert known == frozenset({"kept"})


def cut_short(run_id: str, engine: str = "a") -> Interrupted:
    """A run that an earlier daemon began."""
    return Interrupted(run_id, "gpu", engine, tuple(members({})), frozenset({"kept"}))


def claimed(run_id: str, engine: str = "a") -> Run:
    """A run as it was claimed."""
    signature = Signature(engine=engine, residency="x")
    return Run(run_id, "gpu", signature, Priority.NORMAL, tuple(members({})), Limits(1.0, 1.0), ())


def test_a_run_that_goes_on() -> None:
    """A run of which its engine has something is taken up once, and is then out of the list."""
    world = World(held=["one"])
    world.adrift.add(cut_short("one"))
    run = world.next_run("a")
    assert run is not None
    assert (run.run_id, world.done) == ("one", [])
    assert not world.adrift.holds("one")
    assert world.next_run("a") is None


def test_a_run_of_this_daemon() -> None:
    """A run that this daemon began goes on as it was claimed; if it is lost, what was to become of it does."""
    world = World(held=["one"])
    first, second = claimed("one"), claimed("two")
    world.adrift.let_go(first, RESULTS)
    world.adrift.let_go(second, RESULTS)
    assert world.next_run("a") is first
    assert world.next_run("a") is None
    assert world.done == [("record", "two")]
    assert not world.adrift.holds("two")


def test_a_run_that_is_lost() -> None:
    """A run of an earlier daemon that its engine has lost is handed back, its unfinished files removed before."""
    world = World()
    world.adrift.add(cut_short("one"))
    assert world.next_run("a") is None
    assert world.done == [("forget", "job"), ("hand_back", "one")]


def test_an_engine_that_is_away() -> None:
    """Of an engine that is away, or is left alone for now, nothing is settled; the runs of others go on."""
    world = World(held=["two"], away=["a"])
    world.adrift.add(cut_short("one", "a"))
    world.adrift.add(cut_short("two", "b"))
    run = world.next_run("a", "b")
    assert run is not None
    assert (run.run_id, world.missed) == ("two", ["a"])
    assert world.next_run("b") is None
    assert world.adrift.holds("one")
    assert world.done == []


def test_a_run_that_nobody_wants() -> None:
    """A run that nobody wants any more is stopped at its engine and settled, even where that can't be asked."""
    world = World(held=["one"], away=["a"])
    world.adrift.let_go(claimed("one"), RESULTS)
    assert world.next_run(unwanted=["one"]) is None
    assert world.done == [("interrupt", "one"), ("record", "one")]
    assert not world.adrift.holds("one")
