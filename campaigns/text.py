"""How a text is written for one person and how many segments it is billed as.

The count is our own and not that of `smsutil` 1.1.3, which gives the empty text one segment and
takes a bare escape character for a letter; where it is right the tests hold the two against each
other.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FIELDS = ("first_name",)
VALUE_LENGTH = 40
BRACED = re.compile(r"\{([^{}]*)\}")
STRAY_BRACE = re.compile(r"[{}]")
JOINERS = "\u200c\u200d"  # spelling in Persian and Indic names, though Unicode calls them controls

# 3GPP TS 23.038, 6.2.1: the default alphabet without its escape code, and its extension table.
GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
GSM = GSM_BASIC | GSM_EXTENSION


class MergeFieldError(ValueError):
    """A template cannot be filled in; the text says what to write instead."""


class UnknownField(MergeFieldError):  # noqa: N818
    """A merge field has a name that is not in FIELDS."""


class UnresolvedField(MergeFieldError):  # noqa: N818
    """A brace belongs to no complete merge field, or a field says nothing for an absent value."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The billed size of a text: units are septets with escapes, or UTF-16 code units."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int
    forcing: tuple[str, ...]


def measure(text: str) -> Measure:
    """Count the segments of a text and name the distinct characters that force UCS-2, in order.

    One segment holds 160 septets or 70 UTF-16 units; of several, each holds 153 or 67, and
    neither an escape pair nor a surrogate pair is split (3GPP TS 23.038 and 23.040, 9.2.3.24.1,
    with the 8-bit reference). The empty text is GSM-7 of no segment.
    """
    if GSM.issuperset(text):
        pairs = [character in GSM_EXTENSION for character in text]
        return Measure("GSM-7", len(text) + sum(pairs), _segments(pairs, 160, 153), ())
    forcing = tuple(character for character in dict.fromkeys(text) if character not in GSM)
    pairs = [character > "\uffff" for character in text]
    return Measure("UCS-2", len(text) + sum(pairs), _segments(pairs, 70, 67), forcing)


def _segments(pairs: list[bool], alone: int, joined: int) -> int:
    """Segments of characters of one unit, or of two where `pairs` is true."""
    units = len(pairs) + sum(pairs)
    if units <= alone:
        return min(units, 1)
    segments, room = 1, joined
    for pair in pairs:
        if room < 1 + pair:
            segments, room = segments + 1, joined
        room -= 1 + pair
    return segments


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill the merge fields of a template, written `{first_name|there}`, for one person.

    The words after the bar stand in where the value is missing or blank. Values become one line
    of at most VALUE_LENGTH characters; braces in a value are plain text, for the template is
    read once. Raises UnknownField or UnresolvedField.
    """
    fields_of(template)
    return BRACED.sub(lambda braced: _filled(*_field(braced[1]), values), template)


def fields_of(template: str) -> tuple[str, ...]:
    """The distinct merge fields of a template, in order. Raises as `render` does."""
    names = tuple(dict.fromkeys(_field(written)[0] for written in BRACED.findall(template)))
    if stray := STRAY_BRACE.search(BRACED.sub("", template)):
        raise UnresolvedField(f"A {stray[0]} stands outside any merge field. Take it out.")
    return names


def _filled(name: str, fallback: str, values: Mapping[str, str]) -> str:
    return _one_line(values.get(name, "")) or fallback


def _field(written: str) -> tuple[str, str]:
    name, *fallbacks = written.split("|")
    if name not in FIELDS:
        known = ", ".join(FIELDS)
        raise UnknownField(f"{{{written}}} is not a merge field. There is only: {known}.")
    if len(fallbacks) != 1 or not fallbacks[0].strip():
        raise UnresolvedField(
            f"{{{written}}} must say what to write for people whose {name} is not known, "
            f"such as {{{name}|there}}."
        )
    return name, fallbacks[0]


def _one_line(value: str) -> str:
    visible = "".join(c for c in value if c.isspace() or c in JOINERS or not _is_control(c))
    return " ".join(visible.split())[:VALUE_LENGTH].rstrip()


def _is_control(character: str) -> bool:
    """Control codes, invisible formatting such as reversed writing, and halves of a pair."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs")
