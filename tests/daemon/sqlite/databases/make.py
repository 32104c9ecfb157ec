"""Makes `schema-N.sqlite3`, a small database of today's schema in which each kind of row occurs."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tests.system.daemons import Rig, a_rig

from stoker_daemon.sqlite.copying import copy_database

HERE = Path(__file__).parent


def make() -> Path:
    """Run a daemon through a short life and keep a copy of its database."""
    with tempfile.TemporaryDirectory() as folder, a_rig(Path(folder)) as rig:
        live(rig)
        part = HERE / "new.sqlite3"
        copy_database(rig.data_dir / "stoker.sqlite3", part)
        with closing(sqlite3.connect(part)) as connection:
            (schema,) = connection.execute("PRAGMA user_version").fetchone()
        return part.replace(HERE / f"schema-{schema}.sqlite3")


def live(rig: Rig) -> None:
    """Jobs that succeed, fail, are cancelled, wait and are held back, of several priorities; one run is at work."""
    client = rig.client
    done = client.submit(["a red dragon", "a tiny owl"], name="pictures", metadata={"team": "art", "tags": ["a", "b"]})
    rig.wait(done.job_id)
    rig.wait(client.submit([{"params": {"prompt": "no", "do": "fail"}}, "a fox"], priority="low").job_id)
    gate = rig.gate()
    running = client.submit([{"params": gate.item("held")}, "next"], priority="urgent", batch_size=1).job_id
    gate.wait()
    client.cancel(client.submit(["unwanted"]).job_id)
    client.pause(client.submit(["later"], model="two").job_id, reason="not yet")
    client.submit(["one of many"], more=True)
    client.pause(reason="a break")
    assert client.job(running).items.running == 1


if __name__ == "__main__":
    make()
