"""What a lane is told to run as it tells of loads and runs, and what is remembered of them."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import pytest
from tests.conformance.bench import members

from stoker_daemon.jobs.records import Arrival, Head, Limits, Reads, Run, Signature
from stoker_daemon.scheduling import policy
from stoker_daemon.scheduling.costs import Costs
from stoker_daemon.scheduling.deciding import ByKey, InWaves
from stoker_daemon.scheduling.dials import BALANCED
from stoker_daemon.scheduling.estimating import NOTHING, Keeps
from stoker_daemon.scheduling.residency import Key
from stoker_protocol.jobs import Priority

NORMAL, URGENT = Priority.NORMAL, Priority.URGENT
START_MS = 1_000_000
LOADED = [Key("gpu", "a"), Key("gpu", "b")]


def a_head(model: str, priority: Priority = NORMAL, ready: int = 10, came_ms: int = START_MS) -> Head:
    """What waits for a model; its signature's number is the model's first letter."""
    return Head(ord(model[0]), Signature("gpu", model, model), priority, ready, ord(model[0]), came_ms)


def a_run(run_id: str, model: str, items: int = 1) -> Run:
    """A run of so many items, as it was claimed."""
    member = members({})[0]
    some = tuple(replace(member, position=position) for position in range(items))
    return Run(run_id, "gpu", Signature("gpu", model, model), NORMAL, some, Limits(1.0, 1.0), ())


def waves(most: int = 8, loaded: Sequence[Key] = LOADED) -> InWaves:
    """A policy that knows nothing yet, over engines that say that they hold these models."""
    return InWaves(BALANCED, lambda _: most, lambda: loaded, START_MS, nullcontext())


def perform(decider: InWaves, run_id: str, model: str, *, load_s: float, run_s: float, items: int = 1) -> str:
    """Carry out what was chosen; why it was."""
    run = a_run(run_id, model, items)
    why = decider.loaded(run, load_s, START_MS)
    decider.ended(run, run_s, "well")
    return why


def test_a_loaded_model_is_used_up() -> None:
    """We expect what is loaded to go on before what came earlier, until it has worked for long enough."""
    decider = waves()
    heads = [a_head("b", came_ms=START_MS - 1000), a_head("a")]
    first = decider.choose(heads[1:], "1", START_MS)
    assert first is not None
    assert first.takes == ((heads[1], 8),)
    assert perform(decider, "1", "a", load_s=20, run_s=10) == "nothing else waits"
    second = decider.choose(heads, "2", START_MS)
    assert second is not None
    assert second.takes[0][0].signature.residency == "a"


def test_an_urgent_item_cuts_in_after_its_cap() -> None:
    """We expect an urgent item of another model to be taken after a minute, and the load to say why."""
    decider = waves()
    heads = [a_head("a", ready=1000), a_head("b", URGENT, ready=1, came_ms=START_MS - 61_000)]
    decider.choose(heads[:1], "1", START_MS)
    perform(decider, "1", "a", load_s=20, run_s=1)
    choice = decider.choose(heads, "2", START_MS)
    assert choice is not None
    assert choice.takes == ((heads[1], 1),)
    why = perform(decider, "2", "b", load_s=20, run_s=1)
    assert why == "an urgent item has waited 61 s, and after 60 s it goes before all else"


def test_what_a_dead_engine_held_is_not_counted_on() -> None:
    """We expect the model of an engine that died to have no advantage any more."""
    decider = waves()
    decider.choose([a_head("a")], "1", START_MS)
    perform(decider, "1", "a", load_s=20, run_s=1)
    decider.lost("gpu")
    choice = decider.choose([a_head("a"), a_head("b", Priority.HIGH)], "2", START_MS)
    assert choice is not None
    assert choice.takes[0][0].signature.residency == "b"


def test_loads_within_runs_are_priced() -> None:
    """We expect a load that an engine does within the first run to be known once its runs are, and only then."""
    held: list[Key] = []
    decider = waves(loaded=held)
    for number, run_s in enumerate([23.0, 3.0, 3.0, 3.0]):
        decider.choose([a_head("a", ready=1)], str(number), START_MS)
        perform(decider, str(number), "a", load_s=0, run_s=run_s)
        held[:] = [Key("gpu", "a")]
    other = waves()
    other.recall(decider.learned())
    (load,) = Costs.decoded(other.learned()).loads.values()
    assert load.seconds == pytest.approx(20, abs=1)


def priced(decider: InWaves) -> dict[str, float]:
    """What loads are known to take, by model and price class."""
    loads = Costs.decoded(decider.learned()).loads
    return {" ".join(name.split("\x1f")[1:]): load.seconds for name, load in loads.items()}


def carry_out(decider: InWaves, held: list[Key], models: str, seconds: Sequence[float], loads: Sequence[int]) -> None:
    """Runs of one item each, whose engine says how many model files each had to read, and what it has held since."""
    for number, (model, run_s, read) in enumerate(zip(models, seconds, loads, strict=True)):
        decider.choose([a_head(model, ready=1)], str(number), START_MS)
        run = a_run(str(number), model)
        decider.loaded(run, 0.0, START_MS)
        decider.ended(run, run_s, "well", None, Reads(read, 15.0 * read))
        held[:] = [Key("gpu", model)]


def test_loads_that_an_engine_tells_of() -> None:
    """We expect a load that nobody foresaw not to be taken for a slow run, and its price to be learned."""
    held = [Key("gpu", "a")]
    decider = waves(loaded=held)
    carry_out(decider, held, "aaaaaa", [3.0, 3.0, 3.0, 3.0, 23.0, 3.0], [0, 0, 0, 0, 1, 0])
    assert priced(decider) == {"a ": pytest.approx(20, abs=0.5)}
    (line,) = Costs.decoded(decider.learned()).runs.values()
    assert line.at(1) == pytest.approx(3.0, abs=0.1)


def test_a_load_has_a_price_at_once() -> None:
    """We expect a load to be as dear as its run at first, within reason, and what it really is once runs tell that."""
    held: list[Key] = []
    decider = waves(loaded=held)
    carry_out(decider, held, "a", [23.0], [1])
    assert priced(decider) == {"a ": 23.0}
    carry_out(decider, held, "aaa", [3.0, 3.0, 3.0], [0, 0, 0])
    assert priced(decider) == {"a ": pytest.approx(20, abs=0.5)}


def test_prices_by_what_an_engine_keeps() -> None:
    """We expect a model that comes back from the host's memory to have a price of its own, and the order to know it."""
    keeps = Keeps("ram", frozenset({"b"}))
    held: list[Key] = []
    decider = InWaves(BALANCED, lambda _: 8, lambda: held, START_MS, nullcontext(), keeps=lambda: {"gpu": keeps})
    carry_out(decider, held, "aaaa", [23.0, 3.0, 3.0, 3.0], [1, 0, 0, 0])
    carry_out(decider, held, "bbbb", [5.0, 3.0, 3.0, 3.0], [0, 0, 0, 0])
    assert priced(decider) == {"a ram": pytest.approx(20, abs=1), "b ram kept": pytest.approx(2, abs=1)}
    held[:] = [Key("gpu", "c")]
    decider.choose([a_head("a")], "last", START_MS)
    assert decider.load_s(Key("gpu", "b")) == pytest.approx(2, abs=1)
    assert decider.load_s(Key("gpu", "d")) == pytest.approx(20, abs=1)


