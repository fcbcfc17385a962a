"""A provider, its webhooks and a client on one event loop, which runs only while a test waits."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from campaigns.sandbox import provider
from campaigns.sandbox.faults import Faults

ACCOUNT = "AC" + "5" * 32
TOKEN = "the-sandbox-token"  # noqa: S105
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"
TELNYX_KEY = "the-sandbox-key"
PHONE = "+12025550123"
SENDER = "+12025550100"


@dataclass
class Answer:
    """What the client got."""

    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Request:
    """What a webhook got."""

    url: str
    target: str
    headers: Any
    form: dict[str, str]
    body: bytes


@dataclass
class Webhooks:
    """Records what the provider posts; answers with `statuses` one by one, then 200."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        return [request.form["MessageStatus"] for request in self.requests]

    async def take(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        body = await request.read()
        got = Request(str(request.url), request.raw_path, request.headers, form, body)
        self.requests.append(got)
        status = self.statuses.pop(0) if self.statuses else 200
        elsewhere = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(
            status=status, text="<Response/>", content_type="text/xml", headers=elsewhere
        )


class Sandbox:
    """What a test holds in its hand."""

    def __init__(self, runner: asyncio.Runner, log: Path) -> None:
        self._runner = runner
        self.log = log
        self.url = ""
        self.webhooks = Webhooks()
        self.faults = Faults({}, seed=1)
        self.receipt_delay = 0.0
        self.webhook_timeout = 10.0
        self._stack = AsyncExitStack()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(asyncio.wait_for(work, 20))

    def start(self) -> None:
        self.run(self._start())

    def stop(self) -> None:
        self.run(self._stack.aclose())

    def restart(self) -> None:
        self.stop()
        self.start()

    def get(self, path: str, **options: Any) -> Answer:
        return self.run(self.ask("GET", path, **options))

    def post(self, path: str, **options: Any) -> Answer:
        return self.run(self.ask("POST", path, **options))

    def send(self, to: str = PHONE, **fields: str) -> Answer:
        form = {"To": to, "From": SENDER, "Body": "Hello"} | fields
        return self.post(f"{MESSAGES}.json", data=form)

    def send_with_receipts(self, to: str = PHONE) -> Answer:
        return self.send(to, StatusCallback=f"{self.webhooks.url}/receipts?a=%7E&b=1")

    def truth(self) -> Any:
        return self.get("/sandbox/truth").json

    def wait(self, true: Callable[[], bool]) -> None:
        self.run(self._wait(true))

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        login = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
        headers = login | options.pop("headers", {})
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, self.url + path, headers=headers, allow_redirects=False, **options
            ) as response,
        ):
            return Answer(response.status, await response.text(), response.headers)

    async def _start(self) -> None:
        self._stack = AsyncExitStack()
        await self._listen()
        account = provider.Account(
            sid=ACCOUNT,
            auth_token=TOKEN,
            inbound_url=f"{self.webhooks.url}/inbound",
            telnyx_api_key=TELNYX_KEY,
            telnyx_inbound_url=f"{self.webhooks.url}/telnyx",
            receipt_delay=self.receipt_delay,
            webhook_timeout=self.webhook_timeout,
        )
        self.url = await self._stack.enter_async_context(
            provider.serving(account, host="127.0.0.1", port=0, log=self.log, faults=self.faults)
        )

    async def _listen(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/{any:.*}", self.webhooks.take)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.webhooks.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _wait(self, true: Callable[[], bool]) -> None:
        while not true():
            await asyncio.sleep(0.005)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A running provider with an empty log, no faults and receipts without delay."""
    with asyncio.Runner() as runner:
        box = Sandbox(runner, tmp_path / "accepted.jsonl")
        box.start()
        yield box
        box.stop()
