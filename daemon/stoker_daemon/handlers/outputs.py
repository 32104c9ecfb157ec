"""Lists what jobs have on disk, and what all of it amounts to."""

from stoker_daemon.jobs.records import KeptFiles
from stoker_daemon.ports import Services
from stoker_protocol.replies import JobOutputs, OutputsPage
from stoker_protocol.requests import ListOutputs


async def handle(request: ListOutputs, services: Services) -> OutputsPage:
    """Answer `outputs`.

    Raises:
        Refused: `not_found`: the job that is named; `bad_request`: the cursor.
    """
    page, cursor = await services.store.kept_files(request)
    return OutputsPage(
        jobs=[_of_job(kept, services) for kept in page],
        disk=await services.artifacts.space(),
        totals=await services.store.output_totals() if request.with_totals else None,
        cursor=cursor,
    )


def _of_job(kept: KeptFiles, services: Services) -> JobOutputs:
    job = kept.job
    return JobOutputs(
        job_id=job.job_id,
        name=job.name,
        state=job.state,
        folder=services.artifacts.folder(job.job_id, job.created_at_ms),
        artifacts=kept.files.artifacts,
        bytes=kept.files.bytes,
        created_at_ms=job.created_at_ms,
    )
