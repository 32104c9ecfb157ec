"""The page of a job for a browser: self-contained HTML that works from the file system."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import PurePosixPath
from urllib.parse import quote

from stoker_daemon.outputs.layout import CONTACT_SHEET, INDEX, SUMMARY, page_name, rfc3339
from stoker_daemon.outputs.pictures import Picture
from stoker_protocol.jobs import ItemCounts, Job

_PIXEL_ART = 256
_STYLE = """
:root { color-scheme: light dark; --paper: #f4f5f7; --card: #fff; --ink: #1d222b; --faint: #667085; --accent: #b4570f;
  --light: #e4e7ec; --dark: #d3d8e0 }
@media (prefers-color-scheme: dark) { :root { --paper: #14161b; --card: #1e222a; --ink: #e6e9ef; --faint: #8b94a5;
  --accent: #f2a65a; --light: #596071; --dark: #505767 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 110rem; padding: 2rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.7rem; overflow-wrap: anywhere }
header p, nav { margin: .3rem 0; color: var(--faint) }
a { color: var(--accent) }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem; margin-top: 1.5rem }
figure { margin: 0; padding: .7rem; border-radius: .7rem; background: var(--card) }
figure > a { display: grid; place-items: center; aspect-ratio: 1; border-radius: .4rem; overflow: hidden;
  background: repeating-conic-gradient(var(--dark) 0 25%, var(--light) 0 50%) 0 0 / 1rem 1rem }
img { width: 100%; height: 100%; object-fit: contain }
.pixels { image-rendering: pixelated }
figcaption { margin-top: .5rem; overflow-wrap: anywhere }
figcaption b { color: var(--accent); margin-right: .4em }
small { display: block; margin-top: .2rem; color: var(--faint) }
"""


def index_page(job: Job, pictures: Sequence[Picture], page: int, pages: int, hidden: int, *, has_sheet: bool) -> bytes:
    """One page of a final job's pictures and files, with links to them, to their records and to the other pages.

    `hidden` files are on none of the pages.
    """
    title = escape(job.name or job.job_id)
    links = list(_links(page, pages, hidden, has_sheet=has_sheet))
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{_STYLE}</style>
<header>
<h1>{title}</h1>
<p>{escape(facts(job))}</p>
<nav>{" · ".join(links)}</nav>
</header>
<main>
{"".join(map(_figure, pictures))}</main>
</html>
""".encode()


def facts(job: Job) -> str:
    """A job in one line: what made it, how it ended and when, and its id where that is not the title."""
    job_id = f" · job {job.job_id}" if job.name else ""
    ended = rfc3339(job.finished_at_ms or job.created_at_ms)[:16].replace("T", " ")
    return f"{job.engine}/{job.model} · {job.state.value}, {_counts(job.items)} · {ended} UTC{job_id}"


def _counts(items: ItemCounts) -> str:
    others = [f"{getattr(items, name)} {name}" for name in ("failed", "rejected", "cancelled", "skipped")]
    told = [f"{items.succeeded} of {items.total} made", *(other for other in others if not other.startswith("0 "))]
    return ", ".join(told)


def _links(page: int, pages: int, hidden: int, *, has_sheet: bool) -> Iterator[str]:
    if pages > 1:
        yield f"page {page + 1} of {pages}"
    if page > 0:
        yield _link(page_name(INDEX, page - 1), "previous page")
    if page + 1 < pages:
        yield _link(page_name(INDEX, page + 1), "next page")
    if has_sheet:
        yield _link(page_name(CONTACT_SHEET, page), "contact sheet")
    if hidden:
        yield f"{hidden} files more are not shown"
    yield _link(SUMMARY, "all facts as JSON")


def _figure(picture: Picture) -> str:
    address, record = _address(picture.path), _address(picture.record_path)
    notes = [f"seed {picture.seed}" if picture.seed else "", picture.model, _dimensions(picture)]
    noted = " · ".join([*(escape(note) for note in notes if note), _link(record, "record")])
    return f"""<figure>
<a href="{address}">{_image(picture, address) if picture.is_image else escape(picture.path.name)}</a>
<figcaption><b>{picture.number}</b>{escape(picture.caption)}<small>{noted}</small></figcaption>
</figure>
"""


def _image(picture: Picture, address: str) -> str:
    pixels = ' class="pixels"' if picture.size and max(picture.size) <= _PIXEL_ART else ""
    return f'<img src="{address}" alt="{escape(picture.caption)}" loading="lazy"{pixels}>'


def _dimensions(picture: Picture) -> str:
    return f"{picture.size.width}x{picture.size.height}" if picture.size else picture.media_type


def _link(address: str, text: str) -> str:
    return f'<a href="{address}">{text}</a>'


def _address(path: PurePosixPath) -> str:
    """A file as the page names it: its last two parts, since the page lies in the job's folder."""
    return quote("/".join(path.parts[-2:]))
