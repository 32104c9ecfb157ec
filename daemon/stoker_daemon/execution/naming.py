"""The ids by which lines of the log that are about a run, or its jobs, are found."""

from collections.abc import Iterable
from typing import Any

from stoker_daemon.jobs.records import Interrupted, Run


def ids_of(run: Run | Interrupted) -> dict[str, Any]:
    """Of the run and of the jobs that take part in it, one or a list, with the clients whose they are."""
    if isinstance(run, Interrupted):
        return {"run": run.run_id, "job": _one_or_all(member.job_id for member in run.members), "engine": run.engine}
    return {
        "run": run.run_id,
        "job": _one_or_all(job.job_id for job in run.jobs),
        "client": _one_or_all(job.client for job in run.jobs),
        "engine": run.signature.engine,
        "model": run.signature.residency,
    }


def _one_or_all(names: Iterable[str]) -> str | list[str]:
    each = list(dict.fromkeys(names))
    return each[0] if len(each) == 1 else each
