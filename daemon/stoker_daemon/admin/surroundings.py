"""Looks at what a running daemon depends on besides its queue: configuration, keys, files, ports, clock, limits."""

import ctypes
import errno
import os
import pwd
import resource
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stoker_daemon.sqlite.checking import newest_job_ms
from stoker_daemon.zmq import keyring
from stoker_daemon.zmq.security import Locks
from stoker_protocol.replies import Finding

FOLDERS = ("", "outputs", "blobs", "workers")
"""What must be writable of the data directory."""
JUMP_S, SLIP_S = 3600.0, 5.0
"""After a jump nothing is removed by its age; a slip is what a time service may do, and people should know of."""
MANY_FILES, FEW_FILES = 0.8, 1024
MORE_FILES = "raise it: `systemctl edit stokerd`, LimitNOFILE=65536 under [Service], or `ulimit -n` before the start"
NEARLY_ALL = 0.9
MORE_MEMORY = "raise it (systemctl edit stokerd, MemoryMax= under [Service]), or let models hold less: memory_limit_mb"
CGROUPS = Path("/sys/fs/cgroup")
NOT_SYNCHRONISED = 5
"""`TIME_ERROR` of adjtimex(2)."""


class Named(NamedTuple):
    """A file or folder that the configuration names: by which key, and what the daemon does with it (`os.R_OK` ...)."""

    key: str
    path: Path
    need: int = os.R_OK
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where to look. `configuration` compares the file with what is in force, `jumped_s` as `Jumps` has it."""

    data_dir: Path
    endpoints: Sequence[str]
    locks: Locks
    named: Sequence[Named]
    configuration: Callable[[], Finding]
    jumped_s: Callable[[], float]
    now_ms: Callable[[], int]


def survey(around: Surroundings) -> Iterator[Finding]:
    """All of it; a part that can't be looked at is a finding itself."""
    looks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("configuration", around.configuration),
        ("keys", lambda: _keys(around.data_dir)),
        ("permissions", lambda: _permissions(around.data_dir, around.named)),
        ("endpoints", lambda: _endpoints(around.endpoints, around.locks)),
        ("open files", _open_files),
        ("clock", lambda: _clock(around.jumped_s(), around.now_ms(), newest_job_ms(around.data_dir))),
        ("memory limit", _memory_limit),
    )
    for part, look in looks:
        try:
            yield look()
        except OSError as error:
            advice = MORE_FILES if error.errno in (errno.EMFILE, errno.ENFILE) else ""
            yield Finding(part, ok=False, detail=f"it can't be looked at: {error}", advice=advice)


def _keys(data_dir: Path) -> Finding:
    """Who could read the daemon's own key, or let himself in by writing a file."""
    folder = data_dir / keyring.FOLDER
    if not (folder / keyring.SERVER_FILE).exists():
        return Finding("keys", ok=True, detail="none: only this machine is let in")
    try:
        keyring.read_server(data_dir)
    except keyring.KeyringError as error:
        return Finding("keys", ok=False, detail=f"the next start will fail: {error}")
    clients, faults = keyring.read_clients(data_dir)
    if faults:
        return Finding("keys", ok=False, detail=f"{faults[0]}; it lets nobody in", advice="mend or remove that file")
    for path in (folder, *folder.rglob("*")):
        if trouble := _loose(path, keyring.FOREIGN if path.name == keyring.SERVER_FILE else 0o022):
            return Finding("keys", ok=False, detail=trouble[0], advice=trouble[1])
    return Finding("keys", ok=True, detail=f"the daemon's own, and those of {len(clients)} clients")


def _permissions(data_dir: Path, named: Sequence[Named]) -> Finding:
    """What the daemon has to read and write, and what others should not."""
    if not data_dir.exists():
        return Finding("permissions", ok=False, detail=f"{data_dir} was removed", advice="see the part store")
    folders = [data_dir / each for each in FOLDERS]
    for path in [path for path in folders if path.exists()]:
        if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
            advice = f"see that {path} is not mounted read-only, and: chown -R {_me()} {data_dir}"
            return Finding("permissions", ok=False, detail=f"{path}: {_me()} can't write there", advice=advice)
        if trouble := _loose(path, 0o002):
            return Finding("permissions", ok=False, detail=trouble[0], advice=trouble[1])
    for each in named:
        if not os.access(each.path, each.need, effective_ids=True):
            return Finding("permissions", ok=False, detail=_lacking(each), advice=f"mend that, or correct {each.key}")
        if each.is_secret and (trouble := _loose(each.path, keyring.FOREIGN)):
            return Finding("permissions", ok=False, detail=f"{each.key}: {trouble[0]}", advice=trouble[1])
    return Finding("permissions", ok=True, detail=f"{_me()} can use all that it needs in {data_dir} and elsewhere")


def _loose(path: Path, forbidden: int) -> tuple[str, str] | None:
    """What others may do with a file or folder that they should not, and what to do about it."""
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to {_called(status.st_uid)}, and the daemon is {_me()}", f"chown {_me()} {path}"
    mode = stat.S_IMODE(status.st_mode)
    if not mode & forbidden:
        return None
    may = "change" if mode & forbidden & 0o022 else "read"
    letters = "rwx" if forbidden == keyring.FOREIGN else "w"
    whom = "go" if forbidden & 0o070 else "o"
    return f"{path}: others than its owner may {may} it (mode {mode:04o})", f"chmod {whom}-{letters} {path}"


