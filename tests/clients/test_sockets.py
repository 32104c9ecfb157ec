"""Sockets and their ends: nothing is left open, lost on the way, or shared by those who should not meet."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import pytest
import zmq
from tests.clients.both import Connect, both
from tests.clients.watching import kinds
from tests.fakes.daemon import PATIENCE_S, FakeDaemon

from stoker_client.async_client import AsyncClient
from stoker_client.errors import InvalidState
from stoker_client.operations.watching import Update
from stoker_client.shell import open_events


def test_many_subscriptions(daemon: FakeDaemon) -> None:
    """We expect that a subscriber of thousands of topics gets all of them, in its order."""
    topics = [f"preview/job-{number:04}/" for number in range(3000)]
    with zmq.Context() as context, closing(open_events(context, daemon.events, tuple(topics))):
        _until(lambda: len(daemon.subscriptions) >= len(topics))
    assert daemon.subscriptions == topics


@both
def test_leaving_a_watch(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that a watch which is left early ends its subscriptions, and that the client goes on."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        for _ in client.watch(["a"]):
            break
        _until(lambda: "job/a/" in daemon.unsubscriptions)
        assert client.job("a").job_id == "a"


@both
def test_an_error_in_a_watch(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that an exception of whoever watches passes through, and ends the watch's subscriptions."""
    daemon.add_job("a")
    with connect(daemon.control) as client:
        with pytest.raises(KeyboardInterrupt):
            _interrupt(client.watch(["a"]))
        _until(lambda: "job/a/" in daemon.unsubscriptions)
        assert client.job("a").job_id == "a"


@both
def test_two_watches_at_once(daemon: FakeDaemon, connect: Connect) -> None:
    """We expect that two watches of one client, and other questions between, don't take each other's events."""
    daemon.add_job("a")
    daemon.add_job("b")
    with connect(daemon.control) as client:
        watches = {job_id: client.watch([job_id]) for job_id in "ab"}
        begin = [kinds(islice(watch, 1)) for watch in watches.values()]
        for job_id in "ba":
            daemon.finish(job_id)
        assert client.job("a").state.is_final
        ends = [kinds(watch) for watch in watches.values()]
    assert (begin, ends) == ([["a queued"], ["b queued"]], [["run_finished"], ["run_finished"]])


def test_leaving_an_async_for(daemon: FakeDaemon) -> None:
    """We expect that a break out of `async for` is enough to end a watch's subscriptions."""
    daemon.add_job("a")

    async def work(client: AsyncClient) -> None:
        async for _ in client.watch(["a"]):
            break
        await _until_async(lambda: "job/a/" in daemon.unsubscriptions)

    _run(daemon, work)


def test_many_requests_in_flight(daemon: FakeDaemon) -> None:
    """We expect that hundreds of questions at once each get their own answer, over one connection."""

    async def work(client: AsyncClient) -> None:
        await asyncio.gather(*(client.submit(["a dragon"], job_id=f"job-{n}") for n in range(300)))
        jobs = await asyncio.gather(*(client.job(f"job-{n}") for n in range(300)))
        assert [job.job_id for job in jobs] == [f"job-{n}" for n in range(300)]

    _run(daemon, work)
    assert len(daemon.asked("submit")) == 300


def test_a_dropped_connection_is_kept_for_others(daemon: FakeDaemon) -> None:
    """We expect that a question which must be asked anew costs those beside it nothing."""
    daemon.hold_replies("health")

    async def work(client: AsyncClient) -> None:
        patient = asyncio.create_task(client.health())
        await _until_async(lambda: bool(daemon.asked("health")))
        client._control.drop()
        await client.ping()
        daemon.release()
        assert (await patient).ready
        assert client._control._dropped == []

    _run(daemon, work)
    assert len(daemon.asked("health")) == 1


def test_closing_under_a_question(daemon: FakeDaemon) -> None:
    """We expect that closing a client fails what it still waits for, at once."""
    daemon.hold_replies("health")

    async def work(client: AsyncClient) -> None:
        waiting = asyncio.create_task(client.health())
        await _until_async(lambda: bool(daemon.asked("health")))
        await client.close()
        with pytest.raises(InvalidState, match="closed before the answer came"):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _run(daemon, work)
    assert len(daemon.asked("health")) == 1


def test_cancelling_a_question(daemon: FakeDaemon) -> None:
    """We expect that a cancelled call ends at once, and that its reply disturbs nobody when it comes."""
    daemon.hold_replies("health")

    async def work(client: AsyncClient) -> None:
        waiting = asyncio.create_task(client.health())
        await _until_async(lambda: bool(daemon.asked("health")))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        daemon.release()
        assert (await client.hello()).name == "local"

    _run(daemon, work)


def _run(daemon: FakeDaemon, work: Callable[[AsyncClient], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), AsyncClient(daemon.control, timeout_s=PATIENCE_S) as client:
            await work(client)

    asyncio.run(run())


def _interrupt(watch: Iterator[Update]) -> None:
    for _ in watch:
        raise KeyboardInterrupt


def _until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)  # polls the condition


async def _until_async(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(_until, condition)
