"""The engine `mcp`: tools of a server that speaks the Model Context Protocol over its standard streams."""

from stoker_daemon.engines.mcp.engine import MCPEngine
from stoker_daemon.engines.mcp.server import Program, ToolServer

__all__ = ["MCPEngine", "Program", "ToolServer"]
