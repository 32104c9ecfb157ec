"""Members of a run that share a prompt: who of them gets what, who is left out, and what is found again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, members, until, within_bound
from tests.conformance.comfyui_case import CHECKPOINTS
from tests.conformance.comfyui_client import model_graph
from tests.daemon.engines.comfyui_bench import at_work, cut_short, tried
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.engines.comfyui import ComfyEngine
from stoker_daemon.engines.comfyui.parts import MAX_DEPTH, Part, fill, names_of, parts_of, prompt_id
from stoker_daemon.engines.comfyui.sharing import FORGIVEN_S, Sharing
from stoker_daemon.jobs.records import Member
from stoker_protocol.codec import pack
from stoker_protocol.jobs import Level
from stoker_protocol.requests import ItemSpec, Submit

NOTHING: list[dict[str, Any]] = [{}] * 8


def runners(engine: ComfyEngine, count: int, level: Level = "close", **own: dict[int, Any]) -> list[Member]:
    """Members that differ in their seeds; `own` inputs of the sampler by position."""
    graph = model_graph(CHECKPOINTS[0])
    request = Submit(id="1", job_id="job", workflow=pack(graph), items=[ItemSpec()], level=level)
    items = [
        {"3.seed": 10 + number, **{f"3.{name}": at[number] for name, at in own.items() if number in at}}
        for number in range(count)
    ]
    given = items if level != "series" else [{"3.seed": 10}] * count
    return members(*given, template=engine.place(request).template)


@pytest.fixture
def pack_server(tmp_path: Path) -> Any:
    """A server with the node pack."""
    with ComfyProcess(tmp_path / "server", stoker_nodes="yes") as server:
        yield server


def test_a_member_that_is_left_out_before_it_begins(pack_server: ComfyProcess, tmp_path: Path) -> None:
    """We expect a prompt for the others only."""

    async def scenario() -> None:
        async with at_work(pack_server, tmp_path) as engine:
            recorder = Recorder()
            recorder.unwanted = {1}
            assert await within_bound(engine.run("run", runners(engine, 3), recorder)) is True
            assert (recorder.positions, recorder.failures) == ([0, 2], [])
            assert [output.record["batch"]["size"] for output in recorder.outputs] == [2, 2]
            assert len(pack_server.executions()) == 1

    tried(scenario)


def test_a_member_that_is_left_out_at_work(pack_server: ComfyProcess, tmp_path: Path) -> None:
    """We expect that the prompt goes on for the others, and that nothing comes of the one that nobody wants."""

    async def scenario() -> None:
        async with at_work(pack_server, tmp_path) as engine:
            pack_server.defects(hold=True)
            recorder = Recorder()
            running = asyncio.create_task(engine.run("run", runners(engine, 3), recorder))
            await until(lambda: pack_server.state()["held"])
            recorder.unwanted = {0}
            pack_server.release()
            assert await within_bound(running) is True
            assert (recorder.positions, recorder.failures) == ([1, 2], [])
            assert len(pack_server.executions()) == 1

    tried(scenario)


def test_a_prompt_that_nobody_wants_is_stopped(pack_server: ComfyProcess, tmp_path: Path) -> None:
    """We expect that a prompt ends if all that share it are left out, and that the other one of the run goes on."""

    async def scenario() -> None:
        async with at_work(pack_server, tmp_path) as engine:
            pack_server.defects(hold=True)
            recorder = Recorder()
            run = engine.run("run", runners(engine, 4, steps={2: 3, 3: 3}), recorder)
            running = asyncio.create_task(run)
            await until(lambda: pack_server.state()["held"])
            recorder.unwanted = {0, 1}
            await until(lambda: len(pack_server.executions()) == 2)
            pack_server.release()
            assert await within_bound(running) is True
            assert (recorder.positions, recorder.failures) == ([2, 3], [])

    tried(scenario)


@pytest.mark.parametrize(("then", "now"), [(8, 8), (8, 3), (3, 8), (8, 1), (1, 8)])
def test_what_was_begun_is_found_by_who_shares_otherwise(
    pack_server: ComfyProcess, tmp_path: Path, then: int, now: int
) -> None:
    """We expect that a later daemon with another batch size makes nothing again, and gives each member its own."""

    async def scenario() -> None:
        async with at_work(pack_server, tmp_path, batch_size=then) as engine:
            first = Recorder()
            assert await within_bound(engine.run("run", runners(engine, 8), first)) is True
        begun = len(pack_server.executions())
        async with at_work(pack_server, tmp_path, batch_size=now) as engine:
            again = Recorder()
            assert await within_bound(engine.holds(cut_short("run", NOTHING)))
            assert await within_bound(engine.run("run", runners(engine, 8), again)) is True
            assert begun == len(pack_server.executions()) == -(-8 // then)
            assert sorted(again.positions) == list(range(8))
            assert {o.position: o.data for o in again.outputs} == {o.position: o.data for o in first.outputs}
            for output in again.outputs:
                assert output.record["workflow"]["3"]["inputs"]["seed"] == 10 + output.position
                assert f"/{output.position:05}-run" in output.record["file"]

    tried(scenario)


# Without a server


@pytest.fixture
def engine(tmp_path: Path) -> ComfyEngine:
    """An engine that has not been started."""
    return comfyui_case.engine(tmp_path, "http://127.0.0.1:9")


def shape(parts: Sequence[Part]) -> list[tuple[str, list[int]]]:
    """Names and positions."""
    return [(part.name, part.positions) for part in parts]


def test_parts_of_a_run(engine: ComfyEngine) -> None:
    """We expect prompts of so many at most, each of members that are alike, in the order of their first members."""
    ready = [fill(member) for member in runners(engine, 6, steps={1: 9, 4: 9})]
    assert shape(parts_of(ready, lambda _: 3)) == [("0+0", [0, 2, 3]), ("1+0", [1, 4]), ("5", [5])]
    assert shape(parts_of(ready, lambda _: 1)) == [(str(n), [n]) for n in range(6)]
    exact = [fill(member) for member in runners(engine, 3, "exact")]
    assert shape(parts_of(exact, lambda _: 8)) == [("0", [0]), ("1", [1]), ("2", [2])]


def test_parts_of_a_run_that_was_begun(engine: ComfyEngine) -> None:
    """We expect prompts to begin where those that the server has began, whatever may share one now."""
    ready = [fill(member) for member in runners(engine, 6)]
    assert shape(parts_of(ready, lambda _: 1, {"0+0"})) == [("0+0", list(range(6)))]
    assert shape(parts_of(ready, lambda _: 2, {"0+0", "3+0"})) == [("0+0", [0, 1, 2]), ("3+0", [3, 4, 5])]
    assert shape(parts_of(ready, lambda _: 8, {"0", "1"})) == [("0", [0]), ("1", [1]), ("2+0", [2, 3, 4, 5])]


def test_a_series_needs_neighbours(engine: ComfyEngine) -> None:
    """We expect prompts of images that follow each other, and each with its place."""
    ready = [fill(member) for member in runners(engine, 6, "series")]
    (part,) = parts_of(ready, lambda _: 8)
    assert part.graph()["3#places"]["inputs"]["length"] == 6
    parts = parts_of([one for one in ready if one.number != 2], lambda _: 8)
    assert shape(parts) == [("0+0", [0, 1]), ("3+0", [3, 4, 5])]
    assert parts[1].graph()["3#places"]["inputs"]["batch_index"] == 3
    assert parts[1].without({4}).positions == [3, 4, 5]
    assert parts[1].without({3, 4, 5}).positions == []


def test_a_part_is_made_smaller(engine: ComfyEngine) -> None:
    """We expect halves, or those to blame alone and the others together, under names that no other prompt has."""
    (part,) = parts_of([fill(member) for member in runners(engine, 5)], lambda _: 8)
    assert shape(part.split(())) == [("0+1", [0, 1, 2]), ("3+1", [3, 4])]
    assert shape(part.split({3})) == [("3", [3]), ("0+1", [0, 1, 2, 4])]
    assert shape(part.split(range(5))) == shape(part.split(()))
    assert shape(part.cut(2)) == [("0+1", [0, 1]), ("2+1", [2, 3]), ("4", [4])]
    seen, waiting = set[str](), [part]
    while waiting:
        one = waiting.pop()
        assert one.name not in seen
        seen.add(one.name)
        waiting += one.split(()) if one.is_shared else []
    assert seen <= set(names_of(range(5), MAX_DEPTH))
    assert len({prompt_id("run", name) for name in names_of(range(64), MAX_DEPTH)}) == 64 * (MAX_DEPTH + 2)


def test_a_ceiling_is_remembered_and_forgiven() -> None:
    """We expect half of what memory did not bear, for that workflow only, until an hour is over."""
    now_s = 0.0
    sharing = Sharing(8, lambda: now_s)
    assert (sharing.levels(), sharing.most("close a"), sharing.most("series a")) == (["exact", "series"], 1, 8)
    sharing.has_nodes = True
    sharing.ran_out("close a", 8)
    assert (sharing.most("close a"), sharing.most("close b"), sharing.most("")) == (4, 8, 1)
    now_s = FORGIVEN_S
    assert sharing.most("close a") == 8
    assert Sharing(1, lambda: now_s).levels() == ["exact"]
