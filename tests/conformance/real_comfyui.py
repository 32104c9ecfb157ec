"""Runs a real ComfyUI for tests, from a checkout and a Python that the caller has, in folders of its own."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import FrameType

from tests.conformance.random_checkpoint import write_models

USAGE = """The directory then holds `output`, `input`, `models` (with random weights), `server.log`, `server.pid`, and
`executions.log`, to which the test nodes add a line with the id of each prompt that begins to run."""
NODES = (
    Path(__file__).with_name("comfyui_nodes.py"),
    Path(__file__).parents[2] / "clients/comfyui_nodes/stoker_nodes",
)
FOLDERS = ("custom_nodes", "input", "models", "output", "temp", "user")
Server = subprocess.Popen[bytes]
START_S = 180.0
PAUSE_S = 0.5


def main() -> None:
    """Start the server, say where it is, and stay until it ends or, with `--keep-alive`, until told to stop."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, _stop)
    _lay_out(asked.directory)
    _require_free(asked.port)
    while True:
        server = start(asked.server, asked.python, asked.directory, asked.port, *asked.options)
        try:
            url = f"http://127.0.0.1:{asked.port}"
            version = wait_until_serving(url, server)
            _say(f"ComfyUI {version} at {url}, process {server.pid}")
            code = server.wait()
        finally:
            end(server)
        _say(f"ComfyUI ended with code {code}")
        if not asked.keep_alive:
            sys.exit(code)
        time.sleep(PAUSE_S)  # polls whether it can start again


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=USAGE)
    parser.add_argument("--server", type=Path, required=True, help="a checkout of ComfyUI")
    parser.add_argument("--python", required=True, help="a Python that has what this ComfyUI requires")
    parser.add_argument("--directory", type=Path, required=True, help="where the server keeps all its files")
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--keep-alive", action="store_true", help="start the server again whenever it ends")
    parser.add_argument("options", nargs="*", help="further options of the server, after --")
    asked = parser.parse_args()
    asked.server, asked.directory = asked.server.absolute(), asked.directory.absolute()
    return asked


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _lay_out(directory: Path) -> None:
    for folder in FOLDERS:
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for nodes in NODES:
        link = directory / "custom_nodes" / nodes.name
        if link.is_symlink() or not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(nodes)
    if not (directory / "models/checkpoints").exists():
        write_models(directory / "models")


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            sys.exit(f"port {port} is taken")


def start(server: Path, python: str, directory: Path, port: int, *options: str, cpu: bool = True) -> Server:
    """Start a checkout of ComfyUI in folders of its own; what it says goes into `server.log` there."""
    command = [
        *(python, "main.py", *(["--cpu"] if cpu else []), "--listen", "127.0.0.1", "--port", str(port)),
        *("--disable-auto-launch", "--disable-api-nodes", "--preview-method", "latent2rgb"),
        *("--base-directory", str(directory), "--database-url", f"sqlite:///{directory}/user/comfyui.db"),
        *options,
    ]
    environment = {**os.environ, "STOKER_TEST_EXECUTIONS": str(directory / "executions.log")}
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=server, env=environment, stdout=log, stderr=log)
    (directory / "server.pid").write_text(str(process.pid))
    return process


def wait_until_serving(url: str, server: Server) -> str:
    """Wait until a server answers; its version."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/system_stats", timeout=5) as reply:
                return json.load(reply)["system"]["comfyui_version"]
        except OSError:
            time.sleep(0.1)  # polls
    sys.exit("ComfyUI does not serve; its server.log says more")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def end(server: Server) -> None:
    """Stop it, or kill it when it does not end."""
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
