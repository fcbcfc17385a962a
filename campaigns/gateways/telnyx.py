"""Telnyx's Messages API: how it is called, what its answers mean, how its calls to us are proved.

Sources, at developers.telnyx.com: the API reference of "Send a message", "Delivery update" and
"Inbound message"; the guides "Receiving webhooks", "Messaging error codes", "Advanced opt-in/out"
and "Idempotency"; the page of error 40300.
"""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.http import HttpRequest
from pyreqwest.client import Client

from campaigns.gateways import wire
from campaigns.gateways.outcome import (
    OPTED_OUT,
    PERMANENT,
    TEMPORARY,
    MaybeSent,
    Outgoing,
    busy,
    object_in,
    refused,
)
from campaigns.gateways.told import Delivery, Inbound, Told

# Errors that say that the message was not taken. Any other answer leaves it unknown: codes from
# 40001 to 40018 tell of a message that was taken, and a receipt brings them.
ERRORS = {
    "40300": OPTED_OUT,  # in an answer; in a receipt it may mean another thing
    "10002": PERMANENT,  # no valid number
    "10004": PERMANENT,  # something is missing
    "10015": PERMANENT,  # not well-formed
    "10016": PERMANENT,  # not in E.164
    "40301": PERMANENT,  # not to this number
    "40302": PERMANENT,  # too long
    "40305": PERMANENT,  # not a sender of ours
    "40306": PERMANENT,  # a sender with letters is not set up
    "40309": PERMANENT,  # country not enabled
    "40310": PERMANENT,  # no valid recipient
    "40316": PERMANENT,  # no body
    "40319": PERMANENT,  # not from this sender to this number
    "40322": PERMANENT,  # content
    "10009": TEMPORARY,  # credentials: an operator must mend them, as what follows
    "10010": TEMPORARY,  # permission
    "20002": TEMPORARY,  # key revoked
    "20012": TEMPORARY,  # account inactive
    "20013": TEMPORARY,  # account blocked
    "20100": TEMPORARY,  # no money
    "40312": TEMPORARY,  # messaging profile disabled
    "40314": TEMPORARY,  # messaging disabled
    "40315": TEMPORARY,  # sender unhealthy
    "40320": TEMPORARY,  # sender not ready yet
    "40329": TEMPORARY,  # toll-free number not verified yet
    "10011": TEMPORARY,  # rate
    "40318": TEMPORARY,  # queue is full
}
# By a carrier or before it: as spam, or of a sender not registered.
FILTERED = frozenset({"40002", "40003", "40010", "40015", "40017"})
RECEIPTS: Mapping[str, Delivery] = {
    "queued": Delivery.ON_ITS_WAY,
    "sending": Delivery.ON_ITS_WAY,
    "sent": Delivery.ON_ITS_WAY,
    "delivery_unconfirmed": Delivery.ON_ITS_WAY,  # the last word, but nobody knows
    "delivered": Delivery.DELIVERED,
    "sending_failed": Delivery.UNDELIVERED,
    "delivery_failed": Delivery.UNDELIVERED,
    "expired": Delivery.UNDELIVERED,
}
PROGRESS = ("message.sent", "message.finalized")
RECEIPT_PATH = "/webhooks/telnyx/receipt"
SILENCE = ("", "text/plain")
TOLERANCE = 300  # seconds between a call's timestamp and now


def has_account() -> bool:
    """Whether this business has an account with Telnyx."""
    return bool(settings.TELNYX_API_KEY and settings.TELNYX_PUBLIC_KEY)


def content(outgoing: Outgoing) -> dict[str, Any]:
    """What is posted.

    Telnyx takes no validity period: a message that its queue holds, for at most four hours, may
    leave after the window. So a sender's pace must be the one that Telnyx grants it.
    """
    return {
        "to": outgoing.to,
        "from": outgoing.sender,
        "text": outgoing.body,
        "type": "SMS",
        "webhook_url": f"{settings.PUBLIC_URL}{RECEIPT_PATH}?attempt={outgoing.attempt}",
        "use_profile_webhooks": False,  # the profile's address is for what people write
    }


