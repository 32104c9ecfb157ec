"""Both clients behind one face, so that each test is written once: `connect` makes a Client, or what looks like one."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import pytest

from stoker_client.async_client import AsyncClient
from stoker_client.keys import KeyLike
from stoker_client.sync_client import Client

Connect = Callable[..., AbstractContextManager[Client]]


class _Blocking:
    """An AsyncClient whose calls run its loop until they are answered."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            answer = getattr(self._client, verb)(*args, **options)
            return self._runner.run(answer) if inspect.iscoroutine(answer) else self._each(answer)

        return call

    def _each(self, stream: AsyncGenerator[Any]) -> Iterator[Any]:
        async def next_one() -> Any:
            return await anext(stream, self)  # itself says that nothing comes any more

        try:
            while (one := self._runner.run(next_one())) is not self:
                yield one
        finally:
            self._runner.run(stream.aclose())


@contextmanager
def connect_async(
    endpoint: str | None = None, *, key: KeyLike | None = None, timeout_s: float = 5.0
) -> Generator[Client]:
    """An AsyncClient that is used like a Client."""
    with asyncio.Runner() as runner:
        client = AsyncClient(endpoint, key=key, timeout_s=timeout_s)
        try:
            yield cast(Client, _Blocking(client, runner))
        finally:
            runner.run(client.close())


both = pytest.mark.parametrize("connect", [Client, connect_async], ids=["sync", "async"])
"""Runs a test with `connect` as each of the two."""
