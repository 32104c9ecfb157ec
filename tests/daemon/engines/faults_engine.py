"""The engine `python` over the fault models, as tests of it start it."""

from pathlib import Path
from typing import Any

from tests.conformance.engine_cases import REPOSITORY

from stoker_daemon.engines.python import PythonEngine
from stoker_protocol.worker import Hosted


def faults_engine(folder: Path, model: str = "tests.models.faults:Faults", **settings: Any) -> PythonEngine:
    """An engine that keeps its pid file in `folder`."""
    settings = {"classes": [Hosted(model)], **settings}
    path = [str(REPOSITORY), str(folder)]
    return PythonEngine("faults", lane="gpu", pid_file=pid_file(folder), python_path=path, **settings)


def pid_file(folder: Path) -> Path:
    """Where such an engine notes its worker."""
    return folder / "faults.pid"


def worker_pid(folder: Path) -> int:
    """The process of its worker."""
    return int(pid_file(folder).read_text().split()[0])
