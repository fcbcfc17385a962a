"""The one HTTP client of a worker process: no retries, no redirects, certificates checked.

It lives as long as the process, so that connections outlive batches: fresh ones for each cost a
third of the speed. A gateway posts through it and never catches what the client raises.
"""

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Thread
from typing import TypeVar

from django.conf import settings
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestError

from campaigns.gateways.outcome import MaybeSent, NotSent

T = TypeVar("T")
In = TypeVar("In")

# What the client says, in the chain of causes, when no connection came about: nothing was written.
# Its classes do not tell: a reset after the whole request is a ConnectError too.
NEVER_CONNECTED = "client error (Connect)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered, whatever its status."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


async def post(client: Client, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
    """Post what is written, once. Raises NotSent if no connection came about, else MaybeSent."""
    request = client.post(url).headers(headers)
    try:
        response = await request.body_bytes(body).build().send()
        return Answer(response.status, bytes(await response.bytes()), response.headers)
    except PyreqwestError as error:
        raise _told_of(error) from None


def _told_of(error: PyreqwestError) -> NotSent | MaybeSent:
    name = type(error).__name__
    causes = (isinstance(error, RequestError) and error.details["causes"]) or []
    if any(cause["message"] == NEVER_CONNECTED for cause in causes):
        return NotSent(name)
    return MaybeSent("TimeoutError" if isinstance(error, TimeoutError) else name)


class Wire:
    """An event loop with a client in it, in a thread of its own, for code that is not asynchronous.

    Its owner may do other things while calls are under way.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._client = _client()
        self._room = asyncio.Semaphore(settings.GATEWAY_CONCURRENCY)

    def start(
        self, call: Callable[[Client, In], Awaitable[T]], items: Sequence[In]
    ) -> Future[list[T | Exception]]:
        """What `call` will have returned or raised for each item, in order.

        Of all that was started, at most so many are under way at once.
        """
        return asyncio.run_coroutine_threadsafe(self._gather(call, items), self._loop)

    def gather(
        self, call: Callable[[Client, In], Awaitable[T]], items: Sequence[In]
    ) -> list[T | Exception]:
        """What `call` returned or raised for each item, in order."""
        return self.start(call, items).result()

    async def _gather(
        self, call: Callable[[Client, In], Awaitable[T]], items: Sequence[In]
    ) -> list[T | Exception]:
        async def one(item: In) -> T:
            async with self._room:
                return await call(self._client, item)

        found = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
        return [_expected(result) for result in found]

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
        await self._client.close()


def _expected(result: T | BaseException) -> T | Exception:
    """Interrupts are not outcomes of a call."""
    if isinstance(result, BaseException) and not isinstance(result, Exception):
        raise result
    return result


def _client() -> Client:
    patience = timedelta(seconds=settings.GATEWAY_TIMEOUT)
    return (
        ClientBuilder()
        .timeout(patience)
        .connect_timeout(patience / 2)  # who waits for a connection only has sent nothing
        .follow_redirects(False)
        .no_proxy()
        .http1_only()
        .build()
    )


_open: list[Wire] = []


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
