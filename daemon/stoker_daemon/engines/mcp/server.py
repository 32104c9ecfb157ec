"""One MCP server: started, asked what it offers, called, and ended with all that it started."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from mcp import ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, Tool

from stoker_daemon.engines.leftover import OWNER, end_orphans
from stoker_daemon.execution.waiting import end_tasks

LOST = frozenset({-32000})
"""The SDK's error code for a connection that ended; source: mcp.types.CONNECTION_CLOSED."""
STOP_S = 10.0
"""The SDK waits 2 s for a server that was asked to end, and 2 s more before it kills it."""

log = structlog.get_logger()


class Gone(Exception):
    """The server is not there, or not any more; the text says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a server is started with: only these variables of the daemon's environment, and where it works."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str | None
    start_timeout_s: float


class ToolServer:
    """Owns the server's process by one task, in which the SDK opens and closes it; `open` and `close` it any time."""

    def __init__(self, name: str, program: Program, pid_file: Path) -> None:
        self.tools: dict[str, Tool] = {}
        """What the server offers, by name; empty before it was first asked."""
        self._name = name
        self._program = program
        self._mark = pid_file
        self._session: ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether it can be called."""
        return self._session is not None

    async def open(self) -> None:
        """Start it, unless it runs. Raises Gone."""
        if self._session is not None:
            return
        await self.close()
        self._closing = asyncio.Event()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._own(opened), name=f"mcp {self._name}")
        try:
            async with asyncio.timeout(self._program.start_timeout_s):
                await opened
        except TimeoutError:
            await self.close()
            raise Gone(f"{self._program.argv[0]} said nothing for {self._program.start_timeout_s:g} s") from None

    async def close(self) -> None:
        """End it, with all that it started."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=STOP_S)
            await end_tasks([self._task])
        self._task = None
        await asyncio.to_thread(end_orphans, self._mark)

    async def call(
        self, tool: str, arguments: Mapping[str, Any], on_progress: Callable[[float, float | None], None]
    ) -> CallToolResult:
        """Call a tool; it has no bound of its own.

        Raises:
            Gone: The server ended, or is not there.
            MCPError: It refuses the call.
        """
        session, task = self._session, self._task
        if session is None or task is None:
            raise Gone(f"the server {self._name} is not there")

        async def tell(progress: float, total: float | None, message: str | None) -> None:  # as the SDK names them
            del message
            on_progress(progress, total)

        calling = asyncio.create_task(session.call_tool(tool, dict(arguments), progress_callback=tell))
        try:
            await asyncio.wait({calling, task}, return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return calling.result()
        except MCPError as error:
            if error.code not in LOST:
                raise
            self._session = None  # the SDK notices only with the next call that the connection is gone
        finally:
            await end_tasks([calling])
        raise Gone(f"the server {self._name} ended in the middle of a call")

    async def _own(self, opened: "asyncio.Future[None]") -> None:
        """Open, wait to be told to close, and close: the SDK wants all three in one task."""
        program = self._program
        parameters = StdioServerParameters(
            command=program.argv[0],
            args=list(program.argv[1:]),
            env={**program.environment, OWNER: str(self._mark)},
            cwd=program.cwd,
        )
        try:
            async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
                await session.initialize()
                self.tools = {tool.name: tool for tool in (await session.list_tools()).tools}
                self._session = session
                opened.set_result(None)
                await self._closing.wait()
        except (OSError, MCPError, ValueError, ExceptionGroup) as error:
            self._fail(opened, error)
        finally:
            self._session = None
            if not opened.done():
                opened.set_exception(Gone(f"{program.argv[0]} ended before it was ready"))
                opened.exception()  # who waited may have given up

    def _fail(self, opened: "asyncio.Future[None]", error: Exception) -> None:
        why = _innermost(error)
        if opened.done():
            log.warning("an MCP server ended", engine=self._name, why=why)
        else:
            opened.set_exception(Gone(f"{self._program.argv[0]} can't be used: {why}"))


def _innermost(error: BaseException) -> str:
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())  # of a group
    return _innermost(inner[0]) if inner else str(error) or type(error).__name__