def test_an_engine_that_keeps_nothing() -> None:
    """We expect a switch to cost nothing where each run loads its model, which is then part of what runs take."""
    held = [Key("gpu", "a")]
    decider = InWaves(
        BALANCED, lambda _: 8, lambda: held, START_MS, nullcontext(), keeps=lambda: {"gpu": Keeps(NOTHING)}
    )
    carry_out(decider, held, "aaaa", [23.0, 23.0, 23.0, 23.0], [1, 1, 1, 1])
    assert priced(decider) == {}
    (line,) = Costs.decoded(decider.learned()).runs.values()
    assert line.at(1) == pytest.approx(23.0, abs=0.1)
    choice = decider.choose([a_head("a", ready=8), a_head("b", Priority.HIGH, ready=8)], "next", START_MS)
    assert choice is not None
    assert choice.takes[0][0].signature.residency == "b"


def test_what_comes_next() -> None:
    """We expect the model of the next wave to be named once the present one is there, and not at every look."""
    decider = waves(loaded=[])
    heads = [a_head("a"), a_head("b", Priority.HIGH, ready=5), a_head("c", ready=2)]
    assert decider.upcoming(START_MS) is None
    decider.choose(heads, "1", START_MS)
    run = a_run("1", "b")
    decider.loaded(run, 20.0, START_MS)
    assert decider.upcoming(START_MS) is None
    decider.ended(run, 1.0, "well")
    assert decider.upcoming(START_MS) == Key("gpu", "a")
    assert decider.upcoming(START_MS + 500) is None
    assert decider.upcoming(START_MS + 2_000) == Key("gpu", "a")
    decider.choose(heads[1:2], "2", START_MS)
    assert decider.upcoming(START_MS + 10_000) is None


