"""The provider's own addresses under /sandbox: its truth, its faults, and its phones' replies."""

import json
from typing import Any

from aiohttp import web

from campaigns.sandbox.faults import Faults, RatesError
from campaigns.sandbox.refusals import E164
from campaigns.sandbox.replies import Replies
from campaigns.sandbox.truth import Api, Message, Truth

PAGE = 1000  # messages


class Controls:
    """What a test, a demonstration or an operator asks the provider itself."""

    def __init__(self, truth: Truth, faults: Faults, replies: Replies) -> None:
        self._truth = truth
        self._faults = faults
        self._replies = replies

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        return [
            web.get("/sandbox/health", self.health),
            web.get("/sandbox/truth", self.totals),
            web.get("/sandbox/messages", self.messages),
            web.get("/sandbox/faults", self.rates),
            web.post("/sandbox/faults", self.set_rates),
            web.post("/sandbox/replies", self.reply),
        ]

    async def health(self, request: web.Request) -> web.Response:
        """Say that the provider is up."""
        return web.Response(text="ok")

    async def totals(self, request: web.Request) -> web.Response:
        """Show the counts of everything so far."""
        return web.json_response(self._truth.totals())

    async def messages(self, request: web.Request) -> web.Response:
        """Show up to a thousand accepted messages after the position `after`."""
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            return _bad("after must be a number of messages")
        page = self._truth.after(int(after), limit=PAGE)
        return web.json_response([_shown(message, self._truth) for message in page])

    async def rates(self, request: web.Request) -> web.Response:
        """Show the fault rates in force."""
        return web.json_response(self._faults.rates())

    async def set_rates(self, request: web.Request) -> web.Response:
        """Put exactly the rates given in force."""
        rates = await _object(request)
        if rates is None:
            return _bad("the body must be a JSON object of rates by fault")
        try:
            self._faults.replace(rates)
        except RatesError as error:
            return _bad(str(error))
        return web.json_response(self._faults.rates())

    async def reply(self, request: web.Request) -> web.Response:
        """Send an inbound message as a phone, and show what the webhook answered."""
        given = await _object(request)
        api = str((given or {}).get("api", ""))
        if api not in {"", *Api}:
            return _bad(f"there is no API but {', '.join(Api)}")
        match given:
            case {"from": str(phone), "to": str(to), "body": str(body)} if E164.fullmatch(phone):
                answer = await self._replies.send(phone=phone, to=to, body=body, api=api)
                return web.json_response({"status": answer.status, "answer": answer.text})
        return _bad("the body must be a JSON object with from (E.164), to and body")


def _shown(message: Message, truth: Truth) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "to": message.to,
        "from": message.sender,
        "body": message.body,
        "accepted_at": message.accepted_at,
        "status_callback": message.status_callback,
        "validity_period": message.validity_period,
        "api": message.api,
        "status": truth.status(message.sid),
    }


async def _object(request: web.Request) -> dict[str, Any] | None:
    """Return the JSON object of the body; None if it is anything else."""
    # Only the JSON type: a form on a foreign page can post anything else here without asking.
    if request.content_type != "application/json":
        return None
    try:
        given = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return given if isinstance(given, dict) else None


def _bad(reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=400)
