"""What the Messages API refuses, under which code, and how it says so.

Codes: https://www.twilio.com/docs/api/errors; magic numbers: https://www.twilio.com/docs/iam/test-credentials.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MAX_BODY = 1600  # characters
MAX_VALIDITY = 36_000  # seconds

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
SHORT_CODE = re.compile(r"[0-9]{3,8}")
ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")

MEANINGS = {
    20001: "The request has a parameter this resource does not know",
    20003: "Account SID or auth token is wrong",
    20404: "There is no such resource",
    20429: "Too many requests",
    20500: "The provider failed",
    21211: "The 'To' number is not a valid phone number",
    21212: "The 'From' value is no phone number, short code or alphanumeric sender",
    21408: "The account may not send to the region of the 'To' number",
    21602: "The message has no body",
    21603: "The 'From' value is missing",
    21604: "The 'To' number is missing",
    21606: "The 'From' number does not belong to the account or cannot send SMS",
    21609: "The 'StatusCallback' address is not a valid URL",
    21610: "The recipient has unsubscribed from this sender",
    21611: "The queue of this 'From' number is full",
    21612: "The 'To' number cannot be reached from this 'From' number",
    21614: "The 'To' number cannot receive SMS",
    21617: "The body is longer than 1600 characters",
    90007: "The validity period must be 1 to 36000 whole seconds",
}
STATUSES = {20003: 401, 20404: 404, 20429: 429, 20500: 500}  # every other code is a 400
MAGIC_RECIPIENTS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
MAGIC_SENDERS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}


class RefusedError(Exception):
    """The request is refused under `code`; nothing was accepted."""

    def __init__(self, code: int) -> None:
        super().__init__(MEANINGS[code])
        self.code = code
        self.status = STATUSES.get(code, 400)

    def as_json(self) -> str:
        """Return the error document of the API."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        document = {"code": self.code, "message": str(self), "more_info": more}
        return json.dumps(document | {"status": self.status})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a client asks to have sent, found valid."""

    to: str
    sender: str
    body: str
    status_callback: str
    validity_period: int | None  # seconds


def read(form: Mapping[str, Any]) -> Draft:
    """Return the message asked for by the form of a POST; raises `RefusedError`."""
    return Draft(
        to=_recipient(_text(form, "To")),
        sender=_sender(_text(form, "From")),
        body=_body(_text(form, "Body")),
        status_callback=_callback(_text(form, "StatusCallback")),
        validity_period=_validity(_text(form, "ValidityPeriod")),
    )


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""  # an uploaded file is no text


def _recipient(to: str) -> str:
    if not to:
        raise RefusedError(21604)
    if not E164.fullmatch(to):
        raise RefusedError(21211)
    if to in MAGIC_RECIPIENTS:
        raise RefusedError(MAGIC_RECIPIENTS[to])
    return to


def _sender(sender: str) -> str:
    if not sender:
        raise RefusedError(21603)
    if not any(form.fullmatch(sender) for form in (E164, SHORT_CODE, ALPHANUMERIC)):
        raise RefusedError(21212)
    if sender in MAGIC_SENDERS:
        raise RefusedError(MAGIC_SENDERS[sender])
    return sender


def _body(body: str) -> str:
    if not body:
        raise RefusedError(21602)
    if len(body) > MAX_BODY:
        raise RefusedError(21617)
    return body


def _callback(url: str) -> str:
    if url and not _is_web_address(url):
        raise RefusedError(21609)
    return url


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _validity(seconds: str) -> int | None:
    if not seconds:
        return None
    if not re.fullmatch("[0-9]{1,5}", seconds) or not 1 <= int(seconds) <= MAX_VALIDITY:
        raise RefusedError(90007)
    return int(seconds)
