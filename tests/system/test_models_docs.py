"""What docs/models.md shows of a class of one's own, in the order of the page."""

from pathlib import Path

from tests.system.pages import blocks, type_in

from stoker_client.private_daemon import PrivateDaemon

PAGE = "models.md"


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    """We expect the class of the page to run with the configuration and the commands beside it."""
    source, (toml, *_), (commands, *_) = blocks(PAGE, "python")[0], blocks(PAGE, "toml"), blocks(PAGE, "sh")
    assert len([line for line in source.splitlines() if line.strip()]) <= 20
    (tmp_path / "shout.py").write_text(source)
    (tmp_path / "stokerd.toml").write_text(toml)
    with PrivateDaemon(tmp_path / "data", args=["--config", str(tmp_path / "stokerd.toml")]) as daemon:
        said = type_in(commands, tmp_path, daemon.control)
    assert (tmp_path / "hello" / "00000_0.txt").read_text() == "HELLO!!"
    assert (tmp_path / "hello" / "00001_0.txt").read_text() == "GOOD MORNING!!"
    assert "louder" in said[-1]
    (loudest,) = [path for path in (tmp_path / "data" / "outputs").rglob("*.txt") if path.read_text() == "HELLO!!!"]
    assert loudest.suffix == ".txt"
