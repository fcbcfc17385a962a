"""Twilio's Messages API: how it is called, what its answers mean, how its calls to us are proved.

Sources: Twilio's API reference for the Message resource, its dictionary of errors, and "Validating
requests are coming from Twilio".
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

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
FILTERED = frozenset({"30007", "30034"})  # by a carrier: as spam, or of a sender not registered
RECEIPTS: Mapping[str, Delivery] = {
    "queued": Delivery.ON_ITS_WAY,
    "sending": Delivery.ON_ITS_WAY,
    "sent": Delivery.ON_ITS_WAY,
    "delivered": Delivery.DELIVERED,
    "undelivered": Delivery.UNDELIVERED,
    "failed": Delivery.UNDELIVERED,
}
RECEIPT_PATH = "/webhooks/twilio/receipt"
VALIDITY = (timedelta(seconds=1), timedelta(seconds=36_000))
SILENCE = ('<?xml version="1.0" encoding="UTF-8"?><Response></Response>', "text/xml")


def has_account() -> bool:
    """Whether this business has an account with Twilio."""
    return bool(settings.TWILIO_ACCOUNT_SID and settings.TWILIO_AUTH_TOKEN)


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
    headers = {
        "Authorization": f"Basic {base64.b64encode(account.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urlencode(form(outgoing)).encode()  # a quarter of what the client takes to write a form
    answer = await wire.post(client, _url(), headers=headers, body=body)
    return read_answer(answer.status, answer.body, answer.headers)


def read_answer(status: int, body: bytes, headers: Mapping[str, str]) -> str:
    """The provider's id in an answer. Raises NotSent for a documented refusal, else MaybeSent."""
    answer = object_in(body)
    if status in (200, 201) and isinstance(answer.get("sid"), str):
        return str(answer["sid"])
    if status == 429:
        raise busy(headers)
    code = answer.get("code")
    meaning = ERRORS.get(code) if isinstance(code, int) else None
    if 400 <= status < 500 and meaning:
        raise refused(str(code), meaning)
    raise MaybeSent(f"HTTP {status}")


# --- what Twilio tells us ----------------------------------------------------------------------


def signature(url: str, fields: Sequence[tuple[str, str]]) -> str:
    """HMAC-SHA1 over the address and the sorted names and values, as Twilio computes it."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(settings.TWILIO_AUTH_TOKEN.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def is_signed(request: HttpRequest, *, at: datetime) -> bool:
    """Whether a call to our public address comes from Twilio. Without a token nothing does.

    The scheme has no delimiter between names and values and drops repeated parameters, so a call
    with a repeated name is refused. It tells no time: a call may be an old one.
    """
    fields = [(name, value) for name in request.POST for value in request.POST.getlist(name)]
    names = [name for name, _value in fields]
    if not settings.TWILIO_AUTH_TOKEN or len(names) != len(set(names)):
        return False
    expected = signature(settings.PUBLIC_URL + request.get_full_path(), fields)
    claimed = request.headers.get("X-Twilio-Signature", "")
    return hmac.compare_digest(expected.encode(), claimed.encode())


def read_receipt(request: HttpRequest) -> Told:
    """How far a message has come. Raises KeyError if a field is missing."""
    fields = request.POST
    code = fields.get("ErrorCode", "")
    return Told(request.GET["attempt"], fields["MessageSid"], fields["MessageStatus"], code)


def read_inbound(request: HttpRequest) -> Inbound:
    """What somebody wrote to us. Raises KeyError if a field is missing."""
    fields = request.POST
    return Inbound(fields["MessageSid"], fields["From"], fields["To"], fields.get("Body", ""))
