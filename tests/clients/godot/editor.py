"""Debian's Godot 3 without a screen: projects with our plugin, scripts in them, and the editor at work."""

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

HERE = Path(__file__).parent
ADDON = HERE.parents[2] / "clients/godot/addons/stoker"
GODOT = "godot3-server"
needs_godot = pytest.mark.skipif(shutil.which(GODOT) is None, reason=f"needs {GODOT} (on Debian: apt install {GODOT})")
BOUND_S = 60.0
_PROJECT = """config_version=4

[application]

config/name="game"

[editor_plugins]

enabled=PoolStringArray( {plugins} )
"""


def new_project(folder: Path, *plugins: str) -> Path:
    """A Godot project that has the plugin, with some plugins enabled (Godot 3.2 names their folders)."""
    shutil.copytree(ADDON, folder / "addons/stoker")
    shutil.copytree(HERE / "probe", folder / "addons/probe")
    enabled = ", ".join(f'"{name}"' for name in plugins)
    (folder / "project.godot").write_text(_PROJECT.format(plugins=enabled))
    return folder


def run_script(project: Path, script: str, *args: str, **environment: str) -> list[Any]:
    """What a script of this folder printed, one JSON value a line; it must end without an error."""
    shutil.copy(HERE / script, project / script)
    command = [GODOT, "--path", str(project), "--script", f"res://{script}", *args]
    done = subprocess.run(
        command, env=_environment(project, environment), capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("SAYS ")]
    assert (done.returncode, done.stderr.strip()) == (0, ""), f"it ended with {done.returncode}: {done.stderr}"
    return [json.loads(line.removeprefix("SAYS ")) for line in said]


class Godot:
    """A Godot process that says what it knows, one JSON value a line, until it ends or the test does."""

    def __init__(self, project: Path, args: Sequence[str], environment: Mapping[str, str]) -> None:
        self._values: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._said: list[str] = []
        self._process = subprocess.Popen(
            [GODOT, "--path", str(project), *args],
            env=_environment(project, environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(BOUND_S)
        self._reader.join(BOUND_S)
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def wait_until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first of what it says from now on that fulfils a condition."""
        while (value := self._next()) is not None:
            if condition(value):
                return value
        raise AssertionError("it ended first:\n" + "\n".join(self._said[-40:]))

    def wait_for_end(self) -> list[dict[str, Any]]:
        """All that it says from now on until it ends, which it must do well and without an error in a script."""
        values: list[dict[str, Any]] = []
        while (value := self._next()) is not None:
            values.append(value)
        assert self._process.wait(BOUND_S) == 0, "\n".join(self._said[-40:])
        assert [line for line in self._said if "SCRIPT ERROR" in line] == []
        return values

    def _next(self) -> dict[str, Any] | None:
        try:
            return self._values.get(timeout=BOUND_S)
        except queue.Empty:
            raise AssertionError("it says nothing new:\n" + "\n".join(self._said[-40:])) from None

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._said.append(line.rstrip())
            if line.startswith("SAYS "):
                self._values.put(json.loads(line.removeprefix("SAYS ")))
        self._values.put(None)


class Editor(Godot):
    """The editor with the plugin and a probe that acts for a person; says what the dock shows, whenever that changes.

    `wanted` is what the probe enters into the form at once, and `until`, the text at which it closes the editor.
    """

    def __init__(self, project: Path, endpoint: str, **wanted: Any) -> None:
        super().__init__(project, ["--editor"], {"STOKER_ENDPOINT": endpoint, "PROBE": json.dumps(wanted)})
        self._deeds = project / "deeds"

    def order(self, **wanted: Any) -> None:
        """Enter these into the form, and press its button."""
        self._do("order", wanted)

    def cancel(self, name: str) -> None:
        """Press the button in the row of a job."""
        self._do("cancel", name)

    def dial(self, endpoint: str) -> None:
        """Enter another endpoint."""
        self._do("dial", endpoint)

    def leave(self) -> list[dict[str, Any]]:
        """Close the editor; what it says until then."""
        self._do("leave", None)
        return self.wait_for_end()

    def _do(self, what: str, with_what: Any) -> None:
        with self._deeds.open("a") as file:
            file.write(json.dumps([what, with_what]) + "\n")


class Script(Godot):
    """A script of this folder at work in a project, with what it needs to know in its environment."""

    def __init__(self, project: Path, script: str, **environment: str) -> None:
        shutil.copy(HERE / script, project / script)
        super().__init__(project, ["--script", f"res://{script}"], environment)


def _environment(project: Path, given: Mapping[str, str]) -> dict[str, str]:
    """A home of its own, so that no settings of the machine's user matter or are changed."""
    home = project / ".home"
    for folder in (".local/share/godot/app_userdata/game", ".config/godot", ".cache/godot"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    return {**os.environ, "HOME": str(home), "LANG": "en_US.UTF-8", **given}
