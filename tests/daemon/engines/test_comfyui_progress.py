"""The progress of a prompt is one figure that never goes back, weighted by what its nodes took before."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.engines.comfyui.progress import NodeTimes, PromptProgress, phase_of

GRAPH: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1]}},
    "3": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "steps": 20}},
    "4": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "steps": 10}},
    "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0]}},
    "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}},
}
NODES = st.sampled_from([*GRAPH, "3.0.0.1", "nobody", ""])
NUMBERS = st.floats(allow_nan=False) | st.integers(-5, 50).map(float)
CLOCK = st.floats() | st.integers(0, 100).map(float)


def test_a_whole_run() -> None:
    """Each node adds what it is expected to take, a sampler with each of its steps, and the phases have their names."""
    progress = PromptProgress(GRAPH, NodeTimes())
    told = [progress.enter(node, float(at)) for at, node in enumerate("123")]
    told += [progress.step(step, 20) for step in range(1, 21)]
    told += [progress.enter("4", 10.0), progress.step(5, 10), progress.enter("5", 12.0), progress.enter("6", 13.0)]
    told.append(progress.end(14.0))
    fractions = [advance.fraction for advance in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    phases = list(dict.fromkeys(advance.phase for advance in told))
    assert phases == ["loading", "encoding", "sampling", "decoding", "saving"]
    ten_steps = fractions[12] - fractions[2]
    assert math.isclose(fractions[22] - fractions[12], ten_steps)
    assert math.isclose(told[24].fraction - told[23].fraction, ten_steps / 2)
    assert (told[12].step, told[12].steps) == (10, 20)


def test_cached_nodes() -> None:
    """Nodes that need not run are no part of the whole."""
    progress = PromptProgress(GRAPH, NodeTimes())
    progress.cached(["1", "2", "3", "5", "6"])
    assert progress.enter("4", 0.0).fraction == 0.0
    assert math.isclose(progress.step(5, 10).fraction, 0.5)
    everything = PromptProgress(GRAPH, NodeTimes())
    everything.cached(GRAPH)
    assert everything.end(0.0).fraction == 0.0


def test_nodes_inside_of_a_node() -> None:
    """What a node expands to is part of that node: it is not done when another of them begins."""
    graph: dict[str, Any] = {
        "1": {"class_type": "Expand", "inputs": {}},
        "2": {"class_type": "SaveImage", "inputs": {}},
    }
    progress = PromptProgress(graph, NodeTimes())
    told = [progress.enter("1", 0.0), progress.step(1, 2), progress.enter("1", 5.0), progress.enter("2", 9.0)]
    assert [advance.fraction for advance in told] == sorted(advance.fraction for advance in told)
    assert told[1].fraction == told[2].fraction > 0
    assert told[1].fraction < told[3].fraction < 1


def test_learned_times() -> None:
    """What a node took is expected of it the next time, of a sampler for each step."""
    times = NodeTimes()
    first = PromptProgress(GRAPH, times)
    for node, at in (("1", 0.0), ("2", 90.0), ("3", 90.1), ("4", 94.1)):
        first.enter(node, at)
    assert times.expected_s(GRAPH["1"]) == 90.0
    assert math.isclose(times.expected_s(GRAPH["3"]), 4.0)
    assert math.isclose(times.expected_s(GRAPH["4"]), 2.0)
    assert PromptProgress(GRAPH, times).enter("1", 0.0).fraction == 0.0
    second = PromptProgress(GRAPH, times)
    second.enter("1", 0.0)
    assert second.enter("2", 50.0).fraction > 0.9
    assert 50.0 < times.expected_s(GRAPH["1"]) < 90.0


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, 1e300])
def test_impossible_times(seconds: float) -> None:
    """A time that no clock can have measured teaches nothing."""
    times = NodeTimes()
    before = times.expected_s(GRAPH["1"])
    times.learn(GRAPH["1"], seconds)
    assert times.expected_s(GRAPH["1"]) == before


@pytest.mark.parametrize("inputs", [{}, {"steps": ["7", 0]}, {"steps": 0}, {"steps": "20"}, {"steps": -3}])
def test_steps_that_are_no_number(inputs: dict[str, Any]) -> None:
    """A sampler whose steps come from elsewhere is expected to take what one step takes."""
    node = {"class_type": "KSampler", "inputs": inputs}
    assert NodeTimes().expected_s(node) == NodeTimes().expected_s({"class_type": "KSampler", "inputs": {"steps": 1}})


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("KSamplerAdvanced", "sampling"),
        ("SamplerCustomAdvanced", "sampling"),
        ("UNETLoader", "loading"),
        ("LoadImage", "loading"),
        ("VAEEncodeForInpaint", "encoding"),
        ("VAEDecodeTiled", "decoding"),
        ("SaveAnimatedWEBP", "saving"),
        ("PreviewImage", "saving"),
        ("ImageInvert", "running"),
        ("", "running"),
    ],
)
def test_phases(name: str, phase: str) -> None:
    """The class of a node tells what it does."""
    assert phase_of(name) == phase


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("cached"), st.lists(NODES)),
            st.tuples(st.just("enter"), NODES, CLOCK),
            st.tuples(st.just("step"), NUMBERS, NUMBERS),
            st.tuples(st.just("end"), CLOCK),
            st.tuples(st.just("now")),
        ),
        max_size=30,
    )
)
def test_any_order(calls: list[tuple[Any, ...]]) -> None:
    """Whatever comes in whatever order by whatever clock, the figure stays within its bounds and never goes back."""
    times = NodeTimes()
    for _ in range(2):
        progress = PromptProgress(GRAPH, times)
        last = 0.0
        for name, *arguments in calls:
            advance = getattr(progress, name)(*arguments)
            if advance is not None:
                assert last <= advance.fraction <= 1.0
                assert 0 <= advance.step <= advance.steps <= 1e9
                last = advance.fraction
