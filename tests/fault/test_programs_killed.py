"""Commands, a server of tools, an agent's helpers and the daemon die at random while all of them are at work."""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from tests.daemon.engines.test_agent_engine import script, write
from tests.fakes.openai.harness import OpenAIProcess
from tests.fault.audit import audit_settled
from tests.system.daemons import REPOSITORY, Rig, a_rig, config
from tests.worker.processes import is_alive, wait_for

from stoker_protocol.jobs import ItemCounts, JobState

CALLS, TASKS, DEATHS = 24, 6, 8
SCRIPT = "import sys; from time import sleep; sleep(0.1); print(sys.argv[1])"  # simulated work
ENGINES = """
[engines.programs]
kind = "command"
max_parallel = 2
commands.work = {argv = ["PYTHON", "-c", "SCRIPT", "{n}"], parameters.n = {type = "integer"}}
commands.judge = {argv = ["sleep", "0.1"]}
[engines.tools]
kind = "mcp"
argv = ARGV
tools = ["say", "write", "read"]
max_parallel = 2
[engines.chat]
kind = "openai"
url = "URL"
[engines.coder]
kind = "agent"
chat = "chat"
tools = ["tools"]
validate_by = "programs.judge"
lane = "coder"
max_parallel = 2
"""


def test_helpers_at_random_moments(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """We expect each command, call and task to succeed once, and no process to outlive its daemon."""
    seed = random.randrange(1 << 32)
    record_property("seed of the deaths among programs", seed)
    dice = random.Random(seed)
    argv = json.dumps([sys.executable, str(REPOSITORY / "tests/models/tools.py"), str(tmp_path)])
    with OpenAIProcess(token_s=0.01) as server:
        engines = ENGINES.replace("ARGV", argv).replace("URL", server.url)
        engines = engines.replace("PYTHON", sys.executable).replace("SCRIPT", SCRIPT)
        with a_rig(tmp_path, config(crash_limit=60, engines=engines)) as rig:
            jobs = dict(submitted(rig))
            total, seen = sum(jobs.values()), set[int]()
            for moment in sorted(dice.sample(range(total - 10), DEATHS)):
                wait_for(lambda moment=moment: finished(rig, jobs) >= moment)
                seen |= set(helpers(rig))
                if dice.random() < 0.25:
                    rig.restart()
                else:
                    end_one(rig, dice)
            for job_id, count in jobs.items():
                job = rig.wait(job_id)
                assert (job.state, job.items) == (JobState.SUCCEEDED, ItemCounts(total=count, succeeded=count))
            seen |= set(helpers(rig))
            rig.stop()
            wait_for(lambda: not any(map(is_alive, seen)))
            assert audit_settled(rig.data_dir).states == {"succeeded": total}


def submitted(rig: Rig) -> list[tuple[str, int]]:
    """A job of each kind, and how many items it has."""
    commands = [{"params": {"n": number}} for number in range(CALLS)]
    calls = [{"params": {"prompt": f"call {number}"}} for number in range(CALLS)]
    tasks = [
        {"params": {"prompt": script([write("half", f"{number}.txt")], [write("whole", f"{number}.txt")])}}
        for number in range(TASKS)
    ]
    return [
        (rig.client.submit(commands, recipe="work", max_attempts=50).job_id, CALLS),
        (rig.client.submit(calls, engine="tools", recipe="say", max_attempts=50).job_id, CALLS),
        (rig.client.submit(tasks, engine="coder", max_attempts=50).job_id, TASKS),
    ]


def finished(rig: Rig, jobs: dict[str, int]) -> int:
    """How many items have an outcome."""
    return sum(rig.client.job(job_id).items.finished for job_id in jobs)


def helpers(rig: Rig) -> list[int]:
    """The processes that the daemon, and they, have started."""
    with suppress(psutil.NoSuchProcess):
        return [process.pid for process in psutil.Process(rig.daemon.pid).children(recursive=True)]
    return []


def end_one(rig: Rig, dice: random.Random) -> None:
    """Kill one of them, whichever it is."""
    pids = helpers(rig)
    if pids:
        with suppress(ProcessLookupError):
            os.kill(dice.choice(pids), signal.SIGKILL)
