"""The two closed lists of what can go wrong: why a request was refused, and why an item failed."""

from enum import Enum, StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """Why a request was refused."""

    BAD_REQUEST = "bad_request"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_OP = "unknown_op"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID_STATE = "invalid_state"
    FORBIDDEN = "forbidden"
    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    STALE_PLAN = "stale_plan"
    PREFLIGHT_FAILED = "preflight_failed"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"

    @classmethod
    def _missing_(cls, value: object) -> "ErrorCode | None":
        """A word that is not in this version's list."""
        return cls.INTERNAL if isinstance(value, str) else None


class CodeFacts(NamedTuple):
    """What an error code means on every surface."""

    retryable: bool
    exit_code: int
    http_status: int


CODES: dict[ErrorCode, CodeFacts] = {
    ErrorCode.BAD_REQUEST: CodeFacts(retryable=False, exit_code=2, http_status=400),
    ErrorCode.UNSUPPORTED_VERSION: CodeFacts(retryable=False, exit_code=2, http_status=400),
    ErrorCode.UNKNOWN_OP: CodeFacts(retryable=False, exit_code=2, http_status=400),
    ErrorCode.NOT_FOUND: CodeFacts(retryable=False, exit_code=3, http_status=404),
    ErrorCode.CONFLICT: CodeFacts(retryable=False, exit_code=4, http_status=409),
    ErrorCode.INVALID_STATE: CodeFacts(retryable=False, exit_code=4, http_status=409),
    ErrorCode.FORBIDDEN: CodeFacts(retryable=False, exit_code=6, http_status=403),
    ErrorCode.QUEUE_FULL: CodeFacts(retryable=True, exit_code=5, http_status=429),
    ErrorCode.TOO_LARGE: CodeFacts(retryable=False, exit_code=2, http_status=413),
    ErrorCode.STALE_PLAN: CodeFacts(retryable=False, exit_code=4, http_status=409),
    ErrorCode.PREFLIGHT_FAILED: CodeFacts(retryable=True, exit_code=5, http_status=503),
    ErrorCode.ENGINE_UNAVAILABLE: CodeFacts(retryable=True, exit_code=5, http_status=503),
    ErrorCode.STORAGE_UNAVAILABLE: CodeFacts(retryable=True, exit_code=5, http_status=507),
    ErrorCode.SHUTTING_DOWN: CodeFacts(retryable=True, exit_code=5, http_status=503),
    ErrorCode.INTERNAL: CodeFacts(retryable=False, exit_code=5, http_status=500),
}


class RetryClass(Enum):
    """What a failure of a kind asks for."""

    BACKOFF = "backoff"
    """Again, later."""
    ALONE = "alone"
    """Members of a batch again, one by one; a single item again, later, within its attempts."""
    FREE = "free"
    """Again, and it does not count: the item had no part in it."""
    NEVER = "never"


class FailureKind(StrEnum):
    """Why an item failed."""

    TIMEOUT = "timeout"
    NO_PROGRESS = "no_progress"
    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    OOM = "oom"
    CRASH = "crash"
    INVALID = "invalid"
    REFUSED = "refused"
    LOST = "lost"
    INTERNAL = "internal"


KINDS: dict[FailureKind, RetryClass] = {
    FailureKind.TIMEOUT: RetryClass.ALONE,
    FailureKind.NO_PROGRESS: RetryClass.ALONE,
    FailureKind.RATE_LIMIT: RetryClass.BACKOFF,
    FailureKind.SERVER_ERROR: RetryClass.BACKOFF,
    FailureKind.OOM: RetryClass.ALONE,
    FailureKind.CRASH: RetryClass.ALONE,
    FailureKind.INVALID: RetryClass.NEVER,
    FailureKind.REFUSED: RetryClass.NEVER,
    FailureKind.LOST: RetryClass.FREE,
    FailureKind.INTERNAL: RetryClass.ALONE,
}


class Refused(Exception):
    """A request was refused: the typed error that crosses the wire.

    `field` names the offending field (`items[3].seed`), `hint` says what would be accepted or what to do next.
    """

    def __init__(
        self, code: ErrorCode, message: str, *, field: str = "", hint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.hint = hint
        self.retry_after_s = retry_after_s
