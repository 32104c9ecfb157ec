"""A daemon that kills itself where a test wants it to, and runs as usual when it is started again."""

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fault.failing_daemon import VARIABLE
from tests.system.daemons import REPOSITORY, Rig, a_rig
from tests.worker.processes import is_alive, wait_for

from stoker_client.errors import DaemonUnavailable

SAVED = "stoker_daemon.outputs.disk:Disk.publish"
"""A file has its name."""
TOLD = "stoker_daemon.sqlite.writer:Transaction.tell"
"""An event is written, not yet committed."""
COMMITTED = "stoker_daemon.sqlite.writer:Writer._commit"
"""A group of writes is committed, and nobody knows yet."""
SENT = "stoker_daemon.engines.python:PythonEngine.run"
"""A run whose claim is committed goes to the engine."""

_ARMED = "failpoint"
_INTERPRETER = f"""#!/bin/sh
# Stands in for the interpreter in `python -m stoker_daemon ...`.
export PYTHONPATH="{REPOSITORY}:$PYTHONPATH"
if mv "{{armed}}" "{{armed}}.used" 2>/dev/null; then
    shift 2
    export {VARIABLE}="$(cat "{{armed}}.used")"
    exec "{sys.executable}" -m tests.fault.failing_daemon "$@"
fi
exec "{sys.executable}" "$@"
"""


@contextmanager
def a_failing_rig(folder: Path, text: str = "", *, failpoint: str = "") -> Generator[Rig]:
    """A rig whose daemon dies at the failpoint, the first time that it runs."""
    interpreter = folder / "interpreter"
    interpreter.write_text(_INTERPRETER.format(armed=folder / _ARMED))
    interpreter.chmod(0o755)
    if failpoint:
        (folder / _ARMED).write_text(failpoint)
    with a_rig(folder, text, python=str(interpreter)) as rig:
        yield rig


def wait_for_death(rig: Rig) -> None:
    """Until the daemon has killed itself."""
    wait_for(lambda: not is_alive(rig.daemon.pid))
    rig.kill()


def die_at(rig: Rig, failpoint: str) -> None:
    """Start a daemon that was killed, and wait until it has killed itself."""
    (rig.folder / _ARMED).write_text(failpoint)
    with suppress(DaemonUnavailable):  # it may be dead before it is ready
        rig.daemon.start()
    wait_for_death(rig)
