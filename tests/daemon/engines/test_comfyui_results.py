"""What a prompt made is found in its entry, and a file is taken whole or not at all, from the server's folder too."""

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stoker_daemon.engines.comfyui.answers import Entry
from stoker_daemon.engines.comfyui.results import Place, Results, Text, places_of
from stoker_daemon.engines.comfyui.server import Faulty, Server, TooLarge

NOWHERE = Server("http://127.0.0.1:9")


def png(size: int = 8) -> bytes:
    """An image."""
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), "red").save(buffer, "PNG")
    return buffer.getvalue()


def file(name: str, **facts: Any) -> dict[str, Any]:
    """A file as the history lists it."""
    return {"filename": name, "subfolder": "s", "type": "output", **facts}


def found(outputs: dict[str, Any]) -> list[str]:
    """The names of the files and the texts in such an entry."""
    return [made.text if isinstance(made, Text) else made.filename for made in places_of(Entry(outputs))]


def fetched(folder: Path, *path: str, max_bytes: int = 1 << 20, kind: Any = "output") -> bytes:
    """A file of an output folder, as it is taken from there."""
    subfolder, filename = path if len(path) == 2 else ("", path[0])
    results = Results(NOWHERE, folder, max_bytes)
    return asyncio.run(results.fetch(Place(filename, subfolder, kind, "9")))


def test_kinds_of_outputs() -> None:
    """Images, films, sounds, models and texts are outputs, whatever key they are under; other values are none."""
    outputs = {
        "1": {"images": [file("a.png"), file("b.png")], "animated": [True]},
        "2": {"gifs": [file("c.mp4", format="video/h264-mp4", fullpath="/x/c.mp4")]},
        "3": {"audio": [file("d.flac")]},
        "4": {"3d": [file("e.glb")]},
        "5": {"text": ["some words", "more"]},
        "6": {"result": ["f.glb", None, ""], "width": [3], "odd": "x", "maps": [{"filename": 7}, {"filename": ""}, {}]},
    }
    assert found(outputs) == ["a.png", "b.png", "c.mp4", "d.flac", "e.glb", "some words", "more"]


def test_the_order_of_nodes() -> None:
    """Outputs come by the numbers of their nodes, those of named and expanded nodes after them."""
    names = ["10", "9", "2.0.0.3", "save", "²", "1"]
    outputs = {node: {"images": [file(f"{node}.png")]} for node in names}
    assert found(outputs) == ["1.png", "9.png", "10.png", "2.0.0.3.png", "save.png", "².png"]


def test_previews_stand_in() -> None:
    """Previews are outputs only where nothing is saved, and what was there before never is."""
    preview = {"images": [file("p.png", type="temp")]}
    assert found({"1": preview, "2": {"images": [file("s.png")]}}) == ["s.png"]
    assert found({"1": preview}) == ["p.png"]
    assert found({"1": {"images": [file("i.png", type="input")]}}) == []
    assert found({}) == []


def test_a_place_without_a_folder() -> None:
    """A file without a sub-folder or a kind lies right in the output folder."""
    entry = Entry({"1": {"images": [{"filename": "a.png", "subfolder": None}]}})
    assert places_of(entry) == [Place("a.png", "", "output", "1")]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.PNG", "image/png"),
        ("audio_00001_.flac", "audio/flac"),
        ("a.opus", "audio/ogg"),
        ("x.glb", "model/gltf-binary"),
        ("x", "application/octet-stream"),
        ("x.xyzzy", "application/octet-stream"),
    ],
)
def test_media_types(name: str, media_type: str) -> None:
    """The name of a file tells what it is."""
    assert Place(name, "", "output", "1").media_type == media_type


@given(st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.none() | st.lists(st.integers()))))
def test_any_outputs(outputs: dict[str, Any]) -> None:
    """No entry is too odd."""
    assert places_of(Entry(outputs)) == []


def test_a_file_of_the_folder(tmp_path: Path) -> None:
    """A file is read from the folder without the server, of any kind and in any sub-folder."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.png").write_bytes(png())
    (tmp_path / "b.mp4").write_bytes(b"film")
    assert fetched(tmp_path, "s", "a.png") == png()
    assert fetched(tmp_path, "b.mp4") == b"film"


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", png()[:-1], png()[:40], png() + b"x", png().replace(b"IDAT", b"IDAT\0", 1), png()[:-20] + b"x"],
)
def test_a_damaged_image(tmp_path: Path, content: bytes) -> None:
    """An image that is empty, cut off, or not as its checksums say is not taken."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Faulty, match=r"a\.png"):
        fetched(tmp_path, "a.png")


def test_a_large_image(tmp_path: Path) -> None:
    """A large image is checked as well; one with more bytes than are allowed is not read to its end."""
    noise = Image.frombytes("RGB", (700, 700), os.urandom(700 * 700 * 3))
    noise.save(tmp_path / "a.png")
    size = (tmp_path / "a.png").stat().st_size
    assert len(fetched(tmp_path, "a.png", max_bytes=size)) == size > 1 << 20
    with pytest.raises(TooLarge, match=str(size - 1)):
        fetched(tmp_path, "a.png", max_bytes=size - 1)


@pytest.mark.parametrize(
    "path", [("..", "secret"), ("", "../secret"), ("", "/etc/hostname"), ("link", "secret"), ("", "a\0b")]
)
def test_no_way_out(tmp_path: Path, path: tuple[str, str]) -> None:
    """No name leads out of the folder."""
    root = tmp_path / "output"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(Faulty):
        fetched(root, *path)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """A file that is not there is told by its path; to delete it is no trouble."""
    with pytest.raises(Faulty, match=r"gone\.png can't be read: No such file"):
        fetched(tmp_path, "gone.png")
    asyncio.run(Results(NOWHERE, tmp_path, 1).delete(Place("gone.png", "", "output", "1")))


def test_only_outputs_are_deleted(tmp_path: Path) -> None:
    """A preview is not deleted, nor is a file of a server whose folder is not known."""
    (tmp_path / "a.png").write_bytes(b"x")
    asyncio.run(Results(NOWHERE, tmp_path, 1).delete(Place("a.png", "", "temp", "1")))
    asyncio.run(Results(NOWHERE, None, 1).delete(Place("a.png", "", "output", "1")))
    assert (tmp_path / "a.png").exists()
    asyncio.run(Results(NOWHERE, tmp_path, 1).delete(Place("a.png", "", "output", "1")))
    assert not (tmp_path / "a.png").exists()
