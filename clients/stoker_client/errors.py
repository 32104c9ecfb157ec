"""What can go wrong for a client: one exception class for each error code, and two of its own."""

from stoker_protocol.errors import CODES, ErrorCode
from stoker_protocol.replies import ErrorReply


class StokerError(Exception):
    """The daemon refused, or could not be asked.

    `field` names the culprit, `hint` says what to do instead, `retry_after_s` when the same may be accepted.
    """

    def __init__(
        self, code: str, message: str, *, field: str = "", hint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.code = code
        self.message = message
        self.field = field
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.exit_code = CODES[ErrorCode(code)].exit_code


class BadRequest(StokerError):
    """A field has a value that is not accepted."""


class UnsupportedVersion(StokerError):
    """The daemon speaks another version of the protocol."""


class UnknownOp(StokerError):
    """The daemon does not know the verb; it may be older than this client."""


class NotFound(StokerError):
    """There is no such job or artifact."""


class Conflict(StokerError):
    """Another job has the id, or the job was changed meanwhile."""


class InvalidState(StokerError):
    """The job, or the client itself, is not in a state for that."""


class Forbidden(StokerError):
    """The caller's role does not allow it."""


class QueueFull(StokerError):
    """The daemon takes no more for the moment; after `retry_after_s` it may."""


class TooLarge(StokerError):
    """A body or a value is larger than allowed."""


class StalePlan(StokerError):
    """What the plan was made from has changed."""


class PreflightFailed(StokerError):
    """The host is not fit to run this now."""


class EngineUnavailable(StokerError):
    """The engine can't be reached."""


class StorageUnavailable(StokerError):
    """The daemon's disk is full or takes nothing for another reason; nothing was stored."""


class ShuttingDown(StokerError):
    """The daemon is stopping."""


class Internal(StokerError):
    """The daemon failed, and its log says more; or it has a reason that this version does not know."""


class DaemonUnavailable(StokerError):
    """There is no daemon, or it does not answer."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__("daemon_unavailable", message, hint=hint)


class BadReply(StokerError):
    """What came back is not what was asked for."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_reply", message, hint="client and daemon may be of different versions")


_CLASSES: dict[ErrorCode, type[StokerError]] = {
    ErrorCode.BAD_REQUEST: BadRequest,
    ErrorCode.UNSUPPORTED_VERSION: UnsupportedVersion,
    ErrorCode.UNKNOWN_OP: UnknownOp,
    ErrorCode.NOT_FOUND: NotFound,
    ErrorCode.CONFLICT: Conflict,
    ErrorCode.INVALID_STATE: InvalidState,
    ErrorCode.FORBIDDEN: Forbidden,
    ErrorCode.QUEUE_FULL: QueueFull,
    ErrorCode.TOO_LARGE: TooLarge,
    ErrorCode.STALE_PLAN: StalePlan,
    ErrorCode.PREFLIGHT_FAILED: PreflightFailed,
    ErrorCode.ENGINE_UNAVAILABLE: EngineUnavailable,
    ErrorCode.STORAGE_UNAVAILABLE: StorageUnavailable,
    ErrorCode.SHUTTING_DOWN: ShuttingDown,
    ErrorCode.INTERNAL: Internal,
}


def error_of(reply: ErrorReply) -> StokerError:
    """The exception for an error reply."""
    return _CLASSES[reply.code](
        reply.code.value, reply.message, field=reply.field, hint=reply.hint, retry_after_s=reply.retry_after_s
    )
