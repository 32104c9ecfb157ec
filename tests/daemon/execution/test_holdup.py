"""What a lane says while it waits for the disk or the host: the cause in the system's words, and what to do."""

import os
import sqlite3
from pathlib import Path

import pytest

from stoker_daemon.execution.holdup import DISK_ERRORS, explain
from stoker_daemon.sqlite.database import refusal


@pytest.mark.parametrize("number", sorted(DISK_ERRORS))
def test_each_cause_says_what_to_do(number: int) -> None:
    """We expect the file, the system's text without its number, and advice, for all that a lane waits for."""
    said = explain(OSError(number, os.strerror(number), "/data/outputs/a.png"))
    assert said.startswith(f"/data/outputs/a.png: {os.strerror(number)}; ")
    assert "Errno" not in said
    assert len(said) > len(f"/data/outputs/a.png: {os.strerror(number)}; ")


def test_what_the_store_refuses_is_told_as_it_is() -> None:
    """We expect the words of the store, which name file and remedy already."""
    refused = refusal(Path("/data/stoker.sqlite3"), sqlite3.OperationalError("database or disk is full"))
    assert (
        explain(refused)
        == "the database failed: /data/stoker.sqlite3: the disk is full (database or disk is full); free some space"
    )