async def send(client: Client, outgoing: Outgoing) -> str:
    """Hand one message over, once; returns the provider's id of it. Raises NotSent, MaybeSent.

    The key lets Telnyx drop a copy that something on the way makes; we never send another one.
    """
    headers = {
        "Authorization": f"Bearer {settings.TELNYX_API_KEY}",
        "Content-Type": "application/json",
        "Idempotency-Key": outgoing.attempt,
    }
    body = json.dumps(content(outgoing)).encode()
    url = f"{settings.TELNYX_BASE_URL}/v2/messages"
    answer = await wire.post(client, url, headers=headers, body=body)
    return read_answer(answer.status, answer.body, answer.headers)


def read_answer(status: int, body: bytes, headers: Mapping[str, str]) -> str:
    """The provider's id in an answer. Raises NotSent for a documented refusal, else MaybeSent."""
    answer = object_in(body)
    if status == 429:
        raise busy(headers)
    try:
        if status in (200, 201):
            return _text(answer, "data", "id")
        code = _text(answer, "errors", 0, "code")
    except KeyError:
        code = ""
    if 400 <= status < 500 and code in ERRORS:
        raise refused(code, ERRORS[code])
    raise MaybeSent(f"HTTP {status}")


def _text(found: Any, *path: str | int) -> str:
    """The text at a place in a JSON document, not empty. Raises KeyError, which names the place."""
    try:
        for step in path:
            found = found[step]
    except (LookupError, TypeError):
        found = None
    if not isinstance(found, str) or not found:
        raise KeyError(".".join(str(step) for step in path))
    return found


# --- what Telnyx tells us ----------------------------------------------------------------------


def is_signed(request: HttpRequest, *, at: datetime) -> bool:
    """Whether a call comes from Telnyx, and from now. Without a key nothing does.

    Signed are the time and the body, not the address.
    """
    told_at = request.headers.get("Telnyx-Timestamp", "")
    claimed = request.headers.get("Telnyx-Signature-Ed25519", "")
    if not (told_at.isascii() and told_at.isdigit() and len(told_at) < 13):
        return False
    if not settings.TELNYX_PUBLIC_KEY or abs(int(told_at) - at.timestamp()) > TOLERANCE:
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(settings.TELNYX_PUBLIC_KEY))
        key.verify(base64.b64decode(claimed, validate=True), told_at.encode() + b"|" + request.body)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_receipt(request: HttpRequest) -> Told | None:
    """How far a message has come; None if the call is of something else.

    The body is signed and repeats the address that we gave; another one than was called is
    refused, so that no receipt can be turned to another attempt. Raises KeyError, ValueError.
    """
    payload = _payload(request, *PROGRESS)
    if payload is None:
        return None
    called = settings.PUBLIC_URL + request.get_full_path()
    if payload.get("webhook_url") not in (None, "", called):
        raise ValueError("a receipt of another message")
    return Told(
        attempt=request.GET["attempt"],
        provider_id=_text(payload, "id"),
        status=_text(payload, "to", 0, "status"),
        code=_code(payload),
    )


def read_inbound(request: HttpRequest) -> Inbound | None:
    """What somebody wrote to us; None if the call is of something else. Raises KeyError."""
    payload = _payload(request, "message.received")
    if payload is None:
        return None
    return Inbound(
        provider_id=_text(payload, "id"),
        number=_text(payload, "from", "phone_number"),
        sender=_text(payload, "to", 0, "phone_number"),
        text=payload.get("text") or "",
    )


def _payload(request: HttpRequest, *kinds: str) -> Any:
    """What the call tells, if it is of one of these kinds of event."""
    event = object_in(request.body).get("data")
    if not isinstance(event, dict) or event.get("event_type") not in kinds:
        return None
    return event.get("payload") or {}


def _code(payload: Any) -> str:
    try:
        return _text(payload, "errors", 0, "code")
    except KeyError:
        return ""
