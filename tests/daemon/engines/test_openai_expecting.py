"""What is expected of an answer, and which answers are rejected for it."""

from typing import Any

import pytest

from stoker_daemon.engines.openai.expecting import expectation_of

OBJECT = {"type": "object", "required": ["hp"], "properties": {"hp": {"type": "integer", "minimum": 1}}}


@pytest.mark.parametrize(
    ("wanted", "good", "bad", "why"),
    [
        ({"matches": "^(yes|no)$"}, "yes", "maybe", "does not match"),
        ({"lacks": "(?i)sorry"}, "of course", "I am Sorry", "Sorry"),
        ({"min_length": 3}, "ärä", "är", "shorter than 3"),
        ({"max_length": 3}, "abc", "abcd", "longer than 3"),
        ({"schema": OBJECT}, '{"hp": 3}', '{"hp": 0}', "at ['hp']"),
        ({"schema": OBJECT}, '{"hp": 3}', "```json\n{}", "no JSON"),
        ({"schema": {"type": "array", "items": {"type": "string", "pattern": "^a"}}}, '["a"]', '["a", "b"]', "[1]"),
        ({"matches": "(a+)+$", "max_length": 70}, "a" * 60, "a" * 60 + "b", "does not match"),
    ],
)
def test_expectations(wanted: dict[str, Any], good: str, bad: str, why: str) -> None:
    """An answer that is as expected passes, another one does not and it is said why, however hard the expression."""
    expectation = expectation_of(wanted, "expect")
    assert expectation.complaint(good) == ""
    assert why in expectation.complaint(bad)
