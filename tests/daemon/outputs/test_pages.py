"""What people find in the folder of a job that has ended: pages for a browser and contact sheets."""

import asyncio
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image
from tests.daemon.outputs.samples import (
    FOLDER,
    a_folder,
    a_job,
    a_member,
    a_png,
    a_run,
    a_tree,
    an_image,
    chunk,
    files_below,
)

from stoker_daemon.jobs.records import JobFolder, Output
from stoker_daemon.outputs import contact_sheet, pages, sheet_process
from stoker_daemon.outputs.index_page import facts
from stoker_protocol.jobs import Artifact, ItemCounts, JobState

GROUND = {(0x59, 0x60, 0x71), (0x50, 0x57, 0x67)}
GREY = (0x4A, 0x4F, 0x59)
FIRST = (24 + 8, 24 + 64 + 8)
"""Where the first picture of a sheet begins."""
LARGE = 192


class Seen(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def addresses(self) -> list[str]:
        """All that the page links or loads."""
        return [str(a[name]) for _, a in self.elements for name in ("href", "src") if name in a]


def a_final_job(data_dir: Path, made: Sequence[Output], **params: Any) -> JobFolder:
    """A job whose items made these outputs, saved."""

    async def run() -> list[Artifact]:
        async with a_tree(data_dir) as tree:
            members = [a_member(index, **params) for index in range(len(made))]
            saved = [await tree.save(a_run(m), m, 0, one, {}) for m, one in zip(members, made, strict=True)]
        return [
            Artifact(index, index, s.output, s.path, s.media_type, s.sha256, s.bytes) for index, s in enumerate(saved)
        ]

    counts = ItemCounts(total=len(made), succeeded=len(made))
    return a_folder(a_job(name="Tom & <Jerry>", state=JobState.SUCCEEDED, items=counts), asyncio.run(run()))


def summed_up(data_dir: Path, folder: JobFolder) -> Path:
    """The folder of the job with all that is written when it has ended."""

    async def run() -> None:
        async with a_tree(data_dir) as tree:
            await tree.sum_up(folder)

    asyncio.run(run())
    return data_dir / FOLDER


def pixel(image: Image.Image, x: int, y: int) -> Any:
    """A pixel, counted from the corner of the first picture."""
    return image.getpixel((FIRST[0] + x, FIRST[1] + y))


def a_half_transparent_png() -> bytes:
    """2x1 pixels with alpha: red, and nothing."""
    header = (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([8, 6, 0, 0, 0])
    rows = zlib.compress(b"\0\xff\0\0\xff\0\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_small_pictures_are_enlarged_to_whole_pixels(tmp_path: Path) -> None:
    """We expect sharp squares where pixels were, and a chequered ground where nothing was."""
    folder = summed_up(tmp_path, a_final_job(tmp_path, [an_image(a_half_transparent_png()), an_image(a_png())]))
    image = Image.open(folder / "contact_sheet.png").convert("RGB")
    top = LARGE // 4
    left = {pixel(image, x, y) for x in range(LARGE // 2) for y in range(top, LARGE - top)}
    right = {pixel(image, x, y) for x in range(LARGE // 2, LARGE) for y in range(top, LARGE - top)}
    assert (left, right) == ({(255, 0, 0)}, GROUND)


def test_large_pictures_fit(tmp_path: Path) -> None:
    """We expect that a wide picture is made as wide as its place and keeps its shape."""
    folder = summed_up(tmp_path, a_final_job(tmp_path, [an_image(a_png(250, width=2000, height=1000))] * 2))
    image = Image.open(folder / "contact_sheet.png").convert("RGB")
    column = [pixel(image, LARGE // 2, y) == (250, 250, 250) for y in range(LARGE)]
    assert sum(column) == LARGE // 2
    assert all(pixel(image, x, LARGE // 2) == (250, 250, 250) for x in range(LARGE))


BOMB = a_png(texts=b"").replace(
    chunk(b"IHDR", bytes([0, 0, 0, 3, 0, 0, 0, 2, 8, 0, 0, 0, 0])),
    chunk(b"IHDR", bytes([0, 0, 255, 255, 0, 0, 255, 255, 8, 0, 0, 0, 0])),
)
BROKEN = {
    "bomb": BOMB,
    "cut off": a_png(width=300, height=300)[:60],
    "no picture": b"GIF89a?",
    "nothing": b"",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_can_not_be_shown_is_a_grey_tile(tmp_path: Path, data: bytes) -> None:
    """We expect that a broken, lying or empty picture costs only its own tile."""
    folder = summed_up(tmp_path, a_final_job(tmp_path, [an_image(data), an_image(a_png(200))]))
    image = Image.open(folder / "contact_sheet.png").convert("RGB")
    assert pixel(image, LARGE // 2, LARGE // 4) == GREY
    assert pixel(image, LARGE // 2 + LARGE + 2 * 8 + 12, LARGE // 2) == (200, 200, 200)


def test_too_many_pixels_are_not_even_looked_at(tmp_path: Path) -> None:
    """We expect that a whole picture of 80 million pixels, small as its file may be, is not drawn."""
    made = [an_image(a_png(width=10_000, height=8_000)), an_image(a_png(200))]
    image = Image.open(summed_up(tmp_path, a_final_job(tmp_path, made)) / "contact_sheet.png").convert("RGB")
    assert pixel(image, LARGE // 2, LARGE // 4) == GREY


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """We expect that a picture replaced by a link to one elsewhere is not shown."""
    job = a_final_job(tmp_path, [an_image(a_png(200))] * 2)
    (tmp_path / "elsewhere.png").write_bytes(a_png(100))
    first = tmp_path / job.artifacts[0].path
    first.unlink()
    first.symlink_to(tmp_path / "elsewhere.png")
    image = Image.open(summed_up(tmp_path, job) / "contact_sheet.png").convert("RGB")
    assert pixel(image, LARGE // 2, LARGE // 4) == GREY


def test_many_pictures_come_in_pages(tmp_path: Path) -> None:
    """We expect 256 pictures on a page and the rest on the next, each page linking the other."""
    folder = summed_up(tmp_path, a_final_job(tmp_path, [an_image(a_png(index)) for index in range(257)]))
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names == {
        "batch_info.json",
        "contact_sheet.png",
        "contact_sheet_2.png",
        "index.html",
        "index_2.html",
    }
    first, second = Seen(folder / "index.html"), Seen(folder / "index_2.html")
    assert [sum(tag == "img" for tag, _ in page.elements) for page in (first, second)] == [256, 1]
    assert {"index_2.html", "contact_sheet.png"} <= set(first.addresses())
    assert {"index.html", "contact_sheet_2.png"} <= set(second.addresses())


def test_a_page_is_whole_by_itself(tmp_path: Path) -> None:
    """We expect that all that a page loads or links is a file in the job's folder, whatever files are called."""
    made = [an_image(a_png()), Output(0, b"x", "text/plain", ".txt", {})]
    folder = summed_up(tmp_path, a_final_job(tmp_path, made))
    page = Seen(folder / "index.html")
    assert {"images/00000_0.png", "files/00001_0.txt", "metadata/00001_0.json", "batch_info.json"} <= set(
        page.addresses()
    )
    assert all((folder / unquote(address)).is_file() for address in page.addresses())
    assert "url(" not in (folder / "index.html").read_text()
    assert not (folder / "contact_sheet.png").exists()


def test_words_of_others_are_only_words(tmp_path: Path) -> None:
    """We expect that mark-up in a name or a prompt is shown as it is, and makes no element and no attribute."""
    evil = """<script>alert(1)</script> " onload='x' &amp; </figcaption>"""
    plain, marked = tmp_path / "plain", tmp_path / "marked"
    plain.mkdir()
    marked.mkdir()
    pages_seen = [
        Seen(summed_up(at, a_final_job(at, [an_image(a_png())] * 2, prompt=prompt)) / "index.html")
        for at, prompt in ((plain, "a knight"), (marked, evil))
    ]
    shapes = [[(tag, sorted(attributes)) for tag, attributes in page.elements] for page in pages_seen]
    assert shapes[0] == shapes[1]
    assert evil in pages_seen[1].text
    assert "Tom & <Jerry>" in pages_seen[1].text
    assert {a["alt"] for tag, a in pages_seen[1].elements if tag == "img"} == {evil}


def test_a_page_says_what_made_each_picture(tmp_path: Path) -> None:
    """We expect number, prompt, seed, model and size beside each picture, and the job's facts on top."""
    folder = summed_up(tmp_path, a_final_job(tmp_path, [an_image(a_png())] * 2, prompt="a dragon"))
    text = Seen(folder / "index.html").text
    assert "1a dragonseed 1 · hero · 3x2 · record" in text
    assert "sprites/hero · succeeded, 2 of 2 made · 2025-12-31 23:59 UTC · job job-1" in text


@pytest.mark.parametrize("name", ["", "night shift"])
def test_an_id_is_said_once(name: str) -> None:
    """We expect the id among the facts only where it is not the title."""
    job = a_job(name=name)
    assert ("job-1" in facts(job)) == bool(name)


def test_a_lost_record_costs_only_what_it_said(tmp_path: Path) -> None:
    """We expect that pictures are shown also where their records are gone or damaged."""
    job = a_final_job(tmp_path, [an_image(a_png())] * 3)
    (tmp_path / FOLDER / "metadata/00000_0.json").unlink()
    (tmp_path / FOLDER / "metadata/00001_0.json").write_text('{"params": 3}')
    page = Seen(summed_up(tmp_path, job) / "index.html")
    assert [a["alt"] for tag, a in page.elements if tag == "img"] == ["", "", "a knight 2"]


def test_without_a_sheet_the_rest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that a drawing program that fails costs the sheet only, and the page does not link it."""
    monkeypatch.setattr(sheet_process, "_PROGRAM", "stoker_daemon.outputs.nowhere")
    folder = summed_up(tmp_path, a_final_job(tmp_path, [an_image(a_png())] * 2))
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"batch_info.json", "index.html"}
    assert "contact_sheet.png" not in Seen(folder / "index.html").addresses()


def test_a_cancelled_drawing_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect that the drawing program is gone when whoever waited for it was cancelled."""
    monkeypatch.setattr(sheet_process, "_PROGRAM", "tests.daemon.outputs.sleeping_program")
    job = a_final_job(tmp_path, [an_image(a_png())] * 2)
    pid_file = tmp_path / "pid"

    async def run() -> int:
        async with a_tree(tmp_path) as tree:
            task = asyncio.create_task(tree.sum_up(job))
            await asyncio.to_thread(_until_there, pid_file)
            task.cancel()
            await asyncio.wait([task])
            return int(pid_file.read_text())

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(run()), 0)


def _until_there(file: Path) -> None:
    until_s = time.monotonic() + 30
    while not file.exists() and time.monotonic() < until_s:
        time.sleep(0.01)  # polls


def test_pages_end_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect at most MAX_PAGES pages, however many files there are, and to hear of the rest."""
    monkeypatch.setattr(pages, "PER_PAGE", 1)
    monkeypatch.setattr(pages, "MAX_PAGES", 2)
    folder = summed_up(tmp_path, a_final_job(tmp_path, [an_image(a_png())] * 3))
    assert files_below(folder).count("index_2.html") == 1
    assert "index_3.html" not in files_below(folder)
    assert "1 files more are not shown" in Seen(folder / "index_2.html").text


def test_letters_that_no_font_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect a host without fonts to get captions in plain letters instead of boxes."""
    monkeypatch.setattr(contact_sheet, "_FAMILIES", ("No Such Font",))
    assert contact_sheet._writing("Löwe · 竜", 13)[0] == "Lowe ? ?"
    assert contact_sheet._writing("lion · dragon", 13)[0] == "lion · dragon"


def test_the_daemon_itself_draws_nothing() -> None:
    """We expect that a daemon does not even load what pictures are drawn with."""
    program = "import sys, stoker_daemon.main; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
