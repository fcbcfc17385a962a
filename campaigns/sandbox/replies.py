"""What the phones write back: signed inbound webhooks to the customer."""

import uuid
from datetime import UTC, datetime

import phonenumbers

from campaigns.sandbox import segments
from campaigns.sandbox.callbacks import Answer, Callbacks
from campaigns.sandbox.receipts import API_VERSION
from campaigns.sandbox.truth import Reply, Truth


class Replies:
    """Sends inbound messages to one address and remembers them."""

    def __init__(self, truth: Truth, callbacks: Callbacks, *, account_sid: str, url: str) -> None:
        self._truth = truth
        self._callbacks = callbacks
        self._account_sid = account_sid
        self._url = url

    async def send(self, *, phone: str, to: str, body: str) -> Answer:
        """Write `body` from `phone` to the sender `to`; return what the webhook answered."""
        sid = f"SM{uuid.uuid4().hex}"
        sent_at = datetime.now(UTC).isoformat()
        fields = _fields(sid, phone, to, body, account_sid=self._account_sid)
        answer = await self._callbacks.post(self._url, fields, token=sid)
        reply = Reply(
            sid=sid, phone=phone, to=to, body=body, sent_at=sent_at, answered=answer.status
        )
        self._truth.answer(reply)
        return answer


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
