"""The HTTP side: /metrics for Prometheus, /healthz and /readyz for whoever starts, stops or balances."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import CancelledError
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CONTENT_TYPE_LATEST

from stoker_daemon.metrics.figures import Figures, Moment
from stoker_protocol.errors import Refused

ANSWER_S = 10.0
"""Seconds that the loop has for an answer; Prometheus waits as long by default."""
READ_S = 10.0
"""Seconds that a peer may take to say what it wants."""

_Page = tuple[str, str, bytes]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a peer that never ends its request must not keep the daemon from ending


class _Handler(WSGIRequestHandler):
    timeout = READ_S

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: scrapes come all the time."""


class Endpoint:
    """Answers on threads of its own, asking the loop for how things are; from `start` to `close`.

    Raises:
        OSError: The address can't be bound.
    """

    def __init__(self, host: str, port: int, figures: Figures, look: Callable[[], Awaitable[Moment]]) -> None:
        self._figures = figures
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, kind, body = self._page(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _page(self, method: str, path: str) -> _Page:
        if method != "GET":
            return _text("405 Method Not Allowed", "only GET, please")
        if path not in ("/metrics", "/healthz", "/readyz"):
            return _text("404 Not Found", "there are /metrics, /healthz and /readyz")
        try:
            moment = asyncio.run_coroutine_threadsafe(self._moment(), self._loop).result(ANSWER_S)
        except TimeoutError:
            return _text("503 Service Unavailable", f"the daemon has not answered for {ANSWER_S:g} s")
        except (RuntimeError, CancelledError):
            return _text("503 Service Unavailable", "the daemon is stopping")
        except (Refused, OSError) as error:  # what is wrong with the disk
            return _text("503 Service Unavailable", str(error))
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, self._figures.text(moment)
        if path == "/healthz":
            return _text("200 OK", "alive")
        troubles = [f"{finding.part}: {finding.detail}" for finding in moment.health.findings if not finding.ok]
        return _text("503 Service Unavailable", "\n".join(troubles)) if troubles else _text("200 OK", "ready")

    async def _moment(self) -> Moment:
        return await self._look()


def _text(status: str, text: str) -> _Page:
    return status, "text/plain; charset=utf-8", f"{text}\n".encode()
