"""Several models of one worker behind a real daemon, and what they take with them when they fail."""

import sys
from pathlib import Path

import pytest
from tests.system.daemons import REPOSITORY, a_rig, config
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol.events import ModelLoaded
from stoker_protocol.jobs import JobState

ENGINE = f"""
[engines.faults]
python_path = ["{REPOSITORY}"]
{{keys}}
"""
MODEL = """
[engines.faults.models.{name}]
model = "tests.models.faults:Faults"
options = {{ hold_mb = 24, bytes = {{ one = 25_000_000 }} }}
"""


@pytest.mark.parametrize(("keys", "loads"), [("cache_mb = 200", 3), ("", 9)], ids=["cached", "one at a time"])
def test_models_that_fit_are_loaded_once(tmp_path: Path, keys: str, loads: int) -> None:
    """We expect jobs of three models in turn to load each once where all fit, and each time where one does."""
    models = [f"model-{n}" for n in range(3)]
    engines = ENGINE.format(keys=keys) + "".join(MODEL.format(name=name) for name in models)
    with a_rig(tmp_path, config(engines=engines)) as rig:
        for turn in range(3):
            for model in models:
                assert rig.run(f"{model} {turn}", model=model).state is JobState.SUCCEEDED
        assert len(rig.events(ModelLoaded)) == loads
        assert rig.executed() == [f"{model} {turn}" for turn in range(3) for model in models]


def test_memory_eaters(tmp_path: Path) -> None:
    """We expect items that eat all memory to be failed as `oom`, the others to succeed, and the daemon to live on."""
    engines = ENGINE.format(keys='model = "tests.models.faults:Faults"\nmemory_limit_mb = 300')
    eaters = [{"prompt": do, "do": do} for do in ("eat", "eat_and_abort")]
    with a_rig(tmp_path, config(engines=engines)) as rig:
        job = rig.run("a", *eaters, "d", max_attempts=2)
        items = rig.items(job.job_id)
        assert [item.state.value for item in items] == ["succeeded", "failed", "failed", "succeeded"]
        assert [(item.error and item.error.kind, item.attempts) for item in items[1:3]] == [("oom", 2)] * 2
        assert rig.run("after").state is JobState.SUCCEEDED


def test_environment_without_stoker(tmp_path: Path) -> None:
    """We expect an engine whose interpreter lacks the worker to be down, and to say what to install where."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
    (folder / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    engine = f'[engines.sprites]\nmodel = "sprites"\npython = "{folder / "bin" / "python"}"\n'
    (tmp_path / "stokerd.toml").write_text(engine)
    daemon = PrivateDaemon(tmp_path / "data", args=["--config", str(tmp_path / "stokerd.toml")])
    with daemon, Client(daemon.control) as client:
        wait_for(lambda: client.engines()[0].state == "down")
        assert f"it needs `{folder / 'bin' / 'python'} -m pip install stoker`" in client.engines()[0].detail
