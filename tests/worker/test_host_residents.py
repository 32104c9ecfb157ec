"""Several models in one worker: which of them are loaded, what they hold, and which of them runs."""

from pathlib import Path

from tests.worker.host_process import outputs, ready, spawned

from stoker_protocol.errors import FailureKind
from stoker_protocol.worker import Hosted, Loaded, LoadFailed, Ready, Unload, Unloaded

FAULTS = "tests.models.faults:Faults"


def test_models_stay_until_they_are_unloaded(tmp_path: Path) -> None:
    """Models are loaded beside each other, none twice, and go one by one or all together."""
    log = tmp_path / "log"
    with ready({"log": str(log)}) as host:
        said = host.load("two")
        assert isinstance(said, Loaded)
        assert [each.model for each in said.holdings] == ["one", "two"]
        assert isinstance(host.load("one"), Loaded)
        assert log.read_text().splitlines() == ["load one", "load two"]
        host.tell(Unload(model="one"))
        gone = host.hear()
        assert isinstance(gone, Unloaded)
        assert (gone.model, [each.model for each in gone.holdings]) == ("one", ["two"])
        host.load("one")
        host.tell(Unload())
        assert host.hear() == Unloaded()
        assert log.read_text().splitlines()[2:] == ["unload one", "load one", "unload two", "unload one"]


def test_run_without_its_model() -> None:
    """A run whose model is not loaded fails, and says so."""
    with ready() as host:
        host.tell(Unload(model="one"))
        host.hear()
        ended, _ = host.run({})
        assert (ended.how, ended.kind) == ("failed", FailureKind.INTERNAL)
        assert "no model is loaded" in ended.message


def test_what_a_model_holds_is_measured() -> None:
    """A load tells how much the process grew by, and what was unloaded is given back to the system."""
    with ready({"hold_mb": 64}) as host:
        for _ in range(3):
            said = host.load("two")
            assert isinstance(said, Loaded)
            sizes = {each.model: (each.bytes or 0) >> 20 for each in said.holdings}
            assert sizes.keys() == {"one", "two"}
            assert 60 <= sizes["two"] <= 72
            assert host.resident_bytes() >> 20 >= 128
            host.tell(Unload(model="two"))
            host.hear()
            assert host.resident_bytes() >> 20 < 128


def test_classes_under_names_of_their_own() -> None:
    """Each hosted class has options and a name of its own, and each run says which it means."""
    classes = [Hosted(FAULTS, {"max_batch": 2, "bytes": {"one": 5}}, "small"), Hosted("sprites", {"load_s": 0}, "neon")]
    with spawned(classes=classes) as host:
        said = host.hear()
        assert isinstance(said, Ready)
        families = [said.family, *said.others]
        assert [[model.name for model in family.models] for family in families] == [["small"], ["neon"]]
        assert [family.max_batch for family in families] == [2, 64]
        assert families[0].bytes == {"small": 5}
        for model in ("neon", "small"):
            assert isinstance(host.load(model), Loaded)
        assert outputs(host.run({"prompt": "cat"})[1]) == [(0, b"cat")]
        ((position, picture),) = outputs(host.run({"prompt": "cat"}, model="neon")[1])
        assert (position, picture[:4]) == (0, b"\x89PNG")


def test_class_that_can_not_be_used_is_named() -> None:
    """Of several classes the one that can't be used is told with its model."""
    with spawned(classes=[Hosted(FAULTS, name="fine"), Hosted("tests.nowhere:Nothing", name="lost")]) as host:
        said = host.hear()
        assert isinstance(said, LoadFailed)
        message = "lost (tests.nowhere:Nothing): ModuleNotFoundError: No module named 'tests.nowhere'"
        assert (said.model, said.message) == ("lost", message)


def test_model_that_there_is_not() -> None:
    """A load of what no class offers fails with what may have been meant."""
    with ready() as host:
        said = host.load("twoo")
        assert isinstance(said, LoadFailed)
        assert said.message == "ValueError: there is no model 'twoo'; did you mean two?"


def test_memory_that_runs_out() -> None:
    """A model that eats all that its worker may have fails its run as `oom`, and the worker goes on."""
    with ready(memory_mb=300) as host:
        ended, said = host.run({"prompt": "made"}, {"prompt": "eater", "do": "eat"})
        assert (ended.how, ended.kind) == ("failed", FailureKind.OOM)
        assert outputs(said) == [(0, b"made")]
        assert host.run({"prompt": "next"})[0].how == "done"
        assert host.resident_bytes() >> 20 < 200


def test_the_kernel_would_rather_kill_a_worker_than_its_daemon() -> None:
    """A worker is likelier than other processes to be killed when the host runs out of memory."""
    with ready() as host:
        score = Path(f"/proc/{host.process.pid}/oom_score_adj").read_text()
        assert int(score) > int(Path("/proc/self/oom_score_adj").read_text())
