"""One exception class for each error code, so that scripts can tell refusals apart."""

import pytest

from stoker_client import errors
from stoker_client.errors import BadReply, DaemonUnavailable, StokerError, error_of
from stoker_protocol.errors import CODES, ErrorCode
from stoker_protocol.replies import ErrorReply


@pytest.mark.parametrize("code", ErrorCode)
def test_classes(code: ErrorCode) -> None:
    """We expect that each code has the class of its name, and the exit code of the one table."""
    error = error_of(ErrorReply(code=code, message="no", retryable=False, field="f", hint="h"))
    name = code.title().replace("_", "")
    assert type(error) is getattr(errors, name)
    assert (error.code, error.message, error.field, error.hint) == (code, "no", "f", "h")
    assert error.exit_code == CODES[code].exit_code


@pytest.mark.parametrize("error", [DaemonUnavailable("no answer", hint="start it"), BadReply("gibberish")])
def test_own_errors(error: StokerError) -> None:
    """We expect that what the client itself finds wrong exits like a daemon that can't be reached."""
    assert error.exit_code == 5
    assert str(error) == f"{error.message} ({error.hint})"
