"""The engine `command`: programs that the configuration allows, one for each item."""

from stoker_daemon.engines.command.batch import environment
from stoker_daemon.engines.command.engine import CommandEngine

__all__ = ["CommandEngine", "environment"]
