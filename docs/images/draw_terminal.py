"""Draws terminal.svg, in the README: run `.venv/bin/python docs/images/draw_terminal.py`."""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon

HERE = Path(__file__).parent
COLUMNS = 124
JOBS = (("dragons", "classic", 40), ("signs", "neon", 24), ("owls", "classic", 16))
COMMANDS = (["status"], ["plan"])


def main() -> None:
    """Have a private daemon take in some jobs, and draw what the commands print."""
    with tempfile.TemporaryDirectory() as folder, PrivateDaemon(Path(folder)) as daemon:
        with Client(daemon.control) as client:
            client.wait(client.submit(["a red dragon", "a tiny owl"], name="first try").job_id)
            client.pause(reason="so that there is something to see")
            for name, model, count in JOBS:
                client.submit([f"{name} {number}" for number in range(count)], name=name, model=model)
        (HERE / "terminal.svg").write_text(drawn(daemon.control), encoding="utf-8")


def drawn(endpoint: str) -> str:
    """The commands and their output as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command in COMMANDS:
        console.print(Text(f"$ stoker {' '.join(command)}", style="bold"))
        console.print(Text.from_ansi(said(endpoint, command)))
    return console.export_svg(title="stoker")


def said(endpoint: str, command: list[str]) -> str:
    """What a command prints, in its colours."""
    environment = {**os.environ, "STOKER_ENDPOINT": endpoint, "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1"}
    start = [sys.executable, "-c", "from stoker_client.cli import main; main()", *command]
    return subprocess.run(start, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: S603  ours


if __name__ == "__main__":
    main()
