"""Run a fake server with OpenAI's API: `python -m tests.fakes.openai --port 0`; its URL is the first line."""

import argparse
import asyncio
import json
import logging
import os
import stat
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web
from tests.fakes.openai.defects import Defects
from tests.fakes.openai.http import Server


def serve(prog: str, defects: Defects, make: Callable[[Any, str], Server], path: str) -> None:
    """Read the command line and serve until killed, with an API that begins at `path`."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="", help="what callers have to have")
    parser.add_argument("--defects", type=json.loads, default={}, metavar="JSON", help="see defects.py")
    options = parser.parse_args()
    defects.change(options.defects)
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # tests make it fail on purpose
    asyncio.run(_serve(make(defects, options.key), options.port, path))


async def _serve(server: Server, port: int, path: str) -> None:
    runner = web.AppRunner(server.app(), access_log=None, handle_signals=False, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _end_with_parent)
    print(f"http://127.0.0.1:{runner.addresses[0][1]}{path}", flush=True)  # noqa: T201 the first line is for who started this
    await asyncio.Event().wait()


def _end_with_parent() -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        os._exit(0)


if __name__ == "__main__":
    serve("python -m tests.fakes.openai", Defects(), Server, path="/v1")
