"""Twilio's Messages API: how it is called, what its answers mean, how its calls to us are proved.

Sources: Twilio's API reference for the Message resource, its dictionary of errors, and "Validating
requests are coming from Twilio".
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from pyreqwest.client import Client

from campaigns.gateways import wire
from campaigns.gateways.outcome import MaybeSent, NotSent, Outgoing

OPTED_OUT, PERMANENT, TEMPORARY = "opted out", "permanent", "temporary"

# Errors that say that the message was not taken. Any other answer leaves it unknown.
ERRORS = {
    21610: OPTED_OUT,
    21211: PERMANENT,  # no valid number
    21212: PERMANENT,  # no valid sender
    21408: PERMANENT,  # country not enabled
    21602: PERMANENT,  # no body
    21606: PERMANENT,  # not a sender of ours
    21612: PERMANENT,  # no route
    21614: PERMANENT,  # not a mobile
    21617: PERMANENT,  # too long
    21635: PERMANENT,  # landline
    14107: TEMPORARY,  # rate
    20003: TEMPORARY,  # credentials: an operator must mend them
    20429: TEMPORARY,  # rate
    21611: TEMPORARY,  # queue is full
}


class Delivery(StrEnum):
    """What a receipt means for a message."""

    ON_ITS_WAY = "on its way"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


FILTERED = frozenset({"30007", "30034"})  # by a carrier: as spam, or of a sender not registered
RECEIPTS = {
    "queued": Delivery.ON_ITS_WAY,
    "sending": Delivery.ON_ITS_WAY,
    "sent": Delivery.ON_ITS_WAY,
    "delivered": Delivery.DELIVERED,
    "undelivered": Delivery.UNDELIVERED,
    "failed": Delivery.UNDELIVERED,
}
RECEIPT_PATH = "/webhooks/twilio/receipt"
VALIDITY = (timedelta(seconds=1), timedelta(seconds=36_000))


def _url() -> str:
    account = settings.TWILIO_ACCOUNT_SID
    return f"{settings.TWILIO_BASE_URL}/2010-04-01/Accounts/{account}/Messages.json"


def form(outgoing: Outgoing) -> dict[str, str]:
    """What is posted. The validity ends with the window: a late message is dropped."""
    shortest, longest = VALIDITY
    valid_for = min(max(outgoing.valid_for, shortest), longest)
    return {
        "To": outgoing.to,
        "From": outgoing.sender,
        "Body": outgoing.body,
        "ValidityPeriod": str(int(valid_for.total_seconds())),
        "StatusCallback": f"{settings.PUBLIC_URL}{RECEIPT_PATH}?attempt={outgoing.attempt}",
    }


async def send(client: Client, outgoing: Outgoing) -> str:
    """Hand one message over, once; returns the provider's id of it. Raises NotSent, MaybeSent."""
    account = f"{settings.TWILIO_ACCOUNT_SID}:{settings.TWILIO_AUTH_TOKEN}"
    signed_in = {"Authorization": f"Basic {base64.b64encode(account.encode()).decode()}"}
    answer = await wire.post(client, _url(), headers=signed_in, form=form(outgoing))
    return read_answer(answer.status, answer.body, answer.headers)


def read_answer(status: int, body: bytes, headers: Mapping[str, str]) -> str:
    """The provider's id in an answer. Raises NotSent for a documented refusal, else MaybeSent."""
    answer = _json(body)
    if status in (200, 201) and isinstance(answer.get("sid"), str):
        return str(answer["sid"])
    if status == 429:
        raise NotSent("429", retry_after=_retry_after(headers))
    code = answer.get("code")
    meaning = ERRORS.get(code) if isinstance(code, int) else None
    if 400 <= status < 500 and meaning:
        raise NotSent(
            str(code),
            permanent=meaning != TEMPORARY,
            opted_out=meaning == OPTED_OUT,
        )
    raise MaybeSent(f"HTTP {status}")


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    wait = headers.get("Retry-After", "")
    if not (wait.isascii() and wait.isdigit()):
        return timedelta(0)
    return timedelta(seconds=min(int(wait[:9]), 3600))


# --- what Twilio tells us ----------------------------------------------------------------------


def signature(url: str, fields: Sequence[tuple[str, str]]) -> str:
    """HMAC-SHA1 over the address and the sorted names and values, as Twilio computes it."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(settings.TWILIO_AUTH_TOKEN.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def is_signed(path: str, fields: Sequence[tuple[str, str]], claimed: str) -> bool:
    """Whether a call to our public address comes from Twilio. Without a token nothing does.

    The scheme has no delimiter between names and values and drops repeated parameters, so a call
    with a repeated name is refused.
    """
    names = [name for name, _value in fields]
    if not settings.TWILIO_AUTH_TOKEN or len(names) != len(set(names)):
        return False
    expected = signature(settings.PUBLIC_URL + path, fields)
    return hmac.compare_digest(expected.encode(), claimed.encode())


@dataclass(frozen=True, slots=True)
class Inbound:
    """A text that someone sent to one of our senders."""

    provider_id: str
    number: str = field(repr=False)
    sender: str
    text: str = field(repr=False)


def read_inbound(fields: Mapping[str, str]) -> Inbound:
    """An inbound message. Raises KeyError if a field is missing."""
    return Inbound(fields["MessageSid"], fields["From"], fields["To"], fields.get("Body", ""))
