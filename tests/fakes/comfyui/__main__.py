"""Run a fake ComfyUI server: `python -m tests.fakes.comfyui --port 0 --directory DIR`; its URL is the first line."""

import argparse
import asyncio
import logging
import os
import stat
import sys
from pathlib import Path

from aiohttp import web
from tests.fakes.comfyui.defects import Defects
from tests.fakes.comfyui.files import Folders
from tests.fakes.comfyui.http import Server
from tests.fakes.comfyui.options import Options


def main() -> None:
    """Read the command line and serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.comfyui")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--directory", type=Path, required=True, help="holds input, output, temp and models")
    parser.add_argument("--version", choices=["0.33.0", "0.12.1", "0.3.64"], default="0.12.1")
    parser.add_argument("--cache", choices=["default", "classic", "lru", "ram", "none"], default="default")
    parser.add_argument("--preview-method", choices=["none", "latent2rgb"], default="none")
    parser.add_argument("--stoker-nodes", choices=["yes", "no"], default="no", help="whether it has Stoker's node pack")
    parser.add_argument("--defect", action="append", default=[], metavar="NAME=VALUE", help="see defects.py")
    options = parser.parse_args()
    defects = Defects()
    defects.change(dict(each.split("=", 1) for each in options.defect))
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # tests make it fail on purpose
    asyncio.run(_serve(options, defects))


async def _serve(options: argparse.Namespace, defects: Defects) -> None:
    folders = Folders(options.directory)
    flags = Options(options.version, options.cache, options.preview_method != "none", options.stoker_nodes == "yes")
    server = Server(folders, defects, flags)
    runner = web.AppRunner(server.app(), access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port)
    await site.start()
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _end_with_parent)
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201 the first line is for who started this
    await asyncio.Event().wait()


def _end_with_parent() -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        os._exit(0)


if __name__ == "__main__":
    main()
