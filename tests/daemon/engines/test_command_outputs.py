"""Which files of a command are kept, and that no pattern and no link leads out of its scratch folder."""

from pathlib import Path

import pytest
from tests.daemon.engines.command_bench import MAX_OUTPUT, outcome, script

from stoker_daemon.engines.command import outputs
from stoker_protocol.errors import FailureKind


def test_files_by_pattern(tmp_path: Path) -> None:
    """The files that match are kept in the order of their paths, to the byte, and others are not."""
    text = r"cd $0; mkdir -p b; printf 1 >z.png; printf 2 >b/y.PNG; printf '\0\377' >b/x.png; printf 4 >no.txt; >e.json"
    told = outcome(tmp_path, script(text, outputs=("*.png", "e.*")))
    assert [(o.record["file"], o.data, o.media_type, o.suffix, o.verbatim) for o in told.outputs] == [
        ("b/x.png", b"\0\377", "image/png", ".png", True),
        ("e.json", b"", "application/json", ".json", True),
        ("z.png", b"1", "image/png", ".png", True),
    ]
    assert told.done == [0]


def test_no_files(tmp_path: Path) -> None:
    """A command that leaves nothing has succeeded all the same."""
    told = outcome(tmp_path, script("mkdir $0/a.png", outputs=("*.png",)))
    assert (told.outputs, told.done, told.failures) == ([], [0], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ln -s ../../../secret.png a.png", "the output 'a.png' can't be read: is a link"),
        ("ln -s nowhere a.png", "the output 'a.png' can't be read: is a link"),
        ("ln -s ../../../../.. a.png", "the output 'a.png' can't be read: is a link"),
        ("mkfifo a.png", "the output 'a.png' is not a plain file"),
        (f"truncate -s {MAX_OUTPUT + 1} a.png", f"the output 'a.png' is too large: {MAX_OUTPUT} bytes are left for it"),
        ("truncate -s 100G a.png", f"the output 'a.png' is too large: {MAX_OUTPUT} bytes are left for it"),
        (
            f"truncate -s {MAX_OUTPUT - 1} a.png; printf 12 > b.png",
            "the output 'b.png' is too large: 1 bytes are left for it",
        ),
        ("for n in $(seq 101); do printf 1 > $n.png; done", "101 output files are more than 100"),
        (r"touch $(printf '\377.png')", r"the output '\udcff.png' has a name that is not UTF-8"),
    ],
)
def test_output_that_is_not_kept(tmp_path: Path, text: str, message: str) -> None:
    """What is no plain file of the folder, or too much, fails the item for good; nothing of it is kept."""
    (tmp_path / "secret.png").write_text("s3cr3t")
    told = outcome(tmp_path, script(f"cd $0; {text}", outputs=("*.png",)))
    assert told.failures == [(0, FailureKind.INVALID, message)]
    assert (told.outputs, told.done) == ([], [])


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with more files than anybody looks at fails the item."""
    monkeypatch.setattr(outputs, "MAX_LOOKED_AT", 50)
    told = outcome(tmp_path, script("mkdir $0/d; cd $0/d; seq 50 | xargs touch", outputs=("*.png",)))
    assert told.failures == [(0, FailureKind.INVALID, "there are more than 50 files in the scratch folder")]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    """Files behind a link to a folder outside are not seen."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_text("s3cr3t")
    told = outcome(tmp_path, script("ln -s ../../../outside $0/link", outputs=("*.png",)))
    assert (told.outputs, told.done) == ([], [0])


def test_failure_says_how_it_ended_rather_than_what_it_left(tmp_path: Path) -> None:
    """Of a command that failed the exit code is told, whatever its outputs are."""
    told = outcome(tmp_path, script("cd $0; mkfifo a.png; exit 2", outputs=("*.png",)))
    assert told.failures == [(0, FailureKind.INVALID, "do exited with code 2")]


def test_folder_that_is_hard_to_remove(tmp_path: Path) -> None:
    """A folder whose files nobody may write to is removed all the same."""
    told = outcome(tmp_path, script("mkdir $0/d; touch $0/d/f; chmod 0555 $0/d"))
    assert told.done == [0]
