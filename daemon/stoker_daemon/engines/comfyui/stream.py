"""Listens to a ComfyUI server's stream, connecting again whenever it ends; what was missed is for others to ask."""

import asyncio
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from stoker_daemon.engines.comfyui.messages import Message, parse

OPEN_S = 10.0
CLOSE_S = 2.0
MAX_FRAME = 64 << 20
"""Bytes of one message: a large preview, or the state of a graph with thousands of nodes."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0
FEATURES = '{"type": "feature_flags", "data": {"supports_preview_metadata": true}}'

log = structlog.get_logger()


class Stream:
    """One task, `serve`, that gives each message to `listener` and says by `changed` that a connection came or went.

    Each connection has a `client_id` of its own: the server forgets the newer of two that share one when the older
    goes. What was submitted under an earlier id is told to nobody.
    """

    def __init__(self, url: str, listener: Callable[[Message], None], changed: Callable[[], None]) -> None:
        scheme, *rest = urlsplit(url)
        self._url = urlunsplit(({"http": "ws", "https": "wss"}[scheme], *rest)).rstrip("/")
        self._listener = listener
        self._changed = changed
        self.client_id = secrets.token_hex(16)
        self.is_connected = False

    async def serve(self) -> None:
        """Listen until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            if await self._listen():
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(LAST_PAUSE_S, 2 * pause_s)

    async def _listen(self) -> bool:
        """One connection from its beginning to its end; whether there was one."""
        client_id, was_connected = secrets.token_hex(16), False
        try:
            async with connect(
                f"{self._url}/ws?clientId={client_id}",
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                max_size=MAX_FRAME,
                proxy=None,
            ) as connection:
                await connection.send(FEATURES)
                self.client_id, self.is_connected, was_connected = client_id, True, True
                self._changed()
                async for frame in connection:
                    if (message := parse(frame)) is not None:
                        self._listener(message)
        except (OSError, WebSocketException, TimeoutError) as error:
            log.debug("the stream of ComfyUI ended", url=self._url, why=str(error))
        finally:
            self.is_connected = False
        if was_connected:
            self._changed()
        return was_connected
