"""Numbers of people and of accounts: payment cards, social security, other identifiers, banks.

A number is told by its form and check digits, by the words beside it, or by both. ISO/IEC 7812
and 7064 give the check digits, ISO 13616 the lengths of IBANs; a bare run of nine digits fits the
rules of the US Social Security Administration nine times in ten and so needs a word beside it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

from stdnum import iban, luhn
from stdnum.at import vnr
from stdnum.au import tfn
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.es import ccc, dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.ie import pps
from stdnum.in_ import aadhaar, pan
from stdnum.it import codicefiscale
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.nz import bankaccount
from stdnum.pl import pesel
from stdnum.pt import cc, nif
from stdnum.se import personnummer
from stdnum.tr import tckimlik
from stdnum.us import rtn
from stdnum.us import ssn as social_security
from stdnum.za import idnr as za_idnr

from campaigns.content.finding import Finding, blocking
from campaigns.content.reading import Reading, phrases, table

NAMES = table("names.toml")
OTHER = phrases(NAMES["other"])
NEAR, AFTER = 40, 25  # characters in which a name counts before a number, and behind it
BESIDE = 20  # characters between a name and the number that it introduces
ANOTHER_THOUGHT = re.compile(r"[\d!?;\n]|\. ?[a-z]{3}")
IS = re.compile(r"\s(?:is|as|es|est|ist|e)\s|\s?[(=]")
FEWEST_DIGITS = 4  # no number here has fewer

WORDS = {
    "card": "This reads as a payment card number. Take it out; no text needs it.",
    "ssn": "This reads as a US social security number. Take it out; no text needs it.",
    "iban": "This reads as an IBAN. Take it out and let people find it where they sign in.",
    "national_id": "This reads as the number of a person's papers. Take it out.",
    "bank_account": "This reads as the number of a bank account. Take it out.",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of number: its form, the check of its digits, and the words that name it.

    `alone`: form and check tell it without a name. `excused`: the name of another sort of number
    before it, such as an order's, is believed. `trusting`: a name just before the form is enough,
    though the check fails.
    """

    code: str
    form: re.Pattern[str]
    names: re.Pattern[str] | None
    checked: Callable[[str], bool] | None = None
    alone: bool = False
    excused: bool = True
    trusting: bool = True


def _form(pattern: str) -> re.Pattern[str]:
    """A form that is no part of a longer number or word, and no telephone number after a plus."""
    return re.compile(rf"(?<![\w+])(?<!\d[-.])(?:{pattern})(?!\w)(?!-\d)")


def _any(count: int) -> str:
    """So many digits, with or without separators."""
    return rf"\d(?:[ .-]{{0,3}}\d){{{count - 1}}}"


# --- payment cards -------------------------------------------------------------------------------

# Leading digits by length, from the issuers' own pages for those who take cards.
ISSUERS = {
    13: r"4",
    14: r"30[0-5]|3095|36|3[89]",
    15: r"3[47]",
    16: r"4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|6011|64[4-9]|65|352[89]|35[3-8]|62|3[0689]"
    r"|220[0-4]|50(?:18|20|38)|5893|6304|6759|676[1-3]|508|81|82|9792|60",
    19: r"4|6011|64[4-9]|65|62|35[3-8]|6759|6304|676[1-3]|50(?:18|20|38)",
}
GROUPED = (
    r"\d{4}([ .-]{1,3})\d{4}\1\d{4}\1\d{4}(?!\1\d{4})"
    r"|\d{4}([ .-]{1,3})\d{4}\2\d{4}\2\d{4}\2\d{3}"
    r"|\d{4}([ .-]{1,3})\d{6}\3\d{4,5}"
)


def is_card(written: str) -> bool:
    """Whether the digits are of a known issuer and length and their check digit holds."""
    digits = re.sub(r"\D", "", written)
    issuer = ISSUERS.get(len(digits))
    return bool(issuer and re.match(issuer, digits)) and luhn.is_valid(digits)


# --- social security -----------------------------------------------------------------------------


def _may_be_issued(written: str) -> bool:
    """Whether the rules allow it, also the two that were printed so often that they are void."""
    digits = re.sub(r"\D", "", written)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if social_security.is_valid(digits):
        return True
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


# --- accounts ------------------------------------------------------------------------------------

# ISO 13616: how long an IBAN of each country is.
LENGTHS = {
    15: "no", 16: "be", 18: "dk fi fk fo gl nl sd", 19: "mk si", 20: "at ba ee kz lt lu mn xk",
    21: "ch cr hr li lv", 22: "bg bh de gb ge ie me rs", 23: "ae gi il iq om so tl",
    24: "ad cz es md pk ro sa se sk tn vg", 25: "ly pt st", 26: "is tr", 27: "bi dj fr gr it mc sm",
    28: "al az by cy do gt hn hu lb ni pl sv", 29: "br eg ps qa ua", 30: "jo kw mu ye",
    31: "mt sc", 32: "lc", 33: "ru",
}  # fmt: skip
IBANS = "|".join(
    rf"(?:{'|'.join(countries.split())})\d\d(?:[ -]?[a-z0-9]){{{length - 4}}}(?!\w)"
    for length, countries in LENGTHS.items()
)


