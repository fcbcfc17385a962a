"""What a telephone number means that people typed or a spreadsheet damaged."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NoReturn

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType, ValidationResult

from consent import places

MAX_CHARACTERS = 100  # nobody types more; longer text is never handed to a parser
E164_DIGITS = 15  # the library finds longer numbers possible in some countries
MIN_DIGITS = 7  # a part of a cell with fewer is no number of its own


class Reason(StrEnum):
    """Why a number was refused; the sentence for people stands in SENTENCES."""

    EMPTY = "empty"
    NOT_A_NUMBER = "not_a_number"
    SPREADSHEET_DAMAGED = "spreadsheet_damaged"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SEVERAL_NUMBERS = "several_numbers"
    EXTENSION = "extension"
    NO_AREA_CODE = "no_area_code"
    IMPOSSIBLE = "impossible"
    UNKNOWN_COUNTRY = "unknown_country"
    TOLL_FREE = "toll_free"
    PREMIUM_RATE = "premium_rate"
    PERSONAL_NUMBER = "personal_number"
    SHARED_COST = "shared_cost"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    PAGER = "pager"


SENTENCES = {
    Reason.EMPTY: "There is no number here.",
    Reason.NOT_A_NUMBER: "This is not a telephone number.",
    Reason.SPREADSHEET_DAMAGED: (
        "A spreadsheet has damaged this number and digits are lost; "
        "export the column again as text."
    ),
    Reason.TOO_SHORT: "The number has too few digits.",
    Reason.TOO_LONG: (
        "The number is too long; a number from abroad needs a plus sign and its country code."
    ),
    Reason.SEVERAL_NUMBERS: "The cell holds more than one number; keep the one to be texted.",
    Reason.EXTENSION: "The number has an extension, and an extension cannot receive a text.",
    Reason.NO_AREA_CODE: "The area code is missing.",
    Reason.IMPOSSIBLE: "No telephone number of that country looks like this.",
    Reason.UNKNOWN_COUNTRY: "The number belongs to no known country.",
    Reason.TOLL_FREE: "Toll-free numbers belong to businesses and are not texted.",
    Reason.PREMIUM_RATE: "Premium-rate numbers are not texted.",
    Reason.PERSONAL_NUMBER: (
        "This is a follow-me number that rings elsewhere; it says nothing of where the person is."
    ),
    Reason.SHARED_COST: "Shared-cost numbers belong to businesses and are not texted.",
    Reason.UAN: "This is a company's access number, not a person's telephone.",
    Reason.VOICEMAIL: "This is a voicemail access number, not a person's telephone.",
    Reason.PAGER: "This is a pager, and pagers are not texted.",
}


class NumberRefused(ValueError):  # noqa: N818 it is a decision, not a defect
    """The text is no number that may be texted; `reason` says why, `str()` says it to people.

    Neither repeats the number, so both may stand in a log or an error report.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return SENTENCES[self.reason]


@dataclass(frozen=True, slots=True, repr=False)
class Number:
    """A telephone number in E.164 form and its ISO country (US territories count as US)."""

    e164: str
    country: str

    def __repr__(self) -> str:
        return f"Number({self})"

    def __str__(self) -> str:
        return masked(self.e164)


