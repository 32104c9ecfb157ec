"""What people read: tables that line up, durations, sizes, times; and times for scripts."""

import click
import pytest

from stoker_client.cli import render
from stoker_client.cli.render import Cell, clean, clip, done, duration, table, timestamp
from stoker_protocol.jobs import ItemCounts


def test_columns_line_up() -> None:
    """We expect columns as wide as their widest cell, numbers to the right, and no spaces at the end."""
    assert table(("name", "count>", "x"), [("a", "7", "y"), ("longer", "1000", "")]) == (
        "\x1b[90mNAME\x1b[0m    \x1b[90mCOUNT\x1b[0m  \x1b[90mX\x1b[0m\na           7  y\nlonger   1000"
    )


def test_wide_characters_line_up() -> None:
    """We expect characters that take two columns, or none, to be counted so."""
    lines = click.unstyle(table(("a", "b"), [("狐狸", "x"), ("e\u0301", "x"), ("four", "x")])).splitlines()
    assert lines[1:] == ["狐狸  x", "e\u0301     x", "four  x"]


def test_a_last_column_goes_on_below() -> None:
    """We expect what is too wide to go on under itself, with words and paths whole, and numbers to be left alone."""
    said = [("1", Cell("it stays until it has worked", "green")), ("2", "a/long/path/of/a/file.png and it")]
    assert click.unstyle(table(("n>", "why"), said, room=20)).splitlines() == [
        "N  WHY",
        "1  it stays until it",
        "   has worked",
        "2  a/long/path/of/a/file.png",
        "   and it",
    ]
    assert table(("why", "n>"), [("it stays until it has worked", "1")], room=20).count("\n") == 1


def test_what_was_cancelled_is_not_done() -> None:
    """We expect a job that was cancelled half-way to say how much of it was made."""
    assert done(ItemCounts(total=9, succeeded=3, failed=1, cancelled=5)) == "4 of 9 done"


def test_colours_do_not_move_columns() -> None:
    """We expect a coloured cell to take the room of its text."""
    plain = table(("a", "b"), [("up", "x")])
    assert click.unstyle(table(("a", "b"), [(Cell("up", "green"), "x")])) == click.unstyle(plain)


@pytest.mark.parametrize("text", ["a\nb", "a\x1bb", "a\x9bb", "a\u202eb", "a\tb"])
def test_text_of_others_is_harmless(text: str) -> None:
    """We expect line breaks, escapes and what turns the direction of text to become spaces."""
    assert clean(text) == "a b"


def test_long_text_is_cut() -> None:
    """We expect a cut to show, and text that fits to stay."""
    assert clip("abcdef", 5) == "abcd…"
    assert clip("abcde", 5) == "abcde"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "<0.1 s"),
        (0.44, "0.4 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """We expect durations in the two units that matter, rounded without a step back."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
        (1_699_999_999_999, "2023-11-14T22:13:19.999Z"),
    ],
)
def test_times_for_scripts(ms: int, text: str) -> None:
    """We expect RFC 3339 in UTC with exactly the milliseconds that the daemon said."""
    assert timestamp(ms) == text


def test_plurals() -> None:
    """We expect one item and two items."""
    assert (render.plural(1, "item"), render.plural(2, "item"), render.plural(0, "item")) == (
        *("1 item", "2 items", "0 items"),
    )
