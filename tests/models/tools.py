"""An MCP server for tests, by the official SDK: tools that read, write, count, fail, stay and die."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

server = MCPServer("tools of the tests")
ROOT = Path(sys.argv[1])


@server.tool()
async def say(ctx: Context, prompt: str, steps: Annotated[int, Field(ge=1)] = 1) -> str:
    """Say something back, or do as it says."""
    if prompt == "failing":
        raise ToolError("told to fail")
    if prompt == "held":
        await ctx.report_progress(0.5, 1.0)
        await anyio.sleep(600)
    return f"{prompt} {steps}"


@server.tool()
def shout(prompt: str) -> str:
    """Say something loudly."""
    return prompt.upper()


@server.tool()
def write(path: str, text: str) -> str:
    """Write a file."""
    (ROOT / path).write_text(text)
    return f"{len(text)} characters are in {path}"


@server.tool()
def read(path: str) -> str:
    """Read a file."""
    return (ROOT / path).read_text()


@server.tool()
def add(a: int, b: int = 1) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@server.tool()
def picture() -> Image:
    """A picture of nothing."""
    return Image(data=b"\x89PNG and so on", format="png")


@server.tool()
async def stay(ctx: Context, name: str = "") -> str:
    """Begin, and not end for ten minutes."""
    await ctx.report_progress(0.5, 1.0)
    (ROOT / f"staying{name}").write_text(str(os.getpid()))
    await anyio.sleep(600)
    return "stayed"


@server.tool()
def die() -> str:
    """End the server."""
    os._exit(9)


@server.tool()
def huge() -> str:
    """Say far too much."""
    return "x" * 2_000_000


@server.tool()
def secret() -> str:
    """What no configuration of the tests allows."""
    (ROOT / "secret").touch()
    return "told"


if __name__ == "__main__":
    if os.environ.get("STOKER_TEST_SILENT"):
        time.sleep(600)  # simulated work: a server that never says what it offers
    server.run()
