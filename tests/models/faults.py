"""Model classes that go wrong on demand, each in a way that a test names in its parameters."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import ModelFacts, Parameter
from stoker_protocol.worker import ModelFamily
from stoker_worker.model import BatchItem, Done, Failure, Made, Model, Output, Report

BIG = 8 << 20
"""Bytes of the output of `do="big"`."""
_LOOK_EVERY_S = 0.01
_STRAY_S = 60


class OutOfMemoryError(RuntimeError):
    """Named as GPU libraries name theirs."""


class Faults(Model):
    """Echoes the prompt of each item as text, or does what its `do` says instead.

    Config: `[engines.faults] kind="python" model="tests.models.faults:Faults"`; the worker needs this repository on its
    path (`python_path`, or `PYTHONPATH` in the daemon's environment).

    Models: `one` and `two` load at once; `broken` raises, `huge` raises MemoryError, `fatal` exits with code 4, `stuck`
    never ends loading. Option `log`: a file that gets a line `load MODEL` and `unload MODEL` each time. Option
    `hold_mb`: megabytes that a loaded model holds. Option `max_batch`: 8 unless it says otherwise.

    Parameters of an item, which are worked on one after the other (see `PARAMETERS` for what `do` may be):

    - `prompt`: what is echoed, as `text/plain`; the record has `model`, `prompt` and `seed`.
    - `log`: a file that gets a line `POSITION PROMPT` each time the item is executed.
    - `steps`: how many steps are reported before the item is done (phase `running`).
    - `preview_kib`: how large the preview of each step is at least, where one is wanted.
    - `gate`: a file; the item stays at its first step, reporting it, until that file exists. When it is there it makes
      the file `GATE.reached`. A held run can be interrupted.
    - `times`: misbehave only the first so many times that `log` has the prompt; 0: each time.
    - `above`: misbehave only in batches of more than so many items.
    - `kind`, `message`: those of `do="fail"`.
    - `ignore_sigterm`: from then on only SIGKILL ends the process.
    """

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        super().__init__(model, options)
        self._log = options.get("log", "")
        self._weights = b""

    @classmethod
    def describe(cls, options: Mapping[str, Any], /) -> ModelFamily:
        """Say what there is."""
        models = [ModelFacts(name) for name in ("one", "two", "broken", "huge", "fatal", "stuck")]
        return ModelFamily("faults", models, PARAMETERS, options.get("max_batch", 8), options.get("bytes", {}))

    def load(self) -> None:
        """Load, or fail to."""
        _append(self._log, f"load {self.model}")
        match self.model:
            case "broken":
                raise RuntimeError("the weights\nare broken")
            case "huge":
                raise MemoryError("the weights are too large")
            case "fatal":
                os._exit(4)
            case "stuck":
                _hang()
            case _:
                self._weights = b"\1" * (self.options.get("hold_mb", 0) << 20)

    def run(self, batch: Sequence[BatchItem], report: Report) -> Iterator[Made]:
        """Work on one item after the other."""
        for item in batch:
            yield from self._run_item(item, len(batch), report)

    def unload(self) -> None:
        """The log tells."""
        self._weights = b""
        _append(self._log, f"unload {self.model}")

    def _run_item(self, item: BatchItem, batch_size: int, report: Report) -> Iterator[Made]:
        params = item.params
        earlier = _executions(params["log"], params["prompt"])
        _append(params["log"], f"{item.position} {params['prompt']}")
        if params["ignore_sigterm"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if params["gate"]:
            _wait_at(Path(params["gate"]), item, report)
        for step in range(1, params["steps"] + 1):
            preview = b"preview" + bytes(params["preview_kib"] << 10) if report.wants_preview else None
            report(phase="running", step=step, steps=params["steps"], preview=preview, position=item.position)
        is_cured = bool(params["times"]) and earlier >= params["times"]
        if is_cured or batch_size <= params["above"]:
            yield self._echo(item)
        else:
            yield from self._misbehave(item)

    def _misbehave(self, item: BatchItem) -> Iterator[Made]:
        match item.params["do"]:
            case "echo":
                yield self._echo(item)
            case "done":
                yield Done(item.position)
            case "twice":
                yield self._echo(item)._replace(more=True)
                yield self._echo(item)
            case "die_between":
                yield self._echo(item)._replace(more=True)
                os._exit(3)
            case "big":
                yield self._echo(item)._replace(data=bytes(BIG))
            case "nothing":
                pass
            case "stray":
                yield self._echo(item)._replace(position=99)
            case "wrong_type":
                yield self._echo(item)._replace(data="text")  # pyright: ignore[reportArgumentType]  # the fault itself
            case "fail":
                yield Failure(item.position, FailureKind(item.params["kind"]), item.params["message"])
            case do:
                _FAULTS[do](item)

    def _echo(self, item: BatchItem) -> Output:
        prompt = item.params["prompt"]
        record = {"model": self.model, "prompt": prompt, "seed": item.params["seed"]}
        return Output(item.position, prompt.encode(), "text/plain", ".txt", record)


class CannotDescribe(Faults):
    """Can't say what it offers."""

    @classmethod
    def describe(cls, _options: Mapping[str, Any]) -> ModelFamily:
        """Fail."""
        raise RuntimeError("no idea what this offers")


class DescribesWrongly(Faults):
    """Says what it offers in words that nobody knows."""

    @classmethod
    def describe(cls, _options: Mapping[str, Any]) -> ModelFamily:
        """Have a parameter of no type."""
        return ModelFamily("faults", [ModelFacts("one")], [Parameter("prompt", cast("Any", "text"))], 8)


class NeverDescribes(Faults):
    """Never says what it offers."""

    @classmethod
    def describe(cls, _options: Mapping[str, Any]) -> ModelFamily:
        """Hang."""
        _hang()


def _wait_at(gate: Path, item: BatchItem, report: Report) -> None:
    Path(f"{gate}.reached").touch()
    while not gate.exists():
        report(phase="running", step=1, steps=item.params["steps"] + 1, position=item.position)
        time.sleep(_LOOK_EVERY_S)  # polls


def _executions(log: str, prompt: str) -> int:
    if not log or not Path(log).exists():
        return 0
    return sum(line.partition(" ")[2] == prompt for line in Path(log).read_text().splitlines())


def _append(log: str, line: str) -> None:
    if log:
        with Path(log).open("a") as file:
            file.write(line + "\n")


def _hang() -> NoReturn:
    while True:
        signal.pause()


def _raise(item: BatchItem) -> None:
    raise ValueError(f"can't draw\n{item.params['prompt']}")


def _raise_long(_item: BatchItem) -> None:
    raise ValueError("x" * 10_000)


def _raise_gpu_oom(_item: BatchItem) -> None:
    raise OutOfMemoryError("tried to allocate 80 GiB")


def _raise_memory_error(_item: BatchItem) -> None:
    raise MemoryError


def _eat(_item: BatchItem) -> None:
    """Take memory until there is no more; only where there is a limit, for the sake of others on this machine."""
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY
    taken: list[bytes] = []
    while True:
        taken.append(b"\1" * (4 << 20))


def _eat_and_abort(item: BatchItem) -> None:
    """As a library does that can't bear it."""
    try:
        _eat(item)
    except MemoryError:
        os.abort()


def _hold_gil(_item: BatchItem) -> None:
    """One call into C that would take days and never lets another thread run."""
    sum(range(10**15))


def _start_child(item: BatchItem) -> None:
    """Leave a child in the same process group, with its pid in the log."""
    child = subprocess.Popen(["sleep", str(_STRAY_S)])
    _append(item.params["log"], f"child {child.pid}")


def _die_leaving_orphan(item: BatchItem) -> None:
    """Die, and leave a child outside the process group that keeps the connection open, with its pid in the log."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(_STRAY_S)  # simulated work
        os._exit(0)
    while os.getsid(pid) == os.getsid(0):
        time.sleep(_LOOK_EVERY_S)  # polls
    _append(item.params["log"], f"orphan {pid}")
    os.kill(os.getpid(), signal.SIGKILL)


def _write(data: bytes) -> Callable[[BatchItem], object]:
    return lambda _item: os.write(_connection(), data)


def _kill(number: signal.Signals) -> Callable[[BatchItem], object]:
    return lambda _item: os.kill(os.getpid(), number)


def _connection() -> int:
    """The file descriptor of the connection to the daemon."""
    return int(sys.argv[sys.argv.index("--fd") + 1])


_FAULTS: dict[str, Callable[[BatchItem], object]] = {
    "raise": _raise,
    "raise_long": _raise_long,
    "oom": _raise_gpu_oom,
    "memory_error": _raise_memory_error,
    "eat": _eat,
    "eat_and_abort": _eat_and_abort,
    "segfault": _kill(signal.SIGSEGV),
    "kill": _kill(signal.SIGKILL),
    "stop": _kill(signal.SIGSTOP),
    "exit": lambda _item: sys.exit(3),
    "hold_gil": _hold_gil,
    "hang": lambda _item: _hang(),
    "garbage": _write(b"\xff" * 64),
    "nonsense": _write(b"\x00\x00\x00\x01\xc1"),
    "close": lambda _item: os.close(_connection()),
    "child": _start_child,
    "orphan": _die_leaving_orphan,
}
_YIELDS = ["echo", "done", "twice", "die_between", "big", "nothing", "stray", "wrong_type", "fail"]

PARAMETERS = [
    Parameter("prompt", "string", required=True),
    Parameter("do", "string", default="echo", choices=[*_YIELDS, *_FAULTS]),
    Parameter("steps", "integer", default=2, minimum=1, maximum=1000),
    Parameter("preview_kib", "integer", default=0, minimum=0, maximum=8192),
    Parameter("seed", "integer", default=0, minimum=0, maximum=2**63 - 1),
    Parameter("gate", "string", default=""),
    Parameter("log", "string", default=""),
    Parameter("times", "integer", default=0, minimum=0, maximum=1000),
    Parameter("above", "integer", default=0, minimum=0, maximum=8),
    Parameter("kind", "string", default="invalid", choices=[str(kind) for kind in FailureKind]),
    Parameter("message", "string", default="as asked"),
    Parameter("ignore_sigterm", "boolean", default=False),
]
