"""The two closed lists of what can go wrong, and the tables that give each member its meaning."""

import pytest

from stoker_protocol.errors import CODES, KINDS, ErrorCode, FailureKind, Refused, RetryClass


def test_every_code_has_a_meaning_on_every_surface() -> None:
    """Each error code has an exit code and an HTTP status that stand for an error."""
    assert set(CODES) == set(ErrorCode)
    assert {facts.exit_code for facts in CODES.values()} == {2, 3, 4, 5, 6}
    assert all(400 <= facts.http_status < 600 for facts in CODES.values())


def test_what_is_worth_repeating_says_so() -> None:
    """Only refusals that pass by themselves are retryable: a full queue or disk, a missing engine, a restart."""
    retryable = {code.value for code, facts in CODES.items() if facts.retryable}
    passing = {"queue_full", "preflight_failed", "engine_unavailable", "storage_unavailable", "shutting_down"}
    assert retryable == passing


def test_every_failure_kind_has_a_retry_class() -> None:
    """Each kind of failure asks for one thing, and only what can't get better is never tried again."""
    assert set(KINDS) == set(FailureKind)
    assert {kind.value for kind, retry in KINDS.items() if retry is RetryClass.NEVER} == {"invalid", "refused"}


def test_a_refusal_says_all_it_knows() -> None:
    """A refusal carries code, message, field, hint and the time to wait, and reads as its message."""
    refused = Refused(ErrorCode.QUEUE_FULL, "full", field="items", hint="wait", retry_after_s=2.5)
    assert str(refused) == "full"
    assert (refused.code, refused.field, refused.hint) == (ErrorCode.QUEUE_FULL, "items", "wait")
    assert refused.retry_after_s == pytest.approx(2.5)