def test_memory_that_ran_out_is_said_once() -> None:
    """We expect half of the items in the next run, and one word about it."""
    decider = waves()
    heads = [a_head("a", ready=100)]
    decider.choose(heads, "1", START_MS)
    assert decider.ended(a_run("1", "a", 8), 1.0, "out of memory") == "a batch of 8 ran out of memory"
    second = decider.choose(heads, "2", START_MS)
    assert second is not None
    assert second.takes[0][1] == 4
    assert decider.ended(a_run("2", "a", 4), 1.0, "badly") == ""


def test_batches_fit_into_what_is_free() -> None:
    """We expect as many items as the memory allows, by what is believed at first and then by what runs needed."""
    decider = waves()
    heads = [a_head("a", ready=100)]

    def size(run_id: str) -> int:
        choice = decider.choose(heads, run_id, START_MS)
        assert choice is not None
        return choice.takes[0][1]

    assert size("unknown") == 8
    decider.see({"gpu": 24.0})
    sizes: list[int] = []
    for number in range(8):
        run_id = str(number)
        sizes.append(size(run_id))
        run = a_run(run_id, "a", sizes[-1])
        decider.loaded(run, 0.0 if number else 1.0, START_MS)
        decider.ended(run, 1.0 + sizes[-1], "well", 4.0 + 1.0 * sizes[-1])
    assert sizes[0] == 2  # 6 + 4 GB for each are believed to be needed, and a tenth stays free
    assert sizes[-1] == 8
    decider.see({"gpu": 9.0})
    assert size("less") < 8


def test_what_an_engine_keeps_is_not_what_a_smaller_run_needs() -> None:
    """We expect memory that a large run took to say nothing of the small ones after it."""
    decider = waves()
    decider.see({"gpu": 100.0})
    for number, items in enumerate([8, 1, 1, 1, 1, 1]):
        decider.choose([a_head("a", ready=items)], str(number), START_MS)
        run = a_run(str(number), "a", items)
        decider.loaded(run, 0.0 if number else 1.0, START_MS)
        decider.ended(run, float(items), "well", 38.0)
    (line,) = Costs.decoded(decider.learned()).memory.values()
    assert line.count == 1


def test_very_short_items_share_large_runs() -> None:
    """We expect items that take less than a commit to fill what their engine takes at once."""
    decider = waves(most=64)
    sizes: list[int] = []
    for number in range(12):
        choice = decider.choose([a_head("a", ready=1000)], str(number), START_MS)
        assert choice is not None
        sizes.append(choice.takes[0][1])
        perform(decider, str(number), "a", load_s=0.5 if not number else 0, run_s=0.0002 * sizes[-1], items=sizes[-1])
    assert (sizes[0], sizes[-1]) == (8, 64)


@pytest.mark.parametrize(("idle", "expected"), [(True, "high"), (False, "a")])
def test_arrivals_make_loads_dear(idle: bool, expected: str) -> None:
    """We expect work that keeps arriving to count against a switch, but not what ends an idle spell."""
    decider = waves()
    decider.choose([a_head("a")], "1", START_MS)
    perform(decider, "1", "a", load_s=20, run_s=50)
    decider.arrive([Arrival(ord("a"), Signature("gpu", "a", "a"), 400)], START_MS, idle=idle)
    choice = decider.choose([a_head("a", ready=20), a_head("high", Priority.HIGH)], "2", START_MS)
    assert choice is not None
    assert choice.takes[0][0].signature.residency == expected


