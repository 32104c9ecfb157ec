"""The fingerprint of a submit: the same for the same job however it is written, another for any other job."""

import json
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.golden.generate import HERE, as_sent, packed

from stoker_protocol import codec

SUBMIT = as_sent(HERE / "requests" / "submit.json")
ASIDE = {"v", "op", "id", "dry_run"}
OTHER: dict[str, Any] = {
    "job_id": "dragons-02",
    "engine": "other",
    "items": SUBMIT["items"][::-1],
    "model": "sprites-small",
    "params": {**SUBMIT["params"], "steps": 17},
    "name": "",
    "priority": "normal",
    "metadata": {},
    "on_interrupt": "requeue",
    "batch_size": 0,
    "max_attempts": 3,
    "timeout_s": None,
    "no_progress_s": 30.0,
}


def test_a_fingerprint_is_for_ever() -> None:
    """The golden submit has the fingerprint that databases already hold for it."""
    expected = "ef3fa47e2d8a0a20368c3f08584ae7218b293df82694c15253390998c0d7ccd4"
    assert codec.fingerprint(packed(SUBMIT)).hex() == expected


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(random: Random) -> None:
    """A submit whose maps list their keys in another order, at any depth, is the same."""

    def shuffled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(random.sample(pairs, len(pairs)))

    other = json.loads(json.dumps(SUBMIT), object_pairs_hook=shuffled)
    assert codec.fingerprint(packed(other)) == codec.fingerprint(packed(SUBMIT))


@pytest.mark.parametrize("fields", [{"id": "c2-1"}, {"dry_run": False}, {"color": "red"}], ids=str)
def test_what_is_not_of_the_job_does_not_matter(fields: dict[str, Any]) -> None:
    """Another request id, a dry run, and fields that mean nothing here are the same job."""
    assert codec.fingerprint(packed({**SUBMIT, **fields})) == codec.fingerprint(packed(SUBMIT))


def test_the_width_of_a_number_does_not_matter() -> None:
    """A number that a client wrote in more bytes than it needs is the same number."""
    wide = packed({**SUBMIT, "batch_size": b"?"}).replace(
        packed(b"?"), b"\xd3" + struct.pack(">q", SUBMIT["batch_size"])
    )
    assert codec.fingerprint(wide) == codec.fingerprint(packed(SUBMIT))


def test_the_last_of_double_keys_counts() -> None:
    """A key that comes twice counts with its last value, as it does when the request is decoded."""
    body = packed(SUBMIT)
    doubled = b"\xde" + struct.pack(">H", len(SUBMIT) + 1) + packed("name") + packed("first") + body[3:]
    assert body[0] == 0xDE
    assert codec.fingerprint(doubled) == codec.fingerprint(body)


@pytest.mark.parametrize("field", sorted(SUBMIT.keys() - ASIDE))
def test_any_other_change_matters(field: str) -> None:
    """Another value in any field, or none where there was one, is another job."""
    others = [{**SUBMIT, field: OTHER[field]}, {key: value for key, value in SUBMIT.items() if key != field}]
    prints = [codec.fingerprint(packed(submit)) for submit in (SUBMIT, *others)]
    assert len(set(prints)) == 3


def test_items_differ() -> None:
    """Lists of items that differ in anything at all, a type or a border between two, are different jobs."""
    lists: list[list[dict[str, Any]]] = [
        [{}],
        [{}, {}],
        [{"custom_id": None}],
        [{"custom_id": "a"}],
        [{"params": {}}],
        [{"params": {"a": "b"}}],
        [{"params": {"b": "a"}}],
        [{"params": {"a": 1}}],
        [{"params": {"a": 1.0}}],
        [{"params": {"a": True}}],
        [{"params": {"a": "1"}}],
        [{"params": {"a": [1]}}],
        [{"params": {"a": 1}}, {"params": {"b": 2}}],
        [{"params": {"a": 1, "b": 2}}, {}],
        [{"params": {"b": 2}}, {"params": {"a": 1}}],
    ]
    assert len({codec.fingerprint(packed({**SUBMIT, "items": items})) for items in lists}) == len(lists)
