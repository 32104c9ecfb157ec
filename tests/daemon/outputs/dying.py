"""A process that saves outputs and stops for ever before a chosen system call, so that a test can kill it there."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.daemon.outputs.samples import a_member, a_png, a_run, a_tree, an_image, chunk

WATCHED = ["mkdir", "open", "fsync", "rename", "unlink"]
LARGE = 256 << 10


def tell(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def stop_before(call: int) -> None:
    """Say so and hang before the watched system call of that number, from 0."""
    count = 0

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def stop_or_call(*args: Any, **keywords: Any) -> Any:
            nonlocal count
            if count == call:
                tell(" ".join(["stopped", real.__name__, *map(str, args[:2])]))
                sys.stdin.read()
            count += 1
            return real(*args, **keywords)

        return stop_or_call

    for name in WATCHED:
        setattr(os, name, watched(getattr(os, name)))


async def save_one(data_dir: Path, shade: int) -> None:
    """Save one output of one item."""
    async with a_tree(data_dir) as tree:
        member = a_member()
        await tree.save(a_run(member), member, 0, an_image(a_png(shade, width=50)), {})


async def save_many(data_dir: Path) -> None:
    """Save large outputs of 200 items, telling each path as soon as it is safe."""
    async with a_tree(data_dir) as tree:
        members = [a_member(index, position=index) for index in range(200)]
        run = a_run(*members)

        async def save(position: int) -> None:
            large = a_png(position, texts=chunk(b"biGg", bytes(LARGE)))
            tell((await tree.save(run, members[position], 0, an_image(large, position), {})).path)

        await asyncio.gather(*map(save, range(200)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["one", data_dir, shade, call]:
            stop_before(int(call))
            asyncio.run(save_one(Path(data_dir), int(shade)))
            tell("done")
        case ["many", data_dir]:
            asyncio.run(save_many(Path(data_dir)))
        case other:
            sys.exit(f"what is {other}?")
