"""What the core needs of the files that people put in and get out."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from stoker_daemon.jobs.records import JobFolder, Member, Output, Run, SavedArtifact
from stoker_protocol.replies import BlobStored, DiskSpace, OutputsCleaned
from stoker_protocol.requests import CleanOutputs, PutBlob


class Artifacts(Protocol):
    """The output tree. No method blocks the loop."""

    async def save(
        self, run: Run, member: Member, output: int, made: Output, facts: Mapping[str, Any]
    ) -> SavedArtifact:
        """Put one output and its provenance record on disk for good. Raises OSError."""
        ...

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of an artifact. Raises Refused: `not_found`: the file is gone."""
        ...

    async def sum_up(self, folder: JobFolder) -> None:
        """Write the summary file of a final job."""
        ...

    async def forget_unknown(self, members: Sequence[Member], known: frozenset[str]) -> int:
        """Remove files of these items that are not `known` paths; how many."""
        ...

    def folder(self, job_id: str, created_ms: int) -> str:
        """The folder of a job, relative to the data directory."""
        ...

    async def space(self) -> DiskSpace:
        """The disk that the tree is on."""
        ...

    async def remove_some(self, job_id: str, created_ms: int) -> bool:
        """Remove some of a job's files; False: none of ours is left. What people put there stays. Raises OSError."""
        ...


class Blobs(Protocol):
    """Input files by the SHA-256 of their content."""

    async def put(self, request: PutBlob) -> BlobStored:
        """Take some bytes. Raises Refused: `bad_request`: not a SHA-256, or the bytes are not what it says."""
        ...

    async def has(self, sha256: str) -> bool:
        """Whether all of it is there; if so, it is kept a while longer."""
        ...

    async def read(self, sha256: str) -> bytes:
        """The whole file. Raises Refused: `not_found`."""
        ...

    async def forget(self, before_ms: int) -> int:
        """Remove what nobody used since then; how many files."""
        ...


class Cleaning(Protocol):
    """Who removes the files of jobs."""

    async def clean(self, request: CleanOutputs) -> OutputsCleaned:
        """Remove what can be removed in a moment. Raises Refused."""
        ...
