"""How the GPUs and their host are: what was measured, and who holds the memory."""

from msgspec import Struct


class GpuProcess(Struct, frozen=True):
    """A process that uses a GPU; `bytes`: its memory there, if the driver tells.

    `ports`: where it or those that started it listen, as far as the daemon may know. `is_ours`: the daemon started it.
    """

    pid: int
    name: str
    bytes: int | None = None
    ports: list[int] = []
    is_ours: bool = False


class Gpu(Struct, frozen=True):
    """One GPU, or one part (MIG instance) of one; None: the driver does not say.

    Memory in bytes, `utilisation` in percent. `is_unified`: its memory is the host's, and `memory_free` is
    what the host can spare. `part_of`: the UUID of the GPU that it is a part of. `trouble`: why little is known.
    """

    index: int
    name: str
    uuid: str
    memory_total: int | None = None
    memory_free: int | None = None
    is_unified: bool = False
    part_of: str = ""
    utilisation: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    processes: list[GpuProcess] = []
    trouble: str = ""

    @property
    def memory_used(self) -> int | None:
        """Bytes in use, by whomever."""
        if self.memory_total is None or self.memory_free is None:
            return None
        return self.memory_total - self.memory_free


class Host(Struct, frozen=True):
    """The host's memory, and the disk that the data directory is on; bytes."""

    memory_total: int
    memory_available: int
    disk_total: int
    disk_free: int


class Sample(Struct, frozen=True):
    """One look. `trouble`: why there are no GPUs to be seen."""

    at_ms: int
    gpus: list[Gpu]
    host: Host
    trouble: str = ""


class History(Struct, frozen=True):
    """What was seen of one GPU, oldest first, a column for each reading."""

    uuid: str
    at_ms: list[int]
    utilisation: list[float | None]
    memory_used: list[int | None]
    temperature_c: list[float | None]
    power_w: list[float | None]


class Holding(Struct, frozen=True):
    """Who holds memory of the executor's GPU: an engine with a model, or a `stranger`, known by its process.

    `bytes`: None where nobody can tell.
    """

    holder: str
    what: str = ""
    bytes: int | None = None
    pid: int | None = None
    is_stranger: bool = False
