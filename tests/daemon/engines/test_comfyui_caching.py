"""What a ComfyUI server keeps is known by how it was started, and better by what its prompts show."""

from pathlib import Path

import pytest
from tests.conformance import comfyui_case
from tests.conformance.bench import Recorder, until, within_bound
from tests.conformance.comfyui_client import model_graph
from tests.daemon.engines.comfyui_bench import at_work, run_graphs, tried
from tests.fakes.comfyui.harness import ComfyProcess

from stoker_daemon.engines.comfyui.answers import Status
from stoker_daemon.engines.comfyui.caching import SURELY, Caching, found_by
from stoker_daemon.recipes.graph import Graph
from stoker_daemon.scheduling.estimating import NOTHING, Keeps

A, B = comfyui_case.CHECKPOINTS


def caching(*argv: str, version: str = "0.12.1") -> Caching:
    """Of a server that was started so."""
    known = Caching()
    known.learn(["main.py", *argv], version)
    return known


@pytest.mark.parametrize(
    ("argv", "version", "mode", "words"),
    [
        ((), "0.12.1", "classic", "results of the last prompt"),
        ((), "0.33.0", "ram", "as much as there is memory for"),
        ((), "unknown", "classic", "results of the last prompt"),
        (("--cache-classic",), "0.33.0", "classic", "results of the last prompt"),
        (("--cache-none",), "0.12.1", "none", "nothing: each prompt loads its models anew"),
        (("--cache-lru", "20"), "0.12.1", "lru", "results of the last 20 nodes"),
        (("--cache-lru=20",), "0.12.1", "lru", "results of the last 20 nodes"),
        (("--cache-lru=0",), "0.12.1", "classic", "results of the last prompt"),
        (("--cache-ram", "4.0"), "0.12.1", "ram", "as much as there is memory for"),
        (("--cache-ram=4",), "0.12.1", "ram", "as much as there is memory for"),
        (("--cpu", "--listen", "127.0.0.1"), "0.3.64", "classic", "results of the last prompt"),
    ],
)
def test_how_it_was_started(argv: tuple[str, ...], version: str, mode: str, words: str) -> None:
    """We expect the mode that the command line asks for, or the version's own, in words too."""
    known = caching(*argv, version=version)
    assert (known.mode, known.words()) == (mode, words)


def test_what_comes_back_was_kept() -> None:
    """We expect a file that was there after another model's prompt to prove that many are kept, whatever was said."""
    known = caching()
    known.saw("a", {"a": False})
    assert known.words() == "results of the last prompt"
    known.saw("b", {"b": False})
    assert known.words() == "results of the last prompt, as its prompts show"
    assert known.keeps() == Keeps("classic")
    known.saw("a", {"a": True})
    assert known.mode == "lru"
    assert (
        known.words()
        == "results of many prompts, as its prompts show (it was started to keep results of the last prompt)"
    )
    known.saw("b", {"b": False})
    assert known.keeps() == Keeps("lru", frozenset({"a", "b"}))


def test_what_is_never_there_is_not_kept() -> None:
    """We expect one file that was missing to be chance, and one that is missing again and again to tell the mode."""
    known = caching("--cache-ram", "4")
    known.saw("a", {"a": False})
    for _ in range(SURELY - 1):
        known.saw("a", {"a": False})
        assert known.mode == "ram"
    known.saw("a", {"a": False})
    assert (known.mode, known.keeps()) == ("none", Keeps(NOTHING))
    known.saw("a", {"a": True})
    assert known.mode == "ram"


def test_memory_that_is_too_small_for_two_models() -> None:
    """We expect a server that drops each model for the next to cost what a classic one does, until it does better."""
    known = caching("--cache-ram")
    for number in range(2 * SURELY):
        known.saw("ab"[number % 2], {"ab"[number % 2]: False})
    assert known.keeps() == Keeps("classic")
    known.saw("a", {"a": True})
    assert known.mode == "ram"


def test_a_server_that_freed_its_memory_or_restarted() -> None:
    """We expect nothing to be counted on then, and what the prompts of another server showed to be forgotten."""
    known = caching("--cache-lru", "20")
    known.saw("a", {"a": False})
    known.saw("b", {"b": False})
    known.saw("a", {"a": True})
    assert known.keeps().kept == {"a", "b"}
    known.let_go()
    assert known.keeps() == Keeps("lru")
    known.saw("a", {"a": False})
    assert (known.mode, known.keeps().kept) == ("lru", {"a"})
    known.learn(["main.py", "--cache-none"], "0.12.1")
    assert (known.words(), known.keeps()) == ("nothing: each prompt loads its models anew", Keeps(NOTHING))


def test_files_that_a_workflow_reads() -> None:
    """We expect what reads files of its own accord, by what it reads; of a LoRA the model's file decides."""
    graph: Graph = model_graph(A, steps=1)
    (loader,) = (node for node, each in graph.items() if each["class_type"] == "CheckpointLoaderSimple")
    lora = {"model": [loader, 0], "clip": [loader, 1], "lora_name": "x", "strength_model": 1, "strength_clip": 1}
    graph["lora"] = {"class_type": "LoraLoader", "inputs": lora}

    def found(*cached: str) -> list[bool]:
        return list(found_by(graph, Status("success", [("execution_cached", {"nodes": list(cached)})])).values())

    assert (found(), found(loader), found("lora")) == ([False], [True], [False])
    assert found_by(graph, Status("success", [])) == {}
    other = model_graph(A, steps=2)
    said = Status("success", [("execution_cached", {"nodes": []})])
    assert found_by(other, said).keys() == found_by(graph, said).keys()
    assert found_by(model_graph(B, steps=1), said).keys() != found_by(graph, said).keys()


@pytest.mark.parametrize(
    ("cache", "read", "mode"),
    [("default", [1, 0, 1, 1], "classic"), ("lru", [1, 0, 1, 0], "lru"), ("none", [1, 1, 1, 1], "none")],
)
def test_prompts_tell_what_they_read(tmp_path: Path, cache: str, read: list[int], mode: str) -> None:
    """We expect to hear of each prompt whether its model had to be read, and to know the server by that."""

    async def scenario() -> None:
        with ComfyProcess(tmp_path / "server", cache=cache) as server:
            async with at_work(server, tmp_path) as engine:
                told = Recorder()
                for number, model in enumerate([A, A, B, A]):
                    await within_bound(engine.load(model))
                    graph = model_graph(model, steps=1)
                    assert await within_bound(run_graphs(engine, told, graph, run_id=str(number)))
                assert [(each, heavy) for each, _, heavy in told.weights] == [(each, bool(each)) for each in read]
                assert all(seconds >= 0 for _, seconds, _ in told.weights)
                keeps = engine.keeps()
                assert keeps == Keeps(NOTHING if mode == "none" else mode, frozenset({A, B} if mode == "lru" else ()))
                facts = engine.facts().server
                assert facts is not None
                assert (
                    facts.caching.partition(",")[0]
                    in {
                        "classic": "results of the last prompt",
                        "lru": "results of the last 20 nodes",
                        "none": "nothing: each prompt loads its models anew",
                    }[mode]
                )
                await within_bound(engine.unload(""))
                await until(lambda: not engine.keeps().kept)

    tried(scenario)
