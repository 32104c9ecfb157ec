"""A job's outputs page by page: for each page one HTML file and one contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

from stoker_daemon.jobs.records import JobFolder
from stoker_daemon.outputs.index_page import facts, index_page
from stoker_daemon.outputs.layout import CONTACT_SHEET, INDEX, page_name
from stoker_daemon.outputs.pictures import Picture, Sheet, Tile
from stoker_protocol.jobs import Artifact, Job

PER_PAGE = 256
MAX_PAGES = 40
"""Beyond some 10 000 files nobody looks at each."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some artifacts of a job, in item order; `hidden` files of it are on no page."""

    job: Job
    artifacts: Sequence[Artifact]
    number: int
    pages: int
    hidden: int

    def sheet(self, pictures: Sequence[Picture]) -> Sheet | None:
        """What its contact sheet shows; a single picture needs none."""
        place = f" · sheet {self.number + 1} of {self.pages}" if self.pages > 1 else ""
        tiles = [Tile(str(p.path), p.number, p.caption) for p in pictures if p.is_image]
        if not tiles or (self.pages == 1 and len(tiles) == 1):
            return None
        return Sheet(self.job.name or self.job.job_id, facts(self.job) + place, tiles)

    def files(self, pictures: Sequence[Picture], sheet: bytes | None) -> dict[str, bytes]:
        """The files of this page by their names, with the sheet if there is one."""
        html = index_page(self.job, pictures, self.number, self.pages, self.hidden, has_sheet=sheet is not None)
        drawn = {} if sheet is None else {page_name(CONTACT_SHEET, self.number): sheet}
        return {**drawn, page_name(INDEX, self.number): html}


def pages_of(folder: JobFolder) -> list[Page]:
    """The pages of a final job; none if it made nothing."""
    artifacts = folder.artifacts[: PER_PAGE * MAX_PAGES]
    starts = range(0, len(artifacts), PER_PAGE)
    hidden = folder.files.artifacts - len(artifacts)
    return [
        Page(folder.job, artifacts[start : start + PER_PAGE], number, len(starts), hidden)
        for number, start in enumerate(starts)
    ]
