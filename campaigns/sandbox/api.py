"""The Messages API as its clients see it: create, fetch and list, with faults on demand.

Wire format: https://www.twilio.com/docs/messaging/api/message-resource.
"""

import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from campaigns.sandbox import refusals, segments
from campaigns.sandbox.intake import Intake
from campaigns.sandbox.receipts import API_VERSION
from campaigns.sandbox.refusals import RefusedError
from campaigns.sandbox.truth import Api, Message, Truth

PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
LIST_PARAMETERS = frozenset({"To", "From", "PageSize", "Page", "PageToken"})


class MessagesApi:
    """The Message resource of one account."""

    def __init__(
        self,
        truth: Truth,
        intake: Intake,
        *,
        account_sid: str,
        auth_token: str,
    ) -> None:
        self._truth = truth
        self._intake = intake
        self._account_sid = account_sid
        self._login = aiohttp.encode_basic_auth(account_sid, auth_token).encode()
        self._path = f"/{API_VERSION}/Accounts/{account_sid}/Messages"

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses of the resource."""
        messages = f"/{API_VERSION}/Accounts/{{account}}/Messages"
        return [
            web.post(f"{messages}.json", self._guarded(self.create)),
            web.get(f"{messages}.json", self._guarded(self.listing)),
            web.get(f"{messages}/{{message}}.json", self._guarded(self.fetch)),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Accept a message, or refuse it, or do what the drawn fault says."""
        draft = refusals.read(await request.post())
        return await self._intake.take(
            request, draft, api=Api.TWILIO, answer=lambda message: _created(self._resource(message))
        )

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """Show one message."""
        message = self._truth.message(request.match_info["message"])
        if message is None:
            raise RefusedError(20404)
        return _answer(self._resource(message))

    async def listing(self, request: web.Request) -> web.StreamResponse:
        """Show one page of messages, newest first."""
        asked = dict(request.query)
        if not asked.keys() <= LIST_PARAMETERS:
            # A filter passed over in silence would answer another question than the one asked.
            raise RefusedError(20001)
        size = min(_number(asked.get("PageSize", str(PAGE_SIZE)), least=1), MAX_PAGE_SIZE)
        page = _number(asked.get("Page", "0"), least=0)
        found = self._truth.newest_first(to=asked.get("To", ""), sender=asked.get("From", ""))
        window = list(islice(found, page * size, (page + 1) * size + 1))
        return _answer(self._page(asked, window, page=page, size=size))

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Let only the account itself in, and answer refusals as the API does."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._authenticate(request)
                return await handler(request)
            except RefusedError as refusal:
                return _refused(refusal)

        return guarded

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(given, self._login):
            raise RefusedError(20003)
        if request.match_info["account"] != self._account_sid:
            raise RefusedError(20003)

    def _resource(self, message: Message) -> dict[str, Any]:
        receipt = self._truth.receipt(message.sid)
        created = _rfc2822(message.accepted_at)
        return {
            "account_sid": self._account_sid,
            "api_version": API_VERSION,
            "body": message.body,
            "date_created": created,
            "date_sent": _rfc2822(receipt.at) if receipt else None,
            "date_updated": _rfc2822(receipt.at) if receipt else created,
            "direction": "outbound-api",
            "error_code": receipt.error_code if receipt else None,
            "error_message": None,
            "from": message.sender,
            "messaging_service_sid": None,
            "num_media": "0",
            "num_segments": str(segments.count(message.body)),
            "price": None,
            "price_unit": None,
            "sid": message.sid,
            "status": receipt.status if receipt else "queued",
            "subresource_uris": {"media": f"{self._path}/{message.sid}/Media.json"},
            "to": message.to,
            "uri": f"{self._path}/{message.sid}.json",
        }

    def _page(
        self, asked: dict[str, str], window: list[Message], *, page: int, size: int
    ) -> dict[str, Any]:
        """Return a page; `window` holds one message more when there is a next page."""
        shown = window[:size]
        return {
            "messages": [self._resource(message) for message in shown],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(shown) - 1, 0),
            "uri": self._page_uri(asked, page, size),
            "first_page_uri": self._page_uri(asked, 0, size),
            "previous_page_uri": self._page_uri(asked, page - 1, size) if page else None,
            "next_page_uri": self._page_uri(asked, page + 1, size) if window[size:] else None,
        }

    def _page_uri(self, asked: dict[str, str], page: int, size: int) -> str:
        query = asked | {"PageSize": str(size), "Page": str(page)}
        return f"{self._path}.json?{urlencode(query)}"


def _created(resource: dict[str, Any]) -> web.Response:
    return web.json_response(resource, status=201)


def _answer(document: dict[str, Any]) -> web.Response:
    return web.json_response(document)


def _refused(refusal: RefusedError) -> web.Response:
    response = web.json_response(text=refusal.as_json(), status=refusal.status)
    if refusal.status == 429:
        response.headers["Retry-After"] = "1"
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="sandbox provider"'
    return response


def _number(text: str, *, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < least:
        raise RefusedError(20001)
    return int(text)


def _rfc2822(moment: str) -> str:
    return format_datetime(datetime.fromisoformat(moment))
