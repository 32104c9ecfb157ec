"""The engine `python`: a model class in a worker process of its own, started, watched and ended from here."""

from stoker_daemon.engines.python.engine import PythonEngine
from stoker_daemon.engines.python.leftover import end_leftover

__all__ = ["PythonEngine", "end_leftover"]
