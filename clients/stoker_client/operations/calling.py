"""One request and its reply: resent on a new connection when nobody answers, which the daemon makes harmless."""

from typing import TypeVar

import msgspec

from stoker_client.errors import BadReply, DaemonUnavailable, error_of
from stoker_client.operations.effects import Exchange, Operation, Reconnect, Sleep
from stoker_protocol import codec
from stoker_protocol.replies import AnyReply, ErrorReply, Reply
from stoker_protocol.requests import AnyRequest
from stoker_protocol.session import Session

TRIES = (0.2, 0.3, 0.5)
"""Each try's part of the caller's time: a lost message is noticed early, a busy daemon gets most of it."""
MAX_RETRY_AFTER_S = 5.0

R = TypeVar("R", bound=Reply)


class Caller:
    """How the operations of one client call its daemon: the endpoint, the time for an answer, the numbering."""

    def __init__(self, session: Session, endpoint: str, timeout_s: float) -> None:
        self.session = session
        self.endpoint = endpoint
        self.timeout_s = timeout_s

    def next_id(self) -> str:
        """An id for the next request."""
        return self.session.next_id()

    def call(self, request: AnyRequest, expected: type[R]) -> Operation[R]:
        """Ask, again if need be with the same bytes, until there is a reply.

        Raises:
            StokerError: The daemon refused.
            DaemonUnavailable: It did not answer in time.
            BadReply: It answered with something else.
        """
        message = codec.encode(request)
        for part in TRIES:
            body = yield Exchange(message, request.id, self.timeout_s * part)
            if body is None:
                yield Reconnect()
                continue
            reply = self._decode(request, body)
            if isinstance(reply, expected):
                return reply
            if not isinstance(reply, ErrorReply):
                raise BadReply(f"{reply.__struct_config__.tag} in answer to {request.__struct_config__.tag}")
            if not reply.retryable or reply.retry_after_s is None or part == TRIES[-1]:
                raise error_of(reply)
            yield Sleep(min(reply.retry_after_s, MAX_RETRY_AFTER_S))
        raise DaemonUnavailable(self.endpoint)

    def _decode(self, request: AnyRequest, body: bytes) -> AnyReply:
        try:
            reply = self.session.reply_to(request.id, body)
        except msgspec.DecodeError as error:
            raise BadReply(f"the reply can't be read: {error}") from None
        if reply is None:
            raise BadReply("the reply is to another request")
        return reply
