"""A real daemon in a temporary directory, a client of it, and the files by which a test steers what its models do."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import zmq
from tests.fault.audit import audit, connect
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.events import AnyEvent
from stoker_protocol.jobs import Item, Job
from stoker_protocol.replies import AnyReply
from stoker_protocol.requests import AnyRequest

REPOSITORY = Path(__file__).parents[2]
FAULTS = f"""
[engines.faults]
model = "tests.models.faults:Faults"
python_path = ["{REPOSITORY}"]
"""
SPRITES = """
[engines.sprites]
model = "stoker_worker.models.sprites:Sprites"
"""
QUICK = {
    "interrupt_grace_s": 0.5,
    "terminate_grace_s": 0.5,
    "stop_grace_s": 0.2,
    "backoff_base_s": 0.02,
    "backoff_max_s": 0.1,
}
"""`[execution]` for tests: nobody waits long for anything."""

E = TypeVar("E", bound=AnyEvent)


class Gate:
    """Holds the item that has it, until it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def item(self, prompt: str, **params: Any) -> dict[str, Any]:
        """Parameters of an item that stops at this gate."""
        return {"prompt": prompt, "gate": str(self._path), **params}

    def wait(self) -> None:
        """Until the item is there."""
        wait_for(Path(f"{self._path}.reached").exists)

    def open(self) -> None:
        """Let it go on, and all that come later."""
        self._path.touch()


class Rig:
    """One daemon with the fault models, started and stopped by `a_rig`."""

    def __init__(self, folder: Path, config: str, python: str, args: Sequence[str] = ()) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "executions.log"
        self._config = folder / "stokerd.toml"
        self._config.write_text(config)
        keywords = {"python": python} if python else {}
        self.daemon = PrivateDaemon(self.data_dir, args=["--config", str(self._config), *args], **keywords)
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """A client of the daemon as it runs now."""
        if self._client is None:
            self._client = Client(self.daemon.control, timeout_s=BOUND_S)
        return self._client

    @property
    def worker_pid(self) -> int:
        """The process that hosts the models."""
        return int((self.data_dir / "workers" / "faults.pid").read_text().split()[0])

    def kill(self) -> None:
        """kill -9."""
        self.daemon.kill()
        self._forget_client()

    def restart(self) -> None:
        """Start it again on the same ports, after a kill -9 if it runs."""
        self.kill()
        self.daemon.start()

    def stop(self) -> None:
        """Stop it gracefully."""
        self.daemon.stop()
        self._forget_client()

    def submit(self, *items: str | Mapping[str, Any], params: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Submit items, each a prompt or its parameters; their executions are counted."""
        given = [item if isinstance(item, str) else {"params": item} for item in items]
        return self.client.submit(given, params={"log": str(self.log), **(params or {})}, **options).job_id

    def run(self, *items: str | Mapping[str, Any], **options: Any) -> Job:
        """Submit items and wait until their job is final."""
        return self.wait(self.submit(*items, **options))

    def wait(self, job_id: str) -> Job:
        """Wait until a job is final."""
        return self.client.wait(job_id, BOUND_S)

    def wait_until(self, job_id: str, condition: Callable[[Job], object]) -> Job:
        """Wait until a job is as wanted."""
        wait_for(lambda: condition(self.client.job(job_id)))
        return self.client.job(job_id)

    def items(self, job_id: str) -> list[Item]:
        """The items of a job."""
        return list(self.client.items(job_id))

    def states(self, job_id: str) -> list[str]:
        """The state of each item of a job."""
        return [item.state.value for item in self.items(job_id)]

    def executed(self) -> list[str]:
        """The prompts of all executions, in their order."""
        if not self.log.exists():
            return []
        return [line.partition(" ")[2] for line in self.log.read_text().splitlines()]

    def executions(self) -> Counter[str]:
        """How often each prompt was executed."""
        return Counter(self.executed())

    def gate(self, name: str = "gate") -> Gate:
        """A gate, closed."""
        return Gate(self.folder / name)

    def events(self, kind: type[E]) -> list[E]:
        """All events of a kind that were ever committed."""
        with closing(connect(self.data_dir)) as connection:
            rows = connection.execute("SELECT body FROM events ORDER BY seq").fetchall()
        return [event for (body,) in rows if isinstance(event := codec.decode_event(body), kind)]

    def ask(self, request: AnyRequest) -> AnyReply:
        """What the daemon answers, refusals too, without a client in between."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with context, context.socket(zmq.REQ) as socket:
            socket.set(zmq.LINGER, 0)
            socket.connect(self.daemon.control)
            socket.send(codec.encode(request))
            assert socket.poll(int(BOUND_S * 1000)), "no reply"
            return codec.decode_reply(socket.recv())

    def _forget_client(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


def config(*, head: str = "", engines: str = FAULTS, **execution: Any) -> str:
    """The text of a configuration file: `execution` is laid over QUICK."""
    lines = [f"{name} = {value}" for name, value in {**QUICK, **execution}.items()]
    return "\n".join([head, "[execution]", *lines, engines])


@contextmanager
def a_rig(
    folder: Path, text: str = "", *, python: str = "", outputs: int = 1, args: Sequence[str] = ()
) -> Generator[Rig]:
    """A daemon that runs; at its end all that it leaves on disk must agree with itself."""
    rig = Rig(folder, text or config(), python, args)
    rig.daemon.start()
    try:
        yield rig
    finally:
        rig.stop()
    audit(rig.data_dir, outputs=outputs)
