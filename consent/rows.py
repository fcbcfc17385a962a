"""What the columns and cells of a list mean: headings, dates, yes and no, names of real tools."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

# What the columns of known tools are called; everything else is left out and named in the report.
HEADINGS = {
    "phone": ("phone", "phone_number", "mobile", "number", "telefon", "téléphone", "telefono"),
    "first_name": ("first_name", "first name", "vorname", "prénom", "nombre"),
    "language": ("language", "locale", "sprache", "langue", "idioma"),
    "country": ("country", "default address country code", "land", "pays", "país"),
    "region": ("state", "region", "default address province code", "province"),
    "given_at": ("opted_in_at", "sms consent updated at", "consent_at", "einwilligung am"),
    "withdrawn_at": ("opted_out_at", "unsubscribed_at"),
    "agreed": ("accepts sms marketing", "sms_consent"),
    "confirmed": ("double_opt_in", "sms consent level", "confirmed"),
    "method": ("method", "opt_in_method"),
    "source": ("source", "quelle"),
    "wording": ("disclosure", "wording", "consent_text"),
    "ip_address": ("ip_address", "ip"),
    "user_agent": ("user_agent",),
}
COLUMN_OF = {heading: name for name, headings in HEADINGS.items() for heading in headings}
YES = {"yes", "true", "1", "ja", "oui", "sí", "si", "confirmed_opt_in", "double_opt_in"}
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,6})?( ?[+-]\d\d:?\d\d|Z)?)?", re.ASCII)
DATE_FORMATS = ("%d.%m.%Y %H:%M", "%d.%m.%Y")
LONGEST_NAME = 60
YEARS = range(1990, 2200)  # what a text message can have been agreed to in
FORMULA = re.compile(r"\A[=+\-@\t\r]")


# What a clerk may say that a column means, in the order of the form.
MEANINGS = {
    "phone": "telephone number",
    "first_name": "first name",
    "language": "language",
    "country": "country of the number",
    "region": "state of the address",
    "given_at": "when the person opted in",
    "agreed": "whether the person agreed (yes or no)",
    "confirmed": "whether the person confirmed (yes or no)",
    "method": "how the person opted in",
    "source": "form or page of the opt-in",
    "wording": "wording that was shown",
    "ip_address": "network address of the form",
    "user_agent": "browser of the form",
    "withdrawn_at": "when the person opted out",
}


def guess(headings: Sequence[str]) -> list[str]:
    """What each column probably means, "" for nothing we need; each meaning is used once."""
    meant: list[str] = []
    for heading in headings:
        name = COLUMN_OF.get(heading.strip().casefold(), "")
        meant.append("" if name in meant else name)
    return meant


def named(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """The cells of a row by what their columns mean; those that mean nothing are dropped."""
    return {name: cell for name, cell in zip(columns, cells, strict=False) if name}


def instant(written: str) -> datetime | None:
    """The time that a cell names, in UTC if it names no zone; None if it names none that exists."""
    found = _iso(written) if written[:4].isdigit() else _other(written)
    if found is None or found.year not in YEARS:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _iso(written: str) -> datetime | None:
    """The common form, read fast; a space before the offset is how shops write it."""
    if not ISO.fullmatch(written):
        return None
    try:
        return datetime.fromisoformat(written.replace(" +", "+").replace(" -", "-"))
    except ValueError:
        return None


def _other(written: str) -> datetime | None:
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(written, form)  # noqa: DTZ007 - the zone is set by the caller
        except ValueError:
            continue
    return None


def says_yes(cell: str) -> bool:
    return cell.casefold() in YES


def first_name(cell: str) -> tuple[str, str]:
    """A name fit to stand in a message, and a note if the cell held none."""
    if len(cell) > LONGEST_NAME:
        return "", "The first name was too long and was left out."
    if FORMULA.match(cell) or (not cell.isprintable() and _holds_control(cell)):
        return "", "The first name looked like a formula and was left out."
    return cell, ""


def _holds_control(cell: str) -> bool:
    return any(unicodedata.category(sign) == "Cc" for sign in cell)
