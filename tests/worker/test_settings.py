"""The options of the adapters to model libraries, checked before anything of these libraries is there."""

from pathlib import Path
from typing import Any

import pytest

from stoker_worker.models.diffusers import PipelineSettings
from stoker_worker.models.settings import Settings, bytes_of_weights, settings, word_for_dtype


def test_what_is_said_holds(tmp_path: Path) -> None:
    """Options that make sense are taken, and the rest is as the defaults say."""
    found = settings({"path": str(tmp_path), "steps": 4, "width": 512}, PipelineSettings)
    assert (found.path, found.steps, found.width, found.height, found.download) == (str(tmp_path), 4, 512, None, False)


def test_the_home_folder_may_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may begin with `~`."""
    (tmp_path / "model").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings({"path": "~/model"}, Settings).path == str(tmp_path / "model")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "options: Object missing required field `path`; known: path, download, device"),
        ({"path": "/nonexistent/model"}, "options: path = '/nonexistent/model' is no folder; download = true takes"),
        ({"path": "/", "stepps": 4}, "options: Object contains unknown field `stepps`; known: path, download, device"),
        ({"path": "/", "steps": 0}, r"options: Expected `int` >= 1 - at `\$.steps`"),
        ({"path": "/", "width": 500}, r"options: Expected `int` that's a multiple of 8 - at `\$.width`"),
    ],
)
def test_nonsense(options: dict[str, Any], complaint: str) -> None:
    """An option that makes no sense is refused by its name, with what would do."""
    with pytest.raises(ValueError, match=complaint):
        settings(options, PipelineSettings)


def test_library_that_is_not_installed(tmp_path: Path) -> None:
    """What is missing is told as the command that brings it into this environment."""
    with pytest.raises(ImportError, match=r"python\S* -m pip install no-such_library` brings"):
        settings({"path": str(tmp_path)}, Settings, "msgspec", "no-such_library")


def test_names_of_the_hub_are_no_folders() -> None:
    """With `download` a path is taken as it is."""
    assert settings({"path": "some/model", "download": True}, Settings).path == "some/model"


def test_bytes_of_weights(tmp_path: Path) -> None:
    """The size of a model is that of its weights, those of one kind where there are several."""
    assert bytes_of_weights(str(tmp_path)) is None
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "model.bin").write_bytes(bytes(50))
    assert bytes_of_weights(str(tmp_path)) == 50
    (tmp_path / "unet" / "model.safetensors").write_bytes(bytes(30))
    (tmp_path / "model.safetensors").write_bytes(bytes(5))
    assert bytes_of_weights(str(tmp_path)) == 35


@pytest.mark.parametrize(
    ("release", "word"),
    [("0.41.3", "torch_dtype"), ("0.42.0", "dtype"), ("0.100.0.dev0", "dtype"), ("1.0.0", "dtype")],
)
def test_word_for_dtype(release: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older release gets the word that it knows."""

    def told(_package: str) -> str:
        return release

    monkeypatch.setattr("stoker_worker.models.settings.version", told)
    assert word_for_dtype("diffusers", since=(0, 42)) == word
