"""kill -9 in the middle of a removal: nothing disagrees with itself, and the next daemon brings it to its end."""

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest
from tests.fault.audit import audit, connect
from tests.system.daemons import Rig, config
from tests.worker.processes import wait_for

from stoker_client import Client
from stoker_client.errors import StokerError

ITEMS = 1100


def files_of(rig: Rig) -> int:
    """How many files are in the output tree."""
    return sum(path.is_file() for path in (rig.data_dir / "outputs").rglob("*"))


def rows_of(rig: Rig) -> int:
    """How many artifacts the database knows."""
    with closing(connect(rig.data_dir)) as connection:
        return connection.execute("SELECT count(*) FROM artifacts").fetchone()[0]


def states_of(rig: Rig) -> list[str]:
    """How each job is with its files."""
    with closing(connect(rig.data_dir)) as connection:
        return [state for (state,) in connection.execute("SELECT outputs FROM jobs")]


MOMENTS: dict[str, Callable[[Rig], bool]] = {
    "begun": lambda rig: states_of(rig) == ["leaving"],
    "some files gone": lambda rig: files_of(rig) < 2 * ITEMS,
    "all files gone": lambda rig: files_of(rig) == 0,
    "some rows gone": lambda rig: rows_of(rig) < ITEMS,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_in_the_middle(tmp_path: Path, moment: str) -> None:
    """We expect no file without a row, a restart that finishes what was begun, and a retry that is possible again."""
    rig = Rig(tmp_path, config(), "")
    rig.daemon.start()
    try:
        _kill_and_finish(rig, MOMENTS[moment])
    finally:
        rig.stop()


def _kill_and_finish(rig: Rig, moment: Callable[[Rig], bool]) -> None:
    job_id = rig.run(*(f"item {n}" for n in range(ITEMS)), {"prompt": "bad", "do": "fail", "times": 1}).job_id
    wait_for(lambda: rig.client.clean_outputs(0.0, dry_run=True).jobs == 1)
    cleaner = Thread(target=_clean, args=(rig.daemon.control,))
    cleaner.start()
    wait_for(lambda: moment(rig))
    rig.kill()
    cleaner.join()
    audit(rig.data_dir)
    rig.restart()
    wait_for(lambda: states_of(rig) == ["removed"])
    assert (files_of(rig), rows_of(rig)) == (0, 0)
    rig.client.retry(job_id)
    assert rig.wait(job_id).items.succeeded == ITEMS + 1
    (again,) = rig.client.outputs(job_id)
    assert again.artifacts == 1


def _clean(endpoint: str) -> None:
    with suppress(StokerError), Client(endpoint, timeout_s=2.0) as client:
        client.clean_outputs(0.0)
