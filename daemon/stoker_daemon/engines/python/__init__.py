"""The engine `python`: a model class in a worker process of its own, started, watched and ended from here."""

from stoker_daemon.engines.python.engine import PythonEngine

__all__ = ["PythonEngine"]
