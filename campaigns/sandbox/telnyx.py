"""The same provider by the Telnyx API: messages in JSON, and events signed with a key.

Wire format: https://developers.telnyx.com/api-reference/messages/send-a-message,
https://developers.telnyx.com/api-reference/callbacks/delivery-update and inbound-message; codes:
https://developers.telnyx.com/docs/messaging/messages/error-codes. Magic numbers are those of the
other API, and mean the same.
"""

import hmac
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from campaigns.sandbox import refusals, segments
from campaigns.sandbox.callbacks import Answer, Callbacks
from campaigns.sandbox.intake import Intake
from campaigns.sandbox.receipts import Step
from campaigns.sandbox.refusals import RefusedError
from campaigns.sandbox.signing import signature
from campaigns.sandbox.truth import Api, Message

# What a refusal of the other API is called here, and under which HTTP status.
CODES: dict[int, tuple[str, int]] = {
    20003: ("10009", 401),
    20429: ("10011", 429),
    20500: ("10007", 500),
    21211: ("40310", 400),
    21212: ("40305", 400),
    21408: ("40309", 400),
    21602: ("40316", 400),
    21603: ("40305", 400),
    21604: ("10004", 422),
    21606: ("40305", 400),
    21609: ("10003", 422),
    21610: ("40300", 409),
    21611: ("40318", 400),
    21612: ("40319", 400),
    21614: ("40301", 400),
    21617: ("40302", 400),
}
# Which event tells of a step, and with which status.
EVENTS = {
    "sent": ("message.sent", "sent"),
    "delivered": ("message.finalized", "delivered"),
    "undelivered": ("message.finalized", "delivery_failed"),
    "failed": ("message.finalized", "delivery_failed"),
}
CARRIERS = {30005: "40012", 30007: "40002"}


class TelnyxApi:
    """The creation of messages by one customer."""

    def __init__(self, intake: Intake, *, api_key: str) -> None:
        self._intake = intake
        self._login = f"Bearer {api_key}".encode() if api_key else b""

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        return [web.post("/v2/messages", self.create)]

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Accept a message, or refuse it, or do what the drawn fault says."""
        try:
            self._authenticate(request)
            draft = refusals.read(_form(await request.text()))
            return await self._intake.take(request, draft, api=Api.TELNYX, answer=_created)
        except RefusedError as refusal:
            return _refused(refusal)

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if not self._login or not hmac.compare_digest(given, self._login):
            raise RefusedError(20003)


class Events:
    """Posts signed events: how far a message has come, and what a phone wrote."""

    def __init__(self, callbacks: Callbacks, *, secret: str, url: str) -> None:
        self._callbacks = callbacks
        self._secret = secret
        self._url = url

    async def tell(self, message: Message, step: Step) -> bool:
        """Return whether the customer acknowledged it."""
        kind, status = EVENTS[step.status]
        payload = _payload(message, status=status, errors=_errors(step))
        answer = await self._post(message.status_callback, kind, message.sid, payload)
        return answer.acknowledged

    def new_id(self) -> str:
        """Return an id for one more message."""
        return str(uuid.uuid4())

    async def write(self, sid: str, *, phone: str, to: str, body: str) -> Answer:
        """Return what the webhook answered."""
        payload = {
            "record_type": "message",
            "direction": "inbound",
            "id": sid,
            "type": "SMS",
            "from": {"phone_number": phone, "carrier": "", "line_type": "Wireless"},
            "to": [{"phone_number": to, "status": "webhook_delivered"}],
            "text": body,
            "media": [],
            "parts": segments.count(body),
            "received_at": datetime.now(UTC).isoformat(),
            "errors": [],
        }
        return await self._post(self._url, "message.received", sid, payload)

    async def _post(self, url: str, kind: str, sid: str, payload: dict[str, Any]) -> Answer:
        event = {
            "record_type": "event",
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{sid}/{kind}")),
            "event_type": kind,
            "occurred_at": datetime.now(UTC).isoformat(),
            "payload": payload,
        }
        body = json.dumps({"data": event, "meta": {"attempt": 1, "delivered_to": url}}).encode()
        now = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "telnyx-timestamp": now,
            "telnyx-signature-ed25519": signature(secret=self._secret, timestamp=now, body=body),
        }
        return await self._callbacks.deliver(url, body, headers)


def _form(content: str) -> Mapping[str, Any]:
    """Return a request in the words of the other API."""
    try:
        given = json.loads(content)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise RefusedError(21604)
    names = {"To": "to", "From": "from", "Body": "text", "StatusCallback": "webhook_url"}
    return {theirs: given.get(ours, "") for theirs, ours in names.items()}


def _payload(message: Message, *, status: str, errors: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "record_type": "message",
        "direction": "outbound",
        "id": message.sid,
        "type": "SMS",
        "from": {"phone_number": message.sender, "carrier": "", "line_type": ""},
        "to": [{"phone_number": message.to, "status": status, "carrier": "", "line_type": ""}],
        "text": message.body,
        "media": [],
        "webhook_url": message.status_callback,
        "parts": segments.count(message.body),
        "tags": [],
        "received_at": message.accepted_at,
        "errors": errors,
    }


def _errors(step: Step) -> list[dict[str, str]]:
    if step.error_code is None:
        return []
    return [{"code": CARRIERS[step.error_code], "title": "The carrier did not deliver it"}]


def _created(message: Message) -> web.Response:
    return web.json_response({"data": _payload(message, status="queued", errors=[])})


def _refused(refusal: RefusedError) -> web.Response:
    code, status = CODES[refusal.code]
    error = {"code": code, "title": str(refusal), "detail": str(refusal)}
    response = web.json_response({"errors": [error]}, status=status)
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response
