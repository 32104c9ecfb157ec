"""What docs/models.md shows of libraries of models, with tiny models where the page has those of its reader."""

import json
import re
from pathlib import Path

import msgspec
from tests.adapters.studio import BOUND_S, PYTHON
from tests.system.pages import DOCS, blocks, type_in

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_worker.models.diffusers import PipelineSettings
from stoker_worker.models.sentence_transformers import EmbeddingSettings

PAGE = "models.md"


def test_libraries_of_models(tiny_models: Path, tmp_path: Path) -> None:
    """We expect each command of the page to succeed with the page's configuration, and what it makes to be there."""
    config, commands = blocks(PAGE, "toml")[1], blocks(PAGE, "sh")[1]
    for theirs, ours in (
        ("/srv/models/bin/python", PYTHON),
        ("/srv/models/sketch", str(tiny_models / "diffusion")),
        ("/srv/models/minilm", str(tiny_models / "embeddings" / "model")),
    ):
        assert theirs in config
        config = config.replace(theirs, ours)
    (tmp_path / "stokerd.toml").write_text(config)
    with PrivateDaemon(tmp_path / "data", args=["--config", str(tmp_path / "stokerd.toml")]) as daemon:
        type_in(commands, tmp_path, daemon.control, bound_s=BOUND_S)
        with Client(daemon.control) as client:
            assert [model.name for model in client.engines()[0].models] == ["sketch", "minilm"]
    assert len(json.loads((tmp_path / "sky" / "00000_0.json").read_bytes())) == 32
    assert len(list((tmp_path / "data" / "outputs").rglob("*.png"))) >= 2
    assert len(list((tmp_path / "data" / "outputs").rglob("*.npy"))) == 1


def test_the_options_are_all_told() -> None:
    """We expect each option of an adapter in the table of the page, and none that there is not."""
    (table,) = re.findall(r"^\| option \|.*?\n\n", (DOCS / PAGE).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines()[2:] if line)))
    fields = {
        field.encode_name for kind in (PipelineSettings, EmbeddingSettings) for field in msgspec.structs.fields(kind)
    }
    assert told | {"download"} == fields
