"""What calls of the API say, and what they are answered."""

import ipaddress
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from ninja import Field, Schema
from pydantic import AfterValidator, BeforeValidator, ConfigDict

from audit import trail
from consent import admission, numbers

# --- what calls say ----------------------------------------------------------------------------


def _written(text: str) -> str:
    """Refuses what no form sends, and PostgreSQL does not keep: control signs."""
    if any(unicodedata.category(sign) == "Cc" for sign in text if sign not in "\t\r\n"):
        raise ValueError("It holds signs that cannot be written.")
    return text


def _instant(told: Any) -> datetime:
    """A time with its zone, in UTC; without one nobody knows which it was."""
    try:
        at = datetime.fromisoformat(told)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):  # the last beyond the years 1 and 9999
        pass
    raise ValueError("It must be a time in ISO 8601 with its zone, such as 2026-11-24T18:00:00Z.")


def _address(told: str) -> str:
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        raise ValueError("It must be an IPv4 or IPv6 address.") from None


def _page(told: str) -> str:
    """Host and path of a page; what follows, and what looks personal, is cut off."""
    try:
        page = urlsplit(told)
    except ValueError:
        page = urlsplit("")
    if page.scheme != "https" or not page.hostname:
        raise ValueError("It must be an address that begins with https://.")
    named = f"{page.hostname}{page.path}"[:200]
    return page.hostname[:200] if trail.looks_personal(unquote(named)) else named


Text = Annotated[str, AfterValidator(_written)]


class About(Schema):
    """Whose number a call is about."""

    model_config = ConfigDict(extra="forbid")

    number: Text = Field(
        max_length=numbers.MAX_CHARACTERS,
        description="a telephone number, with a plus sign or as it is written in its country",
    )
    country: str = Field(
        "US",
        pattern=r"^[A-Za-z]{2}$",
        description="the ISO code of the country in which the number was written",
    )


class OptIn(About):
    """One opt-in with its evidence."""

    purpose: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$", description="the code of a purpose")
    language: str | None = Field(
        None, pattern=r"^[a-z]{2}$", description="the language of the form, two small letters"
    )
    wording: Text | None = Field(
        None, max_length=5000, description="the exact text that the person was shown"
    )
    notice: int | None = Field(
        None, ge=1, le=1_000_000, strict=True, description="the number of the wording, from 1 on"
    )
    given_at: Annotated[datetime, BeforeValidator(_instant)] | None = Field(
        None, description="when the box was ticked, in ISO 8601 with a zone; now, if left out"
    )
    ip_address: Annotated[Text, AfterValidator(_address)] | None = Field(
        None, max_length=45, description="the network address from which the form was sent"
    )
    user_agent: Text | None = Field(
        None, max_length=1000, description="the browser by which the form was sent"
    )
    page: Annotated[Text, AfterValidator(_page)] | None = Field(
        None, max_length=2000, description="the https address of the form; its query is cut off"
    )
    first_name: Text = Field("", max_length=80, description="how the person may be addressed")
    state: str = Field(
        "", pattern=r"^([A-Za-z]{2})?$", description="the state or province of the postal address"
    )


class OptOut(About):
    """One opt-out."""

    purpose: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,50}$",
        description="the code of a purpose; everything, if left out",
    )


class Asked(About):
    """A number of which the standing is asked."""


# --- what is answered --------------------------------------------------------------------------


class FieldFault(Schema):
    field: str
    error: str


class Fault(Schema):
    error: str
    fields: list[FieldFault]


class Conflict(Fault):
    status: Literal["suppressed", "withdrawn since"]
    confirmation: None


class SignedUp(Schema):
    status: Literal["opened", "subscribed already", "confirmed"]
    confirmation: Literal["awaited", "not needed"] | None


class Stopped(Schema):
    status: Literal["stopped", "had stopped already"]


class Standing(Schema):
    may_be_messaged_for: list[str]
    suppressed: bool
    awaiting_confirmation: list[str]


STATUSES = {
    admission.OPENED: "opened",
    admission.MERGED: "subscribed already",
    admission.CONFIRMED: "confirmed",
    admission.SUPPRESSED: "suppressed",
    admission.WITHDRAWN: "withdrawn since",
}
CONFLICTS = {
    admission.SUPPRESSED: "This number refused messages; only the person can take that back.",
    admission.WITHDRAWN: "This person withdrew after the opt-in was given.",
}
FAULTS: dict[Any, Any] = {frozenset({400, 401, 403, 413, 415, 422, 429}): Fault}
