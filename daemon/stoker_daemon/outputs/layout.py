"""Where each file of a job lies: a matter of its job, item, output and suffix alone; paths begin at the data folder."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import msgspec

from stoker_daemon.jobs.records import Member, Output
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import JobId

ROOT = "outputs"
IMAGES = "images"
FILES = "files"
METADATA = "metadata"
SUMMARY = "batch_info.json"
INDEX = "index.html"
CONTACT_SHEET = "contact_sheet.png"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWNED = re.compile(r"\.?(?P<stem>(?P<index>[0-9]{5,})_[0-9]+)\.[a-z0-9]{1,10}(\.part)?")
_TELLING = re.compile(r"\.?(batch_info\.json|index(_[0-9]+)?\.html|contact_sheet(_[0-9]+)?\.png)(\.part)?")


def job_folder(job_id: str, created_ms: int) -> PurePosixPath:
    """The folder of a job.

    Raises:
        Refused: `bad_request`: the id can't be the name of a folder.
    """
    try:
        msgspec.convert(job_id, JobId)
    except msgspec.ValidationError as error:
        raise Refused(
            ErrorCode.BAD_REQUEST,
            f"job_id: {job_id!r:.80} can't be the name of a folder: {error}",
            field="job_id",
            hint="up to 64 of A-Z a-z 0-9 _ . - with a letter or digit in front",
        ) from None
    return PurePosixPath(ROOT, f"{_utc(created_ms):%Y-%m-%d}", job_id)


def artifact_path(member: Member, output: int, made: Output) -> PurePosixPath:
    """Where an output lies. Raises Refused: `bad_request`: see `job_folder`."""
    kind = IMAGES if made.media_type.startswith("image/") else FILES
    return job_folder(member.job_id, member.created_ms) / kind / f"{_stem(member, output)}{_safe_suffix(made.suffix)}"


def record_path(member: Member, output: int) -> PurePosixPath:
    """Where the provenance record of an output lies. Raises Refused: `bad_request`: see `job_folder`."""
    return job_folder(member.job_id, member.created_ms) / METADATA / f"{_stem(member, output)}.json"


def record_beside(path: PurePosixPath) -> PurePosixPath:
    """Where the record of the output with that path lies."""
    return path.parent.parent / METADATA / f"{path.stem}.json"


def page_name(name: str, page: int) -> str:
    """What page 0, 1, ... of a file that comes in pages is called: `index.html`, `index_2.html` ..."""
    stem, _, suffix = name.partition(".")
    return name if page == 0 else f"{stem}_{page + 1}.{suffix}"


def is_about_the_job(name: str) -> bool:
    """Whether a file of that name, right in a job's folder, is one that tells of the whole job."""
    return _TELLING.fullmatch(name) is not None


def is_inside(path: PurePosixPath) -> bool:
    """Whether a path by its parts lies in the tree; links on the way are the disk's concern."""
    return path.parts[:1] == (ROOT,) and ".." not in path.parts and "\0" not in str(path)


def temporary_name(name: str) -> str:
    """What a file is called until it is complete; no complete file begins with a dot."""
    return f".{name}.part"


def is_temporary(name: str) -> bool:
    """Whether a file of that name was never completed."""
    return name.startswith(".") and name.endswith(".part")


def owner(name: str) -> tuple[int, str] | None:
    """The item index and the stem (shared by an output and its record) that a file name speaks of, if it is ours."""
    match = _OWNED.fullmatch(name)
    return (int(match["index"]), match["stem"]) if match else None


def rfc3339(time_ms: int) -> str:
    """A point in time as people and programs read it: `2026-01-31T12:00:00.000Z`."""
    return _utc(time_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stem(member: Member, output: int) -> str:
    return f"{member.index:05}_{output}"


def _safe_suffix(suffix: str) -> str:
    return "." + (re.sub(r"[^a-z0-9]", "", suffix.lower())[:10] or "bin")


def _utc(time_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=time_ms)
