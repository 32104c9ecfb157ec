"""The node pack gets into a ComfyUI, and stays as this version of Stoker has it."""

import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).parents[3] / "clients/comfyui_nodes/stoker_nodes"


def install(path: Path) -> "subprocess.CompletedProcess[str]":
    """Run `stokerd nodes install`."""
    command = [sys.executable, "-m", "stoker_daemon", "nodes", "install", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_pack_is_installed_once(tmp_path: Path) -> None:
    """We expect the pack beside other packs, and nothing to do the second time, by either path."""
    folder = tmp_path / "custom_nodes"
    folder.mkdir()
    (folder / "other.py").write_text("")
    done = install(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "restart ComfyUI" in done.stdout
    installed = {path.name: path.read_bytes() for path in (folder / "stoker_nodes").iterdir()}
    assert installed == {path.name: path.read_bytes() for path in PACK.glob("*.py")}
    assert install(folder).stdout == f"{folder / 'stoker_nodes'}: up to date\n"
    assert {path.name for path in folder.iterdir()} == {"other.py", "stoker_nodes"}


def test_an_old_pack_is_brought_up_to_date(tmp_path: Path) -> None:
    """We expect that changed and superfluous modules are put right, and that other files stay."""
    (tmp_path / "custom_nodes").mkdir()
    install(tmp_path)
    there = tmp_path / "custom_nodes/stoker_nodes"
    (there / "noise.py").write_text("old")
    (there / "gone.py").write_text("old")
    (there / "notes.txt").write_text("mine")
    assert "2 files" in install(tmp_path).stdout
    assert (there / "noise.py").read_bytes() == (PACK / "noise.py").read_bytes()
    assert not (there / "gone.py").exists()
    assert (there / "notes.txt").read_text() == "mine"


def test_what_is_no_comfyui_is_left_alone(tmp_path: Path) -> None:
    """We expect exit code 4, the folder that is missing named, and nothing written."""
    for path in (tmp_path, tmp_path / "custom_nodes", tmp_path / "nowhere"):
        done = install(path)
        assert done.returncode == 4
        assert "is no ComfyUI: there is no folder" in done.stderr
    assert list(tmp_path.iterdir()) == []