def test_a_key_takes_one_job() -> None:
    """We expect a simple order to take items of the head's first job only, as many as the engine allows."""
    decider = ByKey(policy.strict, lambda _: 4)
    heads = [a_head("a"), a_head("b", URGENT)]
    choice = decider.choose(heads, "1", START_MS)
    assert choice is not None
    assert (choice.takes, choice.one_job) == (((heads[1], 4),), True)
    decider.loaded(a_run("1", "b"), 1.0, START_MS)
    again = decider.choose([a_head("a"), a_head("b")], "2", START_MS)
    assert again is not None
    assert again.takes[0][0].signature.residency == "b"
    decider.lost("gpu")
    last = decider.choose([a_head("a"), a_head("b")], "3", START_MS)
    assert last is not None
    assert last.takes[0][0].signature.residency == "a"


@pytest.mark.parametrize(("active", "expected"), [("", 8), (" with lora", 4), (" with lora+mask", 2)])
def test_active_controls_make_for_smaller_runs(active: str, expected: int) -> None:
    """We expect the first runs to have half as many items for each optional input that is active."""
    head = replace(a_head("a", ready=100), signature=Signature("gpu", "a", f"close abc{active}"))
    choice = waves().choose([head], "1", START_MS)
    assert choice is not None
    assert choice.takes[0][1] == expected


WHOLE, PART, ALL_THERE = Reads(1, 15.0), Reads(1, 0.1, heavy=False), Reads(0, 0.0)


def visit(decider: InWaves, held: list[Key], model: str, seconds: float, reads: Reads) -> None:
    """A run that has a load in it, which reads so much, and enough like it that have none."""
    for run_s, read in ((seconds, reads), *[(3.0, ALL_THERE)] * 4):
        head = replace(a_head(model, ready=1), signature_id=hash(model))
        assert decider.choose([head], model, START_MS)
        decider.loaded(a_run(model, model), 0.0, START_MS)
        decider.ended(a_run(model, model), run_s, "well", None, read)
        held[:] = [Key("gpu", model)]


def test_levels_are_learned_apart() -> None:
    """We expect a load within the same heavy weights to teach what that takes, and nothing of a whole load."""
    held: list[Key] = []
    decider = waves(loaded=held)
    visit(decider, held, "a + x", 23.0, WHOLE)
    whole = {"a ": pytest.approx(20, abs=0.5)}
    assert priced(decider) == whole
    visit(decider, held, "a + y", 5.0, ALL_THERE)
    lora = {" + y ": pytest.approx(2, abs=0.2)}
    assert priced(decider) == {**whole, **lora}
    visit(decider, held, "a + y + v", 6.0, PART)
    vae = {" + y + v ": pytest.approx(3, abs=0.2)}
    assert priced(decider) == {**whole, **lora, **vae}
    visit(decider, held, "a + z", 23.0, WHOLE)  # somebody else had the server load other weights
    assert priced(decider) == {**whole, **lora, **vae}
    again = waves()
    again.recall(decider.learned())
    assert again.load_s(Key("gpu", "a + q")) == pytest.approx(20, abs=0.5)
    assert again.load_s(Key("gpu", " + y")) == pytest.approx(2, abs=0.2)


def test_a_part_that_was_lost_has_no_price() -> None:
    """We expect a small file that has to be read again not to be taken for a load of all that is there."""
    held: list[Key] = []
    decider = waves(loaded=held)
    visit(decider, held, "a + x", 23.0, WHOLE)
    before = priced(decider)
    visit(decider, held, "a + x", 4.0, PART)
    assert priced(decider) == before


def test_an_order_by_levels() -> None:
    """We expect another LoRA on the present checkpoint to go before another checkpoint, which came first."""
    held: list[Key] = []
    decider = waves(loaded=held)
    visit(decider, held, "a + x", 23.0, WHOLE)
    heads = [
        Head(number, Signature("gpu", model), NORMAL, 5, number, START_MS)
        for number, model in enumerate(("b + x", "b + y", "a + y"))
    ]
    choice = decider.choose(heads, "next", START_MS)
    assert choice is not None
    assert choice.takes[0][0].signature.residency == "a + y"