def _lacking(named: Named) -> str:
    if not named.path.exists():
        return f"{named.key}: {named.path} is not there"
    verb = {os.R_OK: "read", os.X_OK: "run"}.get(named.need, "read and write")
    return f"{named.key}: {_me()} can't {verb} {named.path} (mode {stat.S_IMODE(named.path.stat().st_mode):04o})"


def _endpoints(endpoints: Sequence[str], locks: Locks) -> Finding:
    """Who can reach the daemon, and whether its sockets are still where clients look for them."""
    open_ones = [endpoint for endpoint in endpoints if locks.lets_strangers_in([endpoint])]
    for path in [Path(endpoint.removeprefix("ipc://")) for endpoint in endpoints if endpoint.startswith("ipc://")]:
        if not path.is_socket():
            detail = f"ipc://{path}: its file was removed, so nobody can connect there"
            return Finding("endpoints", ok=False, detail=detail, advice="restart the daemon")
    said = ", ".join(f"{each} (keys)" if locks.secret_for(each) else each for each in endpoints)
    if open_ones:
        advice = "make keys (stokerd keys init, stokerd keys add) and restart without --insecure"
        return Finding(
            "endpoints", ok=True, detail=f"{said}; anyone who reaches this machine may do anything", advice=advice
        )
    return Finding("endpoints", ok=True, detail=said)


def _open_files() -> Finding:
    used, (most, hard) = len(list(Path("/proc/self/fd").iterdir())), resource.getrlimit(resource.RLIMIT_NOFILE)
    facts = f"{used} of {most} may be open"
    if used > MANY_FILES * most:
        return Finding("open files", ok=False, detail=f"{facts}: soon no client can connect", advice=MORE_FILES)
    return Finding("open files", ok=True, detail=facts, advice=MORE_FILES if hard < FEW_FILES else "")


def _clock(jumped_s: float, now_ms: int, newest_ms: int) -> Finding:
    """Whether it was set while the daemon ran, or before, and whether somebody keeps it right."""
    jumped = f"it was set {_long(jumped_s)} {'forward' if jumped_s > 0 else 'back'} since the daemon began"
    if abs(jumped_s) > JUMP_S:
        advice = "if it is right now, restart the daemon; until then nothing is removed by its age"
        return Finding("clock", ok=False, detail=jumped, advice=advice)
    if newest_ms - now_ms > JUMP_S * 1000:
        detail = f"the newest job is {_long((newest_ms - now_ms) / 1000)} in the future: it was set back, or was wrong"
        advice = "see `date`; if it is right now, only the times of what is past are wrong"
        return Finding("clock", ok=False, detail=detail, advice=advice)
    if abs(jumped_s) > SLIP_S:
        return Finding("clock", ok=True, detail=jumped, advice="what took long at that moment seems longer or shorter")
    if _is_synchronised() is False:
        advice = "have it kept right: timedatectl set-ntp true"
        return Finding("clock", ok=True, detail="nothing keeps it right, as far as the kernel knows", advice=advice)
    return Finding("clock", ok=True, detail="it goes as time does")


def _is_synchronised() -> bool | None:
    """What the kernel knows of that; None: it does not say. Source: adjtimex(2), which with no modes only reads."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    return None if state < 0 else state != NOT_SYNCHRONISED


def _memory_limit() -> Finding:
    """How much memory the service and its workers may have. Source: the kernel's admin-guide/cgroup-v2, memory."""
    if tight := _tight_addresses():
        return tight
    group = _cgroup()
    most = _number(group / "memory.max")
    killed = _count(group / "memory.events", "oom_kill")
    kept = _count(group / "memory.stat", "inactive_file")  # what the kernel gives back as soon as it is asked
    used = max(0, (_number(group / "memory.current") or 0) - kept)
    facts = f"{used >> 20} of {most >> 20} MiB are used" if most else "none of its own"
    if most and used > NEARLY_ALL * most:
        return Finding("memory limit", ok=False, detail=f"{facts}: the kernel will end processes", advice=MORE_MEMORY)
    if killed:
        detail = f"{facts}; the kernel has ended {killed} processes here for want of memory"
        return Finding("memory limit", ok=True, detail=detail, advice=MORE_MEMORY)
    return Finding("memory limit", ok=True, detail=facts)


def _count(file: Path, name: str) -> int:
    """What a file of names and numbers says of a name; 0: nothing."""
    return int(dict(line.split() for line in _text(file).splitlines()).get(name, 0))


def _tight_addresses() -> Finding | None:
    """What `ulimit -v` leaves, if that is nearly used up. Source: proc(5), the first number of `statm` is pages."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = int(_text(Path("/proc/self/statm")).split()[0]) * resource.getpagesize()
    if most == resource.RLIM_INFINITY or used <= NEARLY_ALL * most:
        return None
    detail = f"{used >> 20} of {most >> 20} MiB of addresses are used: requests are refused, work may fail"
    return Finding("memory limit", ok=False, detail=detail, advice="raise `ulimit -v`, or LimitAS= of the service")


def _cgroup() -> Path:
    """The control group of this process: for a service, that of its unit."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        if line.startswith("0::"):
            return CGROUPS / line[3:].lstrip("/")
    return CGROUPS


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""


def _me() -> str:
    return _called(os.geteuid())


def _called(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _long(seconds: float) -> str:
    seconds = abs(seconds)
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 1.95 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
