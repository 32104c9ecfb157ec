"""What the journal is given: an entry a line, a field for each fact, and nothing that could be taken for another."""

import json
import socket
import struct
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from stoker_daemon.journal import Journal, is_connected


@pytest.fixture(name="journald")
def fixture_journald(tmp_path: Path) -> Generator[socket.socket]:
    """The other end of the journal's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(f"{tmp_path}/journal")
        yield journald


@pytest.fixture(name="journal")
def fixture_journal(journald: socket.socket) -> Generator[Journal]:
    """A journal that it hears."""
    with closing(Journal(journald.getsockname())) as journal:
        yield journal


def entry(journald: socket.socket) -> dict[str, str]:
    """The next entry, read as systemd.io/JOURNAL_NATIVE_PROTOCOL describes it."""
    data, fields = journald.recv(1 << 20), dict[str, str]()
    while data:
        line, _, data = data.partition(b"\n")
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            (size,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        fields[name.decode()] = value.decode()
    return fields


def test_an_entry(journald: socket.socket, journal: Journal) -> None:
    """We expect a message for people, the priority of its level, and each fact as a field of its own."""
    said = {"at": "now", "event": "an item failed", "level": "warning", "job": "j1", "item": 3, "ids": [1]}
    journal.write(json.dumps(said) + "\n")
    assert entry(journald) == {
        "MESSAGE": "an item failed job=j1 item=3 ids=[1]",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "stokerd",
        "STOKER_JOB": "j1",
        "STOKER_ITEM": "3",
        "STOKER_IDS": "[1]",
    }


def test_a_run_of_several_jobs(journald: socket.socket, journal: Journal) -> None:
    """We expect the entry to be found by each of its jobs: one field of that name for each."""
    journal.write(json.dumps({"event": "a run was cut short", "job": ["j1", "j2"]}))
    told = journald.recv(1 << 20).splitlines()
    assert [line for line in told if line.startswith(b"STOKER_JOB=")] == [b"STOKER_JOB=j1", b"STOKER_JOB=j2"]


def test_line_breaks_make_no_fields(journald: socket.socket, journal: Journal) -> None:
    """We expect a value with line breaks, or a key with strange letters, to stay one value of one field."""
    journal.write(json.dumps({"event": "x", "why": "a\nPRIORITY=0", "k=é": "v", "exception": "Traceback\nline"}))
    told = entry(journald)
    assert (told["STOKER_WHY"], told["PRIORITY"], told["STOKER_K__"]) == ("a\nPRIORITY=0", "6", "v")
    assert told["MESSAGE"].endswith("Traceback\nline")


def test_what_is_no_json(journald: socket.socket, journal: Journal) -> None:
    """We expect what others write to be a message, line by line, and a huge one to be cut."""
    journal.write("plain words\n\n42\n" + "x" * 100_000)
    assert [entry(journald)["MESSAGE"][:11] for _ in range(3)] == ["plain words", "42", "x" * 11]


def test_whether_it_is_connected(tmp_path: Path) -> None:
    """We expect the journal only where stderr is what systemd says that it made."""
    with (tmp_path / "stderr").open("w") as file:
        status = (tmp_path / "stderr").stat()
        right = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_connected(right, file.fileno())
        for wrong in ({}, {"JOURNAL_STREAM": f"{status.st_dev}:1"}, {"JOURNAL_STREAM": "nonsense"}):
            assert not is_connected(wrong, file.fileno())
