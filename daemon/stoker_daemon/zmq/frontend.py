"""The control socket: takes requests from anyone, asks the handlers, and gives each at most one reply."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog
import zmq

from stoker_daemon.ports import Caller
from stoker_daemon.turns import give_way
from stoker_daemon.zmq.admission import Admission, has_key
from stoker_daemon.zmq.endpoints import open_bound
from stoker_daemon.zmq.reader import Reader
from stoker_daemon.zmq.sending import send
from stoker_daemon.zmq.shares import FAIR_SHARE, Share, Shares
from stoker_daemon.zmq.unread import LARGE, MAX_UNREAD, Unread
from stoker_daemon.zmq.zap import user_id_of
from stoker_protocol import codec
from stoker_protocol.errors import CODES, ErrorCode, Refused
from stoker_protocol.replies import AnyReply, ErrorReply
from stoker_protocol.requests import AnyRequest

Answer = Callable[[AnyRequest, bytes, Caller], Awaitable[AnyReply]]
"""Does what a request (with the body that it came in) asks for its caller. Raises Refused."""

MAX_ENVELOPE = 4
"""Frames before the body, the empty one included."""
MAX_ENVELOPE_FRAME = 255
"""Bytes: what REQ and proxies put there are identities, and ZeroMQ has none that are longer."""
KEPT_FRAMES = 1 + MAX_ENVELOPE + 1 + 1
"""Identity, envelope, body, and one by which a message is seen to be too long; the rest is read and let go."""

MORE = "see `stoker doctor`, part memory limit"
STEPS_A_TURN = 4
"""Steps in which a large request is checked after which other threads go first."""

_OPTIONS = {
    zmq.RCVHWM: 8,
    zmq.MAXMSGSIZE: codec.MAX_FRAME,
    zmq.ROUTER_MANDATORY: 1,  # so that a reply that can't be delivered is an error here and not silence
    zmq.ROUTER_HANDOVER: 0,
}
_UNDELIVERABLE = (errno.EAGAIN, errno.EHOSTUNREACH)

log = structlog.get_logger()


class Frontend:
    """A ROUTER, bound when made, reading from `start` to `close`.

    Who a message is from, `admission` says of each. One client may have at most its `share` under way, and is refused
    beyond it. While `max_requests` requests, or `max_bytes` bytes of them, of all clients wait for their answers, no
    more are taken, and ZeroMQ's high-water mark holds back who sends them.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoints: Iterable[str],
        answer: Answer,
        *,
        admission: Admission,
        secret_for: Callable[[str], bytes | None] = lambda _: None,
        share: Share = FAIR_SHARE,
        max_requests: int = 4096,
        max_bytes: int = 128 << 20,
    ) -> None:
        self._socket, self.endpoints = open_bound(context, zmq.ROUTER, endpoints, _OPTIONS, secret_for)
        self._reader = Reader(self._socket, self._take_frame)
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._admission = admission
        self._shares = Shares(share)
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._frames: list[bytes] = []
        self._user_id = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._unread = Unread()
        self._is_closing = False
        self.undelivered = 0
        """Replies whose peer was gone or did not read."""

    def start(self) -> None:
        """Begin to take requests."""
        self._reader.start()

    async def close(self, grace_s: float = 1.0) -> None:
        """Take no more requests, let those at work end within the grace, cancel the others, and close the socket."""
        self._reader.stop()
        self._is_closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        self._socket.close()

    def _take_frame(self, frame: zmq.Frame) -> None:
        if not self._frames:
            self._user_id = user_id_of(frame)
        try:
            if len(self._frames) < KEPT_FRAMES:
                self._frames.append(frame.bytes)
        except MemoryError:  # the others of its frames would be taken for the beginning of the next message
            self._frames = [b""] * KEPT_FRAMES
            log.error("out of memory: a message is not taken, and its sender asks again", bytes=len(frame), advice=MORE)
        if not frame.more:
            frames, self._frames = self._frames, []
            self._take(frames)

    def _take(self, frames: list[bytes]) -> None:
        body_at = _body_at(frames)
        route, rest = frames[:body_at], frames[body_at:]
        try:
            if body_at == 1 or len(rest) != 1:
                raise _no_request()
            caller, client = self._admit(route[0], len(rest[0]))
        except Refused as refused:
            self._send(route, _refusal(codec.request_id_of(frames[-1]), refused))
            return
        self._tasks.add(asyncio.create_task(self._serve(route, rest[0], caller, client)))
        self._bytes += len(rest[0])
        if not self._has_room():
            self._reader.stop()

    def _admit(self, peer: bytes, size: int) -> tuple[Caller, str]:
        """Who asks, and for whose share it counts: that of the key, or else of the connection. Raises Refused."""
        caller = self._admission.caller(self._user_id)
        if caller is None:
            raise _let_in_no_more()
        client = self._user_id if has_key(self._user_id) else peer.hex()
        self._shares.take(client, size, self._loop.time(), is_paced=has_key(self._user_id))
        return caller, client

    async def _serve(self, route: list[bytes], body: bytes, caller: Caller, client: str) -> None:
        try:
            reply = await self._reply_to(body, caller)
            if len(reply) >= LARGE and not self._unread.has_room(route[0]):
                reply = _refusal(codec.request_id_of(body), _unread())
            self._send(route, reply)
        finally:
            self._shares.give_back(client, len(body))
            self._release(len(body))

    def _release(self, size: int) -> None:
        self._tasks -= {asyncio.current_task()}
        self._bytes -= size
        if self._has_room() and not self._is_closing:
            self._reader.start()

    def _has_room(self) -> bool:
        return len(self._tasks) < self._max_requests and self._bytes < self._max_bytes

    async def _reply_to(self, body: bytes, caller: Caller) -> bytes:
        request = None
        try:
            request = await _decode(body)
            _check_role(request, caller)
            reply = await self._answer(request, body, caller)
            return codec.encode(msgspec.structs.replace(reply, id=request.id))
        except Refused as refused:
            return _refusal(codec.request_id_of(body), refused)
        except MemoryError:
            log.error("out of memory: a request is refused", client=caller.name, **_about(request), advice=MORE)
            return _refusal(codec.request_id_of(body), _out_of_memory())
        except Exception:
            request_id = codec.request_id_of(body)
            log.exception("a request failed", request_id=request_id, client=caller.name, **_about(request))
            return _refusal(request_id, _our_fault())

    def _send(self, route: list[bytes], body: bytes) -> None:
        try:
            if len(body) < LARGE:
                send(self._socket, [*route, body])
            else:
                sent = self._socket.send_multipart([*route, body], zmq.NOBLOCK, copy=False, track=True)
                if sent:
                    self._unread.add(route[0], sent, len(body))
        except zmq.ZMQError as error:
            if error.errno not in _UNDELIVERABLE:
                raise
            self.undelivered += 1
        self._reader.check()


