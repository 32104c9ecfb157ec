"""What a run was made on: facts that figures depend on, and none that tell whose machine it is."""

import os
import platform
import re
import sqlite3
import statistics
import time
from pathlib import Path
from typing import Any

import zmq

GIB = 1 << 30


def facts(folder: Path) -> dict[str, Any]:
    """Of this machine, and of the file system of a folder."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(memory / GIB),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "file_system": _file_system(folder),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "libzmq": zmq.zmq_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def without_paths(words: str) -> str:
    """What somebody said, without the folders of this machine."""
    return re.sub(r"/\S+/", "", words)


def kind(machine: dict[str, Any]) -> str:
    """What a machine is called in the names of files: `2-cores-amd-epyc`."""
    words = re.sub(r"\(.*?\)|[^a-z ]| processor| with .*", "", str(machine["processor"]).lower().replace("-", " "))
    return "-".join([f"{machine['cores']}-cores", *words.split()[:2]])


def fsync_us(folder: Path, times: int = 50) -> float:
    """The disk's anchor: the median time of an append of 4 KiB and its fdatasync."""
    anchor = folder / "benchmark.anchor"
    file = os.open(anchor, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        return statistics.median(_fsync_us(file) for _ in range(times))
    finally:
        os.close(file)
        anchor.unlink()


def _fsync_us(file: int) -> float:
    began_s = time.perf_counter()
    os.write(file, bytes(4096))
    os.fdatasync(file)
    return (time.perf_counter() - began_s) * 1e6


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Its type, of the mount that holds the folder."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else "unknown"
