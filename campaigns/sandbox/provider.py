"""The sandbox provider put together: one process on loopback, as long as its log is open."""

import asyncio
import ipaddress
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from campaigns.sandbox.api import MessagesApi
from campaigns.sandbox.callbacks import TIMEOUT, Callbacks
from campaigns.sandbox.controls import Controls
from campaigns.sandbox.faults import Faults
from campaigns.sandbox.intake import Intake
from campaigns.sandbox.phones import Phones
from campaigns.sandbox.receipts import Receipts, Teller, TwilioTeller
from campaigns.sandbox.replies import Replies, TwilioWriter, Writer
from campaigns.sandbox.telnyx import Events, TelnyxApi
from campaigns.sandbox.truth import Api, Truth

STOPPING = 1.0  # seconds given to requests in progress


class NotLoopbackError(ValueError):
    """The provider would be reachable from another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The provider's one customer and what it asked to be told where; times in seconds.

    Without a key nobody comes in by the Telnyx API; the key that signs its events belongs to it.
    """

    sid: str
    auth_token: str = field(repr=False)
    inbound_url: str
    telnyx_api_key: str = field(default="", repr=False)
    telnyx_inbound_url: str = ""
    receipt_delay: float = 0.05
    webhook_timeout: float = TIMEOUT


def run(
    account: Account,
    *,
    host: str,
    port: int,
    log: Path,
    faults: Faults,
    announce: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` gets the base URL once it answers.

    Raises `NotLoopbackError`, `LogError`, and `OSError` if the port is taken.
    """

    async def serve() -> None:
        async with serving(account, host=host, port=port, log=log, faults=faults) as url:
            announce(url)
            await _told_to_stop()

    asyncio.run(serve())


@asynccontextmanager
async def serving(
    account: Account, *, host: str, port: int, log: Path, faults: Faults
) -> AsyncIterator[str]:
    """Serve while the block runs, which gets the base URL; port 0 takes a free one."""
    address = loopback(host)
    truth = Truth(log)
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            app, receipts = _app(account, truth, faults, session)
            async with _listening(app, address, port) as url, _working(receipts):
                yield url
    finally:
        truth.close()


def loopback(host: str) -> str:
    """Return the address to bind for `host`; raises `NotLoopbackError`."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise NotLoopbackError(f"{host!r} is no loopback address") from None
    if not address.is_loopback:
        raise NotLoopbackError(f"{host!r} is no loopback address")
    return str(address)


def _app(
    account: Account, truth: Truth, faults: Faults, session: aiohttp.ClientSession
) -> tuple[web.Application, Receipts]:
    callbacks = Callbacks(session, auth_token=account.auth_token, timeout=account.webhook_timeout)
    events = Events(callbacks, secret=account.telnyx_api_key, url=account.telnyx_inbound_url)
    tellers: dict[str, Teller] = {
        Api.TWILIO: TwilioTeller(callbacks, account_sid=account.sid),
        Api.TELNYX: events,
    }
    writers: dict[str, Writer] = {
        Api.TWILIO: TwilioWriter(callbacks, account_sid=account.sid, url=account.inbound_url),
        Api.TELNYX: events,
    }
    receipts = Receipts(truth, tellers, delay=account.receipt_delay)
    replies = Replies(truth, writers)
    intake = Intake(truth, faults, receipts)
    api = MessagesApi(truth, intake, account_sid=account.sid, auth_token=account.auth_token)
    telnyx = TelnyxApi(intake, api_key=account.telnyx_api_key)
    app = web.Application(middlewares=[_only_by_loopback_name])
    for part in (api, telnyx, Controls(truth, faults, replies), Phones(truth, replies)):
        app.add_routes(part.routes())
    return app, receipts


@web.middleware
async def _only_by_loopback_name(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse a foreign host name: a hostile page could have its own name point to loopback."""
    try:
        loopback(request.url.host or "")
    except NotLoopbackError:
        raise web.HTTPForbidden(text="This provider answers to loopback names only.") from None
    return await handler(request)


@asynccontextmanager
async def _listening(app: web.Application, address: str, port: int) -> AsyncIterator[str]:
    # No access log: its lines would hold phone numbers. Cancellation ends a hung request when
    # its client goes; nothing between accepting a message and owing its receipts can be cut.
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=STOPPING
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, backlog=1024).start()
        host, taken = runner.addresses[0][:2]
        yield f"http://[{host}]:{taken}" if ":" in host else f"http://{host}:{taken}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _working(receipts: Receipts) -> AsyncIterator[None]:
    receipts.start()
    try:
        yield
    finally:
        await receipts.stop()


async def _told_to_stop() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
