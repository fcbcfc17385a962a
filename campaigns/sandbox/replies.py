"""What the phones write back: signed inbound webhooks to the customer."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

import phonenumbers

from campaigns.sandbox import segments
from campaigns.sandbox.callbacks import Answer, Callbacks
from campaigns.sandbox.receipts import API_VERSION
from campaigns.sandbox.truth import Reply, Truth


class Writer(Protocol):
    """Posts what a phone wrote in the words of one API."""

    def new_id(self) -> str:
        """Return an id for one more message."""

    async def write(self, sid: str, *, phone: str, to: str, body: str) -> Answer:
        """Return what the webhook answered."""


class Replies:
    """Sends inbound messages by the API of the sender they answer, and remembers them."""

    def __init__(self, truth: Truth, writers: Mapping[str, Writer]) -> None:
        self._truth = truth
        self._writers = writers

    async def send(self, *, phone: str, to: str, body: str, api: str = "") -> Answer:
        """Write `body` from `phone` to the sender `to`; return what the webhook answered."""
        writer = self._writers[api or self._truth.api(phone=phone, sender=to)]
        sid, sent_at = writer.new_id(), datetime.now(UTC).isoformat()
        answer = await writer.write(sid, phone=phone, to=to, body=body)
        reply = Reply(
            sid=sid, phone=phone, to=to, body=body, sent_at=sent_at, answered=answer.status
        )
        self._truth.answer(reply)
        return answer


class TwilioWriter:
    """Posts texts as the Messages API does: signed forms to one address."""

    def __init__(self, callbacks: Callbacks, *, account_sid: str, url: str) -> None:
        self._callbacks = callbacks
        self._account_sid = account_sid
        self._url = url

    def new_id(self) -> str:
        """Return an id for one more message."""
        return f"SM{uuid.uuid4().hex}"

    async def write(self, sid: str, *, phone: str, to: str, body: str) -> Answer:
        """Return what the webhook answered."""
        fields = _fields(sid, phone, to, body, account_sid=self._account_sid)
        return await self._callbacks.post(self._url, fields, token=sid)


def _fields(sid: str, phone: str, to: str, body: str, *, account_sid: str) -> dict[str, str]:
    return {
        "MessageSid": sid,
        "SmsSid": sid,
        "AccountSid": account_sid,
        "From": phone,
        "To": to,
        "Body": body,
        "NumMedia": "0",
        "NumSegments": str(segments.count(body)),
        "ApiVersion": API_VERSION,
        "FromCountry": _country(phone),
    }


def _country(phone: str) -> str:
    """Return the country of an E.164 number, the calling code's main one where it is fictional."""
    number = phonenumbers.parse(phone)
    exact = phonenumbers.region_code_for_number(number)
    return exact or phonenumbers.region_code_for_country_code(number.country_code or 0)
