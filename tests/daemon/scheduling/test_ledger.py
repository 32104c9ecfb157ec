"""The account of a GPU's memory."""

from hypothesis import given
from hypothesis import strategies as st

from stoker_daemon.jobs.records import Resident
from stoker_daemon.scheduling.ledger import OTHERS, SMALL, UNSEEN, Claim, holdings
from stoker_protocol.gpus import Gpu, GpuProcess, Holding

GB = 1 << 30


def card(used_gb: float, *processes: GpuProcess, is_unified: bool = False) -> Gpu:
    """A card of 24 GB."""
    return Gpu(0, "card", "GPU-1", 24 * GB, int((24 - used_gb) * GB), is_unified, processes=list(processes))


def test_nobody_holds_anything() -> None:
    """We expect an empty account of an empty card, whatever small thing the driver keeps for itself."""
    assert holdings(card(0.05), [Claim("python"), Claim("comfyui", port=8188)]) == []


def test_the_driver_goes_before_the_engine() -> None:
    """We expect a model to hold what its process holds, rather than what its engine believes or does not know."""
    gpu = card(11, GpuProcess(7, "worker", 6 * GB), GpuProcess(8, "main.py", 5 * GB, [8188]))
    worker = Claim("python", (Resident("sd", pid=7),), frozenset({7}))
    server = Claim("comfyui", (Resident("xl", 3 * GB),), port=8188)
    assert holdings(gpu, [worker, server]) == [
        Holding("python", "sd", 6 * GB, 7),
        Holding("comfyui", "xl", 3 * GB, 8),
        Holding("comfyui", "", 2 * GB, 8),
    ]


def test_several_models_of_one_process() -> None:
    """We expect what each model is known to hold, and one line for the rest of their process."""
    gpu = card(10, GpuProcess(7, "worker", 10 * GB))
    models = (Resident("a", 4 * GB, 7), Resident("b", 5 * GB, 7))
    found = holdings(gpu, [Claim("python", models, frozenset({7}))])
    assert [(holding.what, holding.bytes) for holding in found] == [("b", 5 * GB), ("a", 4 * GB), ("", GB)]


def test_a_model_of_the_hosts_memory() -> None:
    """We expect a model whose process is not on the card not to be listed, and one that nobody knows of to be."""
    gpu = card(0.1, GpuProcess(8, "other", GB // 20))
    worker = Claim("sprites", (Resident("classic", pid=7),), frozenset({7}))
    assert [holding.holder for holding in holdings(gpu, [worker])] == ["other"]
    server = Claim("comfyui", (Resident("xl"),), port=8188)
    assert [holding.holder for holding in holdings(gpu, [worker, server])] == ["other", "comfyui"]


def test_strangers() -> None:
    """We expect strangers by name or number, and what no process is shown for as such."""
    gpu = card(12, GpuProcess(1, "blender", 7 * GB), GpuProcess(2, "", 2 * GB), GpuProcess(3, "silent"))
    assert holdings(gpu, []) == [
        Holding("blender", "", 7 * GB, 1, is_stranger=True),
        Holding(UNSEEN, "", 3 * GB),
        Holding("process 2", "", 2 * GB, 2, is_stranger=True),
        Holding("silent", "", None, 3, is_stranger=True),
    ]


def test_a_server_whose_process_nobody_may_see() -> None:
    """We expect nobody to be called a stranger who may be the server: only what all others hold is known then."""
    gpu = card(12, GpuProcess(1, "", 9 * GB), GpuProcess(2, "", 3 * GB))
    found = holdings(gpu, [Claim("comfyui", (Resident("xl", 8 * GB),), port=8188)])
    assert found == [Holding("comfyui", "xl", 8 * GB), Holding(OTHERS, "", 4 * GB, is_stranger=True)]


def test_unified_memory() -> None:
    """We expect what the host's own processes hold not to be put to anybody's account where memory is shared."""
    assert holdings(card(20, is_unified=True), []) == []


processes = st.lists(
    st.builds(GpuProcess, st.integers(1, 9), st.just("p"), st.integers(0, 8 * GB) | st.none()),
    max_size=4,
    unique_by=lambda process: process.pid,
)
residents = st.lists(st.builds(Resident, st.sampled_from("ab"), st.integers(0, 30 * GB) | st.none()), max_size=2)


@given(processes, residents, st.sets(st.integers(1, 9)), st.integers(0, 4))
def test_no_process_counts_twice(found: list[GpuProcess], held: list[Resident], mine: set[int], more_gb: int) -> None:
    """We expect the account to fill the card as far as the driver says it is full, when engines claim no more."""
    used = sum(process.bytes or 0 for process in found) + more_gb * GB
    gpu = Gpu(0, "card", "GPU-1", 1 << 40, (1 << 40) - used, processes=found)
    account = holdings(gpu, [Claim("e", tuple(held), frozenset(mine))])
    said = sum(holding.bytes or 0 for holding in account)
    claimed = sum(resident.bytes or 0 for resident in held)
    assert said >= used - SMALL * (len(found) + 2)
    if not claimed:
        assert said <= used