PARSE_FAULTS = {
    NumberParseException.INVALID_COUNTRY_CODE: Reason.UNKNOWN_COUNTRY,
    NumberParseException.NOT_A_NUMBER: Reason.NOT_A_NUMBER,
    NumberParseException.TOO_SHORT_AFTER_IDD: Reason.TOO_SHORT,
    NumberParseException.TOO_SHORT_NSN: Reason.TOO_SHORT,
    NumberParseException.TOO_LONG: Reason.TOO_LONG,
}
LENGTH_FAULTS = {
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: Reason.NO_AREA_CODE,
    ValidationResult.TOO_SHORT: Reason.TOO_SHORT,
    ValidationResult.TOO_LONG: Reason.TOO_LONG,
    ValidationResult.INVALID_LENGTH: Reason.IMPOSSIBLE,
    ValidationResult.INVALID_COUNTRY_CODE: Reason.UNKNOWN_COUNTRY,
}
SERVICE_TYPES = {
    PhoneNumberType.TOLL_FREE: Reason.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: Reason.PREMIUM_RATE,
    PhoneNumberType.PERSONAL_NUMBER: Reason.PERSONAL_NUMBER,
    PhoneNumberType.SHARED_COST: Reason.SHARED_COST,
    PhoneNumberType.UAN: Reason.UAN,
    PhoneNumberType.VOICEMAIL: Reason.VOICEMAIL,
    PhoneNumberType.PAGER: Reason.PAGER,
}
# By area code, because the library decides by exchange and lets unassigned ones through.
# Includes codes reserved for the same use but not yet opened. Each group is named as its Reason.
NANP_SERVICES = re.compile(
    r"(?P<toll_free>8(?:00|22|33|44|55|66|77|8\d))"
    r"|(?P<premium_rate>900)"
    r"|(?P<personal_number>5(?:00|2[1-9]|3[2358]|4[2-79]|5[02-468]|6[69]|7[78]|8[89]))"
)

WRAPPING = " \t\r\n\"'`=\u2018\u2019\u201c\u201d"  # quotes, and what spreadsheets put before text
OTHER_DASHES = "\u2212\u2043\u02d7\u30fc"  # minus, hyphen bullet, modifier minus, long vowel mark

SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d*)?\s*[eE]\s*[+-]?\s*\d+|#[#A-Z/0!?]*")
WHOLE_DECIMAL = re.compile(r"(\+?\d{7,})[.,]0+")
SEPARATOR = re.compile(
    r"[;,/|&\r\n+]|\b(?:or|and|oder|und|ou|et)\b|(?<=\d{10})\s+(?=\d{10})", re.IGNORECASE
)
EXTENSION = re.compile(
    r"(?=(\D*\d){8})[^,;]*\d\W*([,;#~x]+|ext\w*|poste|durchwahl|anexo|ramal|int)\W*\d{1,7}\W*",
    re.IGNORECASE,
)
PLAIN = re.compile(r"[(\s]*\+?[\s().\-/]*\d[\d\s().\-/]*")
# How nearly every number of North America is written; the rest takes the long way.
NANP_WRITTEN = re.compile(
    r"(?:(?P<plus>\+)1[ .-]?|1[ .-]?)?(?P<bracket>\()?(?P<area>[2-9]\d\d)(?(bracket)\))[ .-]?"
    r"(?P<exchange>[2-9]\d\d)[ .-]?(?P<line>\d{4})",
    re.ASCII,
)
NANP_COUNTRIES = frozenset(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1])
INTERNATIONAL_00 = re.compile(r"[(\s]*\+?00[\s().\-/]*([1-9][\d\s().\-/]*)")
NANP_SHAPE = re.compile(r"[2-9](?!11)[0-8]\d[2-9]\d{6}")
E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def parse(raw: str, *, country: str = "US") -> Number:
    """The number that `raw` means when it was written in `country` (ISO code).

    Possible numbers are accepted, not only those the library calls valid: it refuses new area
    codes. Lost digits are never guessed. Raises NumberRefused, and nothing else, for text that
    is no number and for numbers that are not a person's own telephone.
    """
    if len(raw) > MAX_CHARACTERS:
        raise NumberRefused(Reason.TOO_LONG)
    plain = NANP_WRITTEN.fullmatch(raw)
    if plain and (plain["plus"] or country.upper() in NANP_COUNTRIES):
        return _of_nanp("".join(plain.group("area", "exchange", "line")))
    return _parsed(raw, country)


def _of_nanp(significant: str) -> Number:
    """A number of North America: what it is, its first six digits say, and nothing below them."""
    home, reason = _exchange(significant[:6])
    if reason:
        raise NumberRefused(reason)
    return Number(f"+1{significant}", home)


@lru_cache(maxsize=131_072)
def _exchange(prefix: str) -> tuple[str, Reason | None]:
    try:
        return _parsed(f"+1{prefix}0100", "US").country, None
    except NumberRefused as refusal:
        return "", refusal.reason


