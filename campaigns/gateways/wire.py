"""The one HTTP client of a worker process: no retries, no redirects, certificates checked.

It lives as long as the process, so that connections outlive chunks: a fresh one per chunk costs a
third of the speed.
"""

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import aiohttp
from django.conf import settings

T = TypeVar("T")


class Wire:
    """An event loop with a client in it, in a thread of its own, for code that is not asynchronous.

    Its owner may do other things while calls are under way.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._client: aiohttp.ClientSession | None = None
        self._room = asyncio.Semaphore(settings.GATEWAY_CONCURRENCY)

    def start(
        self, call: Callable[[aiohttp.ClientSession, "In"], Awaitable[T]], items: Sequence["In"]
    ) -> Future[list[T | Exception]]:
        """What `call` will have returned or raised for each item, in order.

        Of all that was started, at most so many are under way at once.
        """
        return asyncio.run_coroutine_threadsafe(self._gather(call, items), self._loop)

    def gather(
        self, call: Callable[[aiohttp.ClientSession, "In"], Awaitable[T]], items: Sequence["In"]
    ) -> list[T | Exception]:
        """What `call` returned or raised for each item, in order."""
        return self.start(call, items).result()

    async def _gather(
        self, call: Callable[[aiohttp.ClientSession, "In"], Awaitable[T]], items: Sequence["In"]
    ) -> list[T | Exception]:
        client = self._client or self._new_client()

        async def one(item: "In") -> T:
            async with self._room:
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
        """Let go of the connections and of the thread; what is under way is abandoned."""
        asyncio.run_coroutine_threadsafe(self._let_go(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _let_go(self) -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if self._client is not None:
            await self._client.close()


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