def _body_at(frames: list[bytes]) -> int:
    """Where the body begins: after the first empty frame. 1, right after the identity, says that there is none."""
    for place, frame in enumerate(frames[1 : 1 + MAX_ENVELOPE], start=1):
        if not frame:
            return place + 1
        if len(frame) > MAX_ENVELOPE_FRAME:
            break
    return 1


async def _decode(body: bytes) -> AnyRequest:
    """The request, with turns for others while a large one is checked. Raises Refused."""
    steps = codec.decode_in_steps(body)
    taken = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        if taken % STEPS_A_TURN == 0:  # not only for what waits on this loop, but for those who bring it too
            give_way()
        taken += 1
        await asyncio.sleep(0)


def _about(request: AnyRequest | None) -> dict[str, str]:
    """What the log should say of a request: its verb, and the job that it is about, if it is about one."""
    if request is None:
        return {}
    job_id = getattr(request, "job_id", "")
    return {"op": str(request.__struct_config__.tag), **({"job": job_id} if job_id else {})}


def _check_role(request: AnyRequest, caller: Caller) -> None:
    needed = type(request).role
    if caller.role < needed:
        raise Refused(
            ErrorCode.FORBIDDEN,
            f"{caller.name} may not {request.__struct_config__.tag}",
            hint=f"it takes the role {needed.name.lower()}, {caller.name} has {caller.role.name.lower()}",
        )


def _refusal(request_id: str, refused: Refused) -> bytes:
    return codec.encode(
        ErrorReply(
            id=request_id,
            code=refused.code,
            message=refused.message,
            retryable=CODES[refused.code].retryable,
            field=refused.field,
            hint=refused.hint,
            retry_after_s=refused.retry_after_s,
        )
    )


def _no_request() -> Refused:
    return Refused(
        ErrorCode.BAD_REQUEST,
        "the frames are no request",
        hint=f"send up to {MAX_ENVELOPE - 1} envelope frames, an empty one, and one body; a REQ socket does",
    )


def _let_in_no_more() -> Refused:
    return Refused(
        ErrorCode.FORBIDDEN,
        "you are let in no more",
        hint="the key was revoked; whoever runs the daemon may give you another: stokerd keys add",
    )


def _unread() -> Refused:
    return Refused(
        ErrorCode.QUEUE_FULL,
        f"more than {MAX_UNREAD} bytes of replies wait to be read",
        hint="read them before asking for more",
        retry_after_s=1.0,
    )


def _out_of_memory() -> Refused:
    return Refused(
        ErrorCode.QUEUE_FULL,
        "the daemon has run out of memory",
        hint="ask again later, or for less at a time; `stoker doctor` says how much memory it may have",
        retry_after_s=5.0,
    )


def _our_fault() -> Refused:
    return Refused(ErrorCode.INTERNAL, "the daemon failed at this request", hint="its log says more")