def _parsed(raw: str, country: str) -> Number:
    number = _read(_international(_written(_cleaned(raw))), country.upper())
    significant = phonenumbers.national_significant_number(number)
    _refuse_impossible(number, significant)
    _refuse_service(number, significant)
    home = places.country_of(number)
    if not home:
        raise NumberRefused(Reason.UNKNOWN_COUNTRY)
    return Number(f"+{number.country_code}{significant}", home)


def masked(e164: str) -> str:
    """The country code and last two digits of an E.164 number; all hidden if it is not one."""
    if not E164.fullmatch(e164):
        return "•••"
    return f"+{_country_code(e164[1:])} ••• ••• ••{e164[-2:]}"


def kind(number: Number) -> str:
    """What the library takes the number for, such as "mobile"; in North America it cannot tell."""
    found = phonenumbers.number_type(phonenumbers.parse(number.e164))
    return str(PhoneNumberType.to_string(found)).lower()


def _cleaned(raw: str) -> str:
    """`raw` in plain digits, spaces and dashes, without invisible signs and wrapping."""
    if not raw.isascii():
        raw = "".join(map(_plain, unicodedata.normalize("NFKC", raw)))
    text = raw.strip(WRAPPING)
    decimal = WHOLE_DECIMAL.fullmatch(text)
    return decimal[1] if decimal else text


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":  # zero-width and direction marks, soft hyphen
        return ""
    if category == "Pd" or character in OTHER_DASHES:
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    return " " if category.startswith("Z") else character


def _written(text: str) -> str:
    """`text` if it is written as one number may be written."""
    if _holds_several(text):
        raise NumberRefused(Reason.SEVERAL_NUMBERS)
    if not PLAIN.fullmatch(text):
        _refuse_writing(text)
    return text


def _holds_several(text: str) -> bool:
    parts = SEPARATOR.split(text)
    if len(parts) == 1:
        return False
    return sum(sum(map(str.isdigit, part)) >= MIN_DIGITS for part in parts) > 1


def _refuse_writing(text: str) -> NoReturn:
    if not text:
        raise NumberRefused(Reason.EMPTY)
    if SCIENTIFIC.fullmatch(text):
        raise NumberRefused(Reason.SPREADSHEET_DAMAGED)
    if EXTENSION.fullmatch(text):
        raise NumberRefused(Reason.EXTENSION)
    raise NumberRefused(Reason.NOT_A_NUMBER)


def _international(text: str) -> str:
    """`text` with a plus for a leading 00, which the library knows only in some countries."""
    written = INTERNATIONAL_00.fullmatch(text)
    return f"+{written[1]}" if written else text


def _country_code(digits: str) -> str:
    known = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((digits[:n] for n in (1, 2, 3) if int(digits[:n]) in known), "")


def _read(text: str, country: str) -> PhoneNumber:
    try:
        return phonenumbers.parse(text, country)
    except NumberParseException as fault:
        reason = PARSE_FAULTS[fault.error_type]
    raise NumberRefused(reason)  # outside the handler: no context that could quote the number


def _refuse_impossible(number: PhoneNumber, significant: str) -> None:
    reason = LENGTH_FAULTS.get(phonenumbers.is_possible_number_with_reason(number))
    if reason:
        raise NumberRefused(reason)
    if len(f"{number.country_code}{significant}") > E164_DIGITS:
        raise NumberRefused(Reason.TOO_LONG)
    if number.country_code == places.NANP and not NANP_SHAPE.fullmatch(significant):
        raise NumberRefused(Reason.IMPOSSIBLE)


def _refuse_service(number: PhoneNumber, significant: str) -> None:
    service = NANP_SERVICES.match(significant)
    if service and number.country_code == places.NANP:
        raise NumberRefused(Reason(str(service.lastgroup)))
    reason = SERVICE_TYPES.get(phonenumbers.number_type(number))
    if reason:
        raise NumberRefused(reason)
