"""The one HTTP client of a worker process: no retries, no redirects, certificates checked.

It lives as long as the process, so that connections outlive chunks: a fresh one per chunk costs a
third of the speed.
"""

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import aiohttp
from django.conf import settings

T = TypeVar("T")


class Wire:
    """An event loop with a client in it, for code that is not asynchronous itself."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._client: aiohttp.ClientSession | None = None

    def gather(
        self, call: Callable[[aiohttp.ClientSession, "In"], Awaitable[T]], items: Sequence["In"]
    ) -> list[T | Exception]:
        """What `call` returned or raised for each item, in order; at most so many at once."""
        return self._runner.run(self._gather(call, items))

    async def _gather(
        self, call: Callable[[aiohttp.ClientSession, "In"], Awaitable[T]], items: Sequence["In"]
    ) -> list[T | Exception]:
        client = self._client or self._new_client()
        room = asyncio.Semaphore(settings.GATEWAY_CONCURRENCY)

        async def one(item: "In") -> T:
            async with room:
                return await call(client, item)

        found = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
        return [_expected(result) for result in found]

    def _new_client(self) -> aiohttp.ClientSession:
        self._client = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=settings.GATEWAY_TIMEOUT),
            connector=aiohttp.TCPConnector(limit=settings.GATEWAY_CONCURRENCY),
            trust_env=False,
        )
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._runner.run(self._client.close())
            self._client = None
        self._runner.close()


In = TypeVar("In")
_open: list[Wire] = []


def _expected(result: T | BaseException) -> T | Exception:
    """Interrupts are not outcomes of a call."""
    if isinstance(result, BaseException) and not isinstance(result, Exception):
        raise result
    return result


def wire() -> Wire:
    """The process's client, made at first use, after any fork."""
    if not _open:
        _open.append(Wire())
        atexit.register(close)
    return _open[0]


def close() -> None:
    """Close the process's client, if it has one."""
    while _open:
        _open.pop().close()
