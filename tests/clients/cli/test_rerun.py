"""`stoker rerun`: from a picture alone to the same picture again, and a clear word where that can't be."""

import io
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import run_process
from tests.fakes.daemon import FakeDaemon

from stoker_client import Client
from stoker_client.cli import provenance
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.requests import Submit

RECIPE = {
    "job_id": "first",
    "index": 3,
    "engine": "sprites",
    "model": "plain",
    "params": {"prompt": "ein Drache ließ Łódź", "seed": 7, "steps": 8},
}
RED = (255, 0, 0)


def a_picture(file: Path, text: str | None = None, *, zipped: bool = False, prompt: str | None = None) -> Path:
    """A PNG, perhaps with a text under our keyword, as tEXt, zTXt or iTXt, and one under ComfyUI's."""
    info = PngImagePlugin.PngInfo()
    if prompt is not None:
        info.add_text("prompt", prompt)
    if text is not None and text.isascii():
        info.add_text("stoker", text, zip=zipped)
    elif text is not None:
        info.add_itxt("stoker", text, zip=zipped)
    Image.new("RGB", (2, 2), RED).save(file, "PNG", pnginfo=info)
    return file


def submitted(daemon: FakeDaemon) -> tuple[Submit, list[dict[str, Any]], Any]:
    """The only submit that came in, the parameters of its items with the job's, and its metadata."""
    (request,) = [one for one in daemon.requests if isinstance(one, Submit)]
    shared = codec.unpack_map(request.params)
    items = [{**shared, **codec.unpack_map(item.params)} for item in request.items]
    return request, items, codec.unpack(request.metadata)


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_the_same_is_asked_for_again(
    stoker: Stoker, daemon: FakeDaemon, tmp_path: Path, *, ascii_only: bool, zipped: bool
) -> None:
    """We expect the same engine, model and parameters however the text is packed, and where they come from."""
    file = a_picture(tmp_path / "x.png", json.dumps(RECIPE, ensure_ascii=ascii_only), zipped=zipped)
    shape = stoker("rerun", str(file), "--json").json
    request, items, metadata = submitted(daemon)
    assert (request.job_id, request.engine, request.model) == (shape["job_id"], "sprites", "plain")
    assert items == [RECIPE["params"]]
    assert metadata == {"rerun_of": {"job_id": "first", "index": 3, "file": "x.png"}}


def test_changes_and_copies(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect the changed parameters in each copy, seeds that go on from the first, and the changes to be noted."""
    file = a_picture(tmp_path / "x.png", json.dumps(RECIPE))
    assert stoker("rerun", str(file), "-n", "3", "--set", "steps=40").code == 0
    _, items, metadata = submitted(daemon)
    assert [(item["seed"], item["steps"]) for item in items] == [(7, 40), (8, 40), (9, 40)]
    assert metadata["rerun_of"]["changed"] == {"steps": 40}


def test_copies_of_what_had_no_seed(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path) -> None:
    """We expect the first copy to be the picture itself, and each other one to have a seed of its own."""
    file = a_picture(tmp_path / "x.png", json.dumps({**RECIPE, "params": {"prompt": "an owl"}}))
    stoker("rerun", str(file), "-n", "3")
    assert [item.get("seed") for item in submitted(daemon)[1]] == [None, 0, 1]


def test_seeds_end(stoker: Stoker, tmp_path: Path) -> None:
    """We expect copies beyond the largest seed to be refused before anything is asked for."""
    file = a_picture(tmp_path / "x.png", json.dumps({**RECIPE, "params": {"seed": 2**63 - 2}}))
    assert stoker("rerun", str(file), "-n", "3").code == 2


def _with_broken_text() -> bytes:
    content = b"stoker\0{}"
    return b"\x89PNG\r\n\x1a\n" + len(content).to_bytes(4, "big") + b"tEXt" + content + bytes(4)


def _with_a_bomb() -> bytes:
    content = b"stoker\0\0" + zlib.compress(bytes(provenance.MAX_TEXT + 2))
    crc = zlib.crc32(b"zTXt" + content).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + len(content).to_bytes(4, "big") + b"zTXt" + content + crc


STRANGERS = {
    "no PNG": (b"GIF89a", "is no PNG file"),
    "empty": (b"", "is no PNG file"),
    "damaged": (_with_broken_text(), "wrong checksum"),
    "bomb": (_with_a_bomb(), "more than"),
    "cut off": (b"\x89PNG\r\n\x1a\n\0\0\xff\xff", "does not say how it was made"),
}


@pytest.mark.parametrize(("data", "told"), STRANGERS.values(), ids=STRANGERS)
def test_what_is_none_of_ours(stoker: Stoker, tmp_path: Path, data: bytes, told: str) -> None:
    """We expect any other file to be refused with a reason, and nothing to be submitted."""
    (tmp_path / "x.png").write_bytes(data)
    ran = stoker("rerun", str(tmp_path / "x.png"), "--json")
    assert ran.code == 2
    assert told in ran.error["message"]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"job_id": 3}', json.dumps({**RECIPE, "params": None})])
def test_a_picture_without_a_recipe(stoker: Stoker, daemon: FakeDaemon, tmp_path: Path, text: str | None) -> None:
    """We expect a PNG of somebody else, or one whose text is not ours, to be refused."""
    ran = stoker("rerun", str(a_picture(tmp_path / "x.png", text)))
    assert ran.code == 2
    assert not daemon.requests


def test_a_contact_sheet_shows_many(stoker: Stoker, tmp_path: Path) -> None:
    """We expect to be told which file to take instead of the one that shows all."""
    ran = stoker("rerun", str(a_picture(tmp_path / "contact_sheet_2.png")), "--json")
    assert ran.code == 2
    assert str(tmp_path / "images" / "00000_0.png") in ran.error["message"]


def test_a_file_that_is_not_there(stoker: Stoker, tmp_path: Path) -> None:
    """We expect a missing file to be named."""
    ran = stoker("rerun", str(tmp_path / "gone.png"))
    assert ran.code == 2
    assert "gone.png" in ran.err


def test_a_real_picture_comes_out_the_same(stokerd: PrivateDaemon, tmp_path: Path) -> None:
    """We expect the picture that a real daemon makes from a fetched copy to have the same pixels."""
    with Client(stokerd.control) as client:
        first = client.submit([{"params": {"prompt": "a dragon über Łódź", "seed": 5}}], params={"width": 48}).job_id
        client.wait(first, 60)
        (copy,) = client.fetch(first, tmp_path / "first")
        ran = run_process("rerun", str(copy), "--wait", "--json", endpoint=stokerd.control)
        assert ran.code == 0, ran.err
        (again,) = client.fetch(ran.json["job_id"], tmp_path / "again")
    assert ran.json["metadata"] == {"rerun_of": {"job_id": first, "index": 0, "file": copy.name}}
    pixels = [Image.open(io.BytesIO(file.read_bytes())).tobytes() for file in (copy, again)]
    assert pixels[0] == pixels[1]
