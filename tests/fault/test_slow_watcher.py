"""A client that is suspended while large previews are made: the daemon stays small, and the client misses no fact."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.system.daemons import a_rig
from tests.system.hostile import resident_mib
from tests.worker.processes import wait_for

PROGRAM = Path(__file__).with_name("watch_previews.py")
KIB, JOBS = 2_000, 40


def test_a_watcher_that_sleeps(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """We expect previews for a watcher that sleeps to cost a bounded amount, and it to tell each event once awake."""
    with a_rig(tmp_path) as rig:
        rig.submit("stays open", more=True)
        watcher = subprocess.Popen([sys.executable, PROGRAM, rig.daemon.control], stdout=subprocess.PIPE, text=True)
        with watcher:
            assert watcher.stdout is not None
            assert watcher.stdout.readline() == "begins\n"
            before_mib = resident_mib(rig.daemon.pid)
            watcher.send_signal(signal.SIGSTOP)
            for number in range(JOBS):
                rig.run({"prompt": str(number), "preview_kib": KIB})
            more_mib = resident_mib(rig.daemon.pid) - before_mib
            record_property("previews for a sleeper", f"{more_mib:.1f} MiB more of {JOBS * KIB >> 10} MiB")
            assert more_mib < 60
            log = rig.data_dir / "stokerd.log"
            wait_for(lambda: "its subscriber does not keep up" in log.read_text())
            watcher.send_signal(signal.SIGCONT)
            rig.run("awake again")
            head = rig.client.snapshot().seq
            said = list[str]()
            while said[-1:] != [str(head)]:
                said.append(watcher.stdout.readline().strip())
            watcher.kill()
        seqs = [int(line) for line in said if line.isdecimal()]
        assert seqs == [*range(seqs[0], head + 1)]
        assert "gap" not in said
