"""One request and its reply: resent on a new connection when nobody answers, which the daemon makes harmless."""

from typing import Literal, TypeVar

import msgspec

from stoker_client.errors import (
    BadReply,
    BadRequest,
    DaemonUnavailable,
    Forbidden,
    StokerError,
    TooLarge,
    error_of,
)
from stoker_client.operations.effects import Diagnose, Exchange, Operation, Reconnect, Trouble
from stoker_protocol import codec
from stoker_protocol.replies import ErrorReply, Reply
from stoker_protocol.requests import AnyRequest
from stoker_protocol.session import Session

KeyTrouble = Literal[Trouble.KEY_MISSING, Trouble.KEY_UNKNOWN, Trouble.KEY_NOT_WANTED, Trouble.OTHER_DAEMON]
TRIES = (0.2, 0.3, 0.5)
"""Each try's part of the caller's time: a lost message is noticed early, a busy daemon gets most of it."""
STRANGE = (
    "a program listens there that does not speak as stokerd does: another one has its port, or it hangs;"
    " `ss -ltnp` on its host says which it is"
)

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
            StokerError: The daemon refused, or the request can't be sent.
            DaemonUnavailable: It did not answer in time.
            Forbidden: It takes only clients with a key, or not with this one.
            BadReply: It answered with something else.
        """
        message = _message_of(request)
        trouble = Trouble.SILENT
        for number, part in enumerate(TRIES):
            body = yield Exchange(message, request.id, self.timeout_s * part)
            if body is not None:
                return self._read(request, body, expected)
            yield Reconnect()
            if number == 0:
                trouble = yield Diagnose()
            if trouble is not Trouble.SILENT and trouble is not Trouble.STRANGE:
                raise _about_the_key(self.endpoint, trouble)
        hint = _advice(self.endpoint) if trouble is Trouble.SILENT else STRANGE
        raise DaemonUnavailable(f"no answer from {self.endpoint}", hint=hint)

    def _read(self, request: AnyRequest, body: bytes, expected: type[R]) -> R:
        try:
            reply = self.session.reply_to(request.id, body)
        except msgspec.DecodeError as error:
            raise BadReply(f"the reply can't be read: {error}") from None
        if isinstance(reply, expected):
            return reply
        if isinstance(reply, ErrorReply):
            raise error_of(reply)
        what = reply.__struct_config__.tag if reply is not None else "another request's reply"
        raise BadReply(f"{what} came in answer to {request.__struct_config__.tag}")


def _about_the_key(endpoint: str, trouble: KeyTrouble) -> StokerError:
    """What to tell where it is the key that is in the way."""
    match trouble:
        case Trouble.KEY_MISSING:
            hint = "ask who runs it for a key file (`stokerd keys add NAME` makes one), then: stoker connect FILE"
            return Forbidden("forbidden", f"{endpoint} takes only clients with a key", field="key", hint=hint)
        case Trouble.KEY_UNKNOWN:
            hint = "it was revoked, or added at another daemon; `stokerd keys list` on the host shows whom it knows"
            return Forbidden("forbidden", f"the daemon at {endpoint} does not know this key", field="key", hint=hint)
        case Trouble.KEY_NOT_WANTED:
            hint = (
                "if its first keys were just made (`stokerd keys init`), restart it;"
                " else do without --key and STOKER_KEY, or: stoker connect --forget"
            )
            return BadRequest("bad_request", f"{endpoint} takes no keys", field="key", hint=hint)
        case Trouble.OTHER_DAEMON:
            hint = "its keys were made anew, or something stands between: ask who runs it before you go on"
            message = f"who answers at {endpoint} is not the daemon that this key is for"
            return Forbidden("forbidden", message, field="key", hint=hint)


def _advice(endpoint: str) -> str:
    """What to do where nobody answers."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    if endpoint.startswith("ipc://") or host in ("localhost", "[::1]") or host.startswith("127."):
        return "is stokerd running? Start it with `stokerd`, or name another one by --endpoint or STOKER_ENDPOINT"
    return (
        f"is {host} the right host, and does stokerd listen there? Unless told otherwise it listens on its own machine"
        f" only; a tunnel leads there: ssh -L {port}:127.0.0.1:{port} -L 5578:127.0.0.1:5578 {host}"
    )


def _message_of(request: AnyRequest) -> bytes:
    """The bytes to send. What the daemon would not even read is refused here, since it could not say why."""
    try:
        message = codec.encode(request)
    except UnicodeEncodeError as error:
        raise BadRequest("bad_request", f"text that is not Unicode: {error.object!r:.80}") from None
    if len(message) > codec.MAX_BODY:
        raise TooLarge(
            "too_large", f"the request has {len(message)} bytes", hint=f"at most {codec.MAX_BODY} bytes; split the job"
        )
    return message
