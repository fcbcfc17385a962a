"""What the rows of a list say: encodings, separators, headings, dates and names of real tools."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

csv.field_size_limit(1_000_000)

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
DATE_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
)
LONGEST_NAME = 60
LONGEST_HEADING = 80
YEARS = range(1990, 2200)  # what a text message can have been agreed to in
UNCLOSED = "From line {line} on, a quotation mark is never closed. Export the list again."
FORMULA = re.compile(r"\A[=+\-@\t\r]")


class NotAList(ValueError):
    """A file that is no list of people; the text says what was looked for."""


@dataclass(frozen=True, slots=True)
class Table:
    """A list as it was read: its rows by our names, and the columns that are not wanted."""

    rows: Sequence[dict[str, str]]
    left_out: tuple[str, ...]


def read(content: str) -> Table:
    """The rows of a list. Raises NotAList if there is no heading for phone numbers."""
    delimiter = _delimiter(content)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    headings = [heading.strip() for heading in next(_without_faults(reader), [])]
    if any(len(heading) > LONGEST_HEADING or "\n" in heading for heading in headings):
        raise NotAList("The first line does not name the columns; is a quotation mark left open?")
    columns = [COLUMN_OF.get(heading.casefold(), "") for heading in headings]
    if "phone" not in columns:
        raise NotAList(
            "The file has no column of phone numbers (such as “phone”) in its first line."
        )
    rows = [_named(columns, cells) for cells in _without_faults(reader) if any(cells)]
    left_out = [heading for heading, name in zip(headings, columns, strict=True) if not name]
    return Table(rows, tuple(left_out))


def text_of(raw: bytes) -> str:
    """The text of a file, in UTF-8 with or without a mark, or else in Windows's western encoding.

    Raises NotAList for a file that is no text.
    """
    if b"\x00" in raw:
        raise NotAList("This is no text file. Save the list as CSV and bring it again.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _delimiter(content: str) -> str:
    first_line = content.split("\n", 1)[0]
    return max(",;\t", key=first_line.count)


def _without_faults(reader: Any) -> Iterator[list[str]]:
    """Every row; a line that cannot be read becomes a number that is none, and is refused as such.

    Raises NotAList where a fault swallowed several lines: nobody must be lost among them.
    """
    while True:
        before = reader.line_num
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            if reader.line_num > before + 1:
                raise NotAList(UNCLOSED.format(line=before + 1)) from None
            yield ["unreadable"]


def _named(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    pairs = zip_longest(columns, cells[: len(columns)], fillvalue="")  # a row may be cut short
    return {name: cell.strip() for name, cell in pairs if name}


def instant(written: str) -> datetime | None:
    """The time that a cell names, in UTC if it names no zone; None if it names none that exists."""
    for form in DATE_FORMATS:
        try:
            found = datetime.strptime(written, form)  # noqa: DTZ007 - the zone is set below
        except ValueError:
            continue
        if found.year not in YEARS:
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def says_yes(cell: str) -> bool:
    return cell.casefold() in YES


def first_name(cell: str) -> tuple[str, str]:
    """A name fit to stand in a message, and a note if the cell held none."""
    if len(cell) > LONGEST_NAME:
        return "", "The first name was too long and was left out."
    if FORMULA.match(cell) or any(unicodedata.category(sign) == "Cc" for sign in cell):
        return "", "The first name looked like a formula and was left out."
    return cell, ""