def _clabe_holds(written: str) -> bool:
    """The check digit of a Mexican CLABE, weighed 3, 7, 1 by turns."""
    digits = [int(digit) for digit in re.sub(r"\D", "", written)]
    weighed = (digit * (3, 7, 1)[place % 3] % 10 for place, digit in enumerate(digits[:17]))
    return (10 - sum(weighed) % 10) % 10 == digits[17]


# --- the table -----------------------------------------------------------------------------------


def _names(name: str) -> re.Pattern[str]:
    written = NAMES.get(name) or NAMES["person"][name]
    return phrases(written)


def _check(module: ModuleType | None) -> Callable[[str], bool] | None:
    return module.is_valid if module else None


def _card(pattern: str, **more: bool) -> Kind:
    return Kind("card", _form(pattern), CARD, is_card, trusting=False, **more)


def _account(name: str, pattern: str, module: ModuleType | None = None, **more: bool) -> Kind:
    return Kind("bank_account", _form(pattern), _names(name), _check(module), **more)


def _person(name: str, pattern: str, module: ModuleType | None = None, **more: bool) -> Kind:
    return Kind("national_id", _form(pattern), _names(name), _check(module), **more)


CARD = _names("card")
SSN = _names("ssn")
# In order of weight: of two that overlap, the first counts.
KINDS = (
    Kind("iban", _form(IBANS), _names("iban"), iban.is_valid, alone=True, excused=False),
    _card(GROUPED, alone=True, excused=False),
    _card(r"\d{15,16}", alone=True),
    *(_card(_any(count)) for count in ISSUERS),
    Kind("ssn", _form(r"\d{3}([- ])\d\d\1\d{4}(?!\1\d)"), SSN, _may_be_issued, alone=True),
    Kind("ssn", _form(r"\d{3}[ .-]{0,3}\d\d[ .-]{0,3}\d{4}"), SSN),
    _person("fr_nir", r"[12] \d\d \d\d \d[\dab] \d{3} \d{3} \d\d", nir, alone=True),
    _person("fr_nir", r"[12][ .]?\d\d[ .]?\d\d[ .]?\d[\dab][ .]?\d{3}[ .]?\d{3}[ .]?\d\d", nir),
    _person("it_cf", r"[a-z]{6}\d\d[a-z]\d\d[a-z]\d{3}[a-z]", codicefiscale, alone=True),
    _person("mx_curp", r"[a-z]{4}\d{6}[a-z]{6}[a-z\d]\d", curp, alone=True),
    _person("es_dni", r"\d{8}[ -]?[a-z]|\d\d\.\d{3}\.\d{3}[ -]?[a-z]", dni, alone=True),
    _person("es_nie", r"[xyz][ -]?\d{7}[ -]?[a-z]", nie, alone=True),
    _person("br_cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d", cpf, alone=True, excused=False),
    _person("br_cpf", r"\d{3}[ .]?\d{3}[ .]?\d{3}[ -]?\d\d", cpf),
    _person("pt_cc", r"\d{8} \d ?[a-z\d]{2}\d", cc, alone=True),
    _person("pt_cc", r"\d{9}[a-z\d]{2}\d", cc),
    _person("be_nn", r"\d\d\.\d\d\.\d\d-\d{3}[ .]\d\d", nn, alone=True),
    _person("be_nn", _any(11), nn),
    _person("ch_ahv", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d", ahv, alone=True),
    _person("cl_rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dk]", rut, alone=True),
    _person("cl_rut", r"\d{7,8}-?[\dk]", rut),
    _person("gb_ni", r"[a-z]{2} \d\d \d\d \d\d [a-d]"),
    _person("gb_ni", r"[a-z]{2}[ -]?\d\d[ -]?\d\d[ -]?\d\d[ -]?[a-d]"),
    _person("gb_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", nhs),
    _person("ca_sin", r"\d{3}[ -]?\d{3}[ -]?\d{3}", sin),
    _person("in_aadhaar", r"\d{4}[ -]?\d{4}[ -]?\d{4}", aadhaar),
    _person("in_pan", r"[a-z]{5}\d{4}[a-z]", pan),
    _person("ie_pps", r"\d{7}[a-z]{1,2}", pps),
    _person("au_tfn", r"\d{3}[ -]?\d{3}[ -]?\d{2,3}", tfn),
    _person("za_id", r"\d{6}[ -]?\d{4}[ -]?\d{3}", za_idnr),
    _person("us_medicare", r"\d[a-z][a-z\d]\d-?[a-z][a-z\d]\d-?[a-z]{2}\d\d"),
    _person("passport", r"(?=(?:[a-z]*\d){5})[a-z\d]{6,9}"),
    _person("licence", r"(?=(?:[a-z]*\d){5})[a-z\d]{6,16}"),
    _person("de_tax", r"\d\d ?\d{3} ?\d{3} ?\d{3}", idnr),
    _person("de_social", r"\d\d ?\d{6} ?[a-z] ?\d{3}"),
    _person("at_vnr", r"\d{4}[ -]?\d{6}", vnr),
    _person("pt_nif", r"\d{3} ?\d{3} ?\d{3}", nif),
    _person("br_rg", r"\d{1,2}\.?\d{3}\.?\d{3}-?[\dx]"),
    _person("ar_dni", r"\d{2}\.?\d{3}\.?\d{3}"),
    _person("nl_bsn", r"\d{4}\.?\d\d\.?\d{3}", bsn),
    _person("pl_pesel", r"\d{11}", pesel),
    _person("se_pnr", r"(?:\d\d)?\d{6}[-+]?\d{4}", personnummer),
    _person("dk_cpr", r"\d{6}[- ]?\d{4}", cpr),
    _person("no_fnr", r"\d{6}[- ]?\d{5}", fodselsnummer),
    _person("fi_hetu", r"\d{6}[-+a]\d{3}[a-z\d]", hetu),
    _person("tr_tck", r"\d{11}", tckimlik),
    _account("bank_account", r"\d\d-\d{3,4}-\d{7}-\d{2,3}", bankaccount, alone=True),
    _account("bank_account", r"\d{4}([ -])\d{4}\1\d\d[ -]\d{10}", ccc, alone=True),
    _account("bank_account", r"\d{20}", ccc),
    _account("routing", r"\d{4}[ -]?\d{4}[ -]?\d", rtn),
    _account("sort_code", r"\d\d[ -]?\d\d[ -]?\d\d|\d{3}-\d{3}"),
    _account("blz", r"\d{3} ?\d{3} ?\d\d"),
    _account("rib", r"\d{5} ?\d{5} ?[a-z\d]{11} ?\d\d"),
    _account("ifsc", r"[a-z]{4}0[a-z\d]{6}"),
    Kind("bank_account", _form(r"\d{3} ?\d{3} ?\d{11} ?\d"), _names("clabe"), _clabe_holds),
    _account("bank_account", r"\d{4,13}-[\dx]|\d{7,17}"),
)


def personal_numbers(reading: Reading) -> Iterator[Finding]:
    """The numbers of people and accounts in a text, each place once."""
    if sum(map(str.isdigit, reading.plain)) < FEWEST_DIGITS:
        return
    taken: list[range] = []
    for kind in KINDS:
        for found in kind.form.finditer(reading.plain):
            if _is_one(kind, reading.plain, found) and not _overlaps(found, taken):
                taken.append(range(*found.span()))
                yield blocking(kind.code, *reading.span(*found.span()), WORDS[kind.code])


def _is_one(kind: Kind, plain: str, found: re.Match[str]) -> bool:
    named = _last(kind.names, plain, found.start()) if kind.names else None
    if kind.excused and _is_another(plain, found.start(), named):
        return False
    behind = _next(kind.names, plain, found.end()) if kind.names else None
    beside = named is not None and _introduces(plain, named, found.start())
    if kind.trusting and (beside or (behind is not None and IS.match(plain, found.end()))):
        return True
    near = named is not None or behind is not None
    return (kind.alone or near) and kind.checked is not None and kind.checked(found[0])


def _last(names: re.Pattern[str], plain: str, end: int) -> re.Match[str] | None:
    """The last of the names that stand shortly before a place."""
    return max(names.finditer(plain, max(0, end - NEAR), end), key=re.Match.end, default=None)


def _next(names: re.Pattern[str], plain: str, start: int) -> re.Match[str] | None:
    """The first of the names that stand shortly behind a place."""
    return names.search(plain, start, start + AFTER)


def _introduces(plain: str, name: re.Match[str], start: int) -> bool:
    between = plain[name.end() : start]
    return len(between) <= BESIDE and not ANOTHER_THOUGHT.search(between)


def _is_another(plain: str, start: int, named: re.Match[str] | None) -> bool:
    """Whether the text calls it another sort of number, and more closely than by its name."""
    other = _last(OTHER, plain, start)
    if other is None or not _introduces(plain, other, start):
        return False
    return named is None or not (other.end() <= named.start() or _is_within(other, named))


def _is_within(other: re.Match[str], named: re.Match[str]) -> bool:
    """Whether a name has the other as a part, as "sort code" has "code"."""
    return named.start() <= other.start() and other.end() <= named.end()


def _overlaps(found: re.Match[str], taken: list[range]) -> bool:
    return any(found.start() < other.stop and other.start < found.end() for other in taken)
