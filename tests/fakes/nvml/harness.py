"""A machine with GPUs, as far as nvidia-ml-py can tell: a library in the place of the driver's, which a file steers."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("nvml.c")
LIBRARY = "libnvidia-ml.so.1"
RTX_4090 = "NVIDIA GeForce RTX 4090"
GB = 1 << 30


class FakeNvml:
    """What the library in `folder` answers. Values are set by key (see `nvml.c`); nothing set: there is no driver."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.library = library
        self._file = folder / "nvml"
        self._values: dict[str, object] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see these GPUs."""
        return {"LD_LIBRARY_PATH": str(self.library.parent), "FAKE_NVML": str(self._file)}

    def card(self, index: int = 0, *, name: str = RTX_4090, total_gb: float = 24, **values: object) -> None:
        """Put a GPU there; `values` are those of other keys."""
        known = {"name": name, "uuid": f"GPU-{index}1111111-2222", "total": int(total_gb * GB), "used": 0}
        self.set(count=max(index + 1, int(str(self._values.get("count", 0)))))
        self.set_of(index, **{**known, **values})

    def set_of(self, index: int | str, **values: object) -> None:
        """Change values of a GPU, or of a part of one: `0.1`."""
        self.set(**{f"{index}.{key}": value for key, value in values.items()})

    def fail(self, call: str, error: int, index: int | str | None = None) -> None:
        """Have a call fail, for one GPU or, where it is for none, at all; 0: no more."""
        self.set(**{f"{'' if index is None else f'{index}.'}error.{call}": error})

    def set(self, **values: object) -> None:
        """Change values by their whole keys; None takes one away."""
        self._values |= values
        self._values = {key: value for key, value in self._values.items() if value is not None}
        fresh = self._file.with_suffix(".new")
        fresh.write_text("".join(f"{key}={value}\n" for key, value in self._values.items()))
        fresh.replace(self._file)

    def remove(self) -> None:
        """Take the driver away."""
        self._values.clear()
        self._file.unlink(missing_ok=True)


def build(folder: Path) -> Path:
    """Compile the library; without a compiler the test is left out."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no GPU to look at: it takes a C compiler (on Debian: apt install gcc libc6-dev)")
    library = folder / LIBRARY
    options = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}"]
    subprocess.run([compiler, *options, "-o", library, SOURCE], check=True, timeout=60)
    return library


def load_here(nvml: FakeNvml, patch: pytest.MonkeyPatch) -> None:
    """Let this process see it: what is loaded under a name is found by that name later."""
    ctypes.CDLL(str(nvml.library), mode=os.RTLD_GLOBAL)
    patch.setenv("FAKE_NVML", nvml.environment["FAKE_NVML"])
