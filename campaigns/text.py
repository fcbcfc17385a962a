"""How a text is written for one person and how many segments it is billed as.

The count is our own and not that of `smsutil` 1.1.3, which gives the empty text one segment and
takes a bare escape character for a letter; where it is right the tests hold the two against each
other.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
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
TWO_UNITS = re.compile(f"[{re.escape(''.join(sorted(GSM_EXTENSION)))}\U00010000-\U0010ffff]")

Encoding = Literal["GSM-7", "UCS-2"]
# Units of a segment that stands alone, and of one of several, which a header makes shorter by six
# octets: 3GPP TS 23.040, 9.2.3.24.1, with the 8-bit reference.
LIMITS: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}

# What is written instead of what forces UCS-2, where Unicode's decomposition does not say it.
LISTED = {
    "'": "‘’‚‛′‵ʹʼ´`‹›",
    '"': "“”„‟″‶«»",
    "-": "‐‒–—―−⁃•‣·",
    " ": "\t",
    "\n": "\u2028\u2029",
    "/": "⁄÷",
    "x": "×",
    "<-": "←",
    "->": "→",
    "=>": "⇒",
    "(c)": "©",
    "(R)": "®",
    "TM": "™",
    "c": "¢",
    "Rs": "₹",
    "a": "ª",
    "o": "º",
    "oe": "œ",
    "OE": "Œ",
    "d": "đð",
    "D": "ĐÐ",
    "h": "ħ",
    "H": "Ħ",
    "i": "ı",
    "l": "ł",
    "L": "Ł",
    "n": "ŋ",
    "N": "Ŋ",
    "t": "ŧ",
    "T": "Ŧ",
    "th": "þ",
    "Th": "Þ",
    "SS": "ẞ",
}
# Latin letters, punctuation, letterlike and enclosed signs, ligatures, full width, "fancy" letters.
DECOMPOSED = (
    (0xA0, 0x24F),
    (0x300, 0x36F),
    (0x1E00, 0x1EFF),
    (0x2000, 0x206F),
    (0x2100, 0x218F),
    (0x2460, 0x24FF),
    (0x3000, 0x3000),
    (0xFB00, 0xFB06),
    (0xFF01, 0xFF5E),
    (0x1D400, 0x1D7FF),
    (0x1F100, 0x1F149),
)
OTHER_MEANING = ("<super>", "<sub>", "<fraction>")  # 5¹ is not 51, and 1½ is not 11/2
MARKS = "\u0300-\u036f"
# What can only be left out: controls, what has no width, arrows without letters, pictures.
LEFT_OUT = (
    f"\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad{MARKS}\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20d0-\u20ff\u2191\u2193-\u21d1\u21d3-\u21ff\u2300-\u23ff\u25a0-\u2775"
    "\u2794-\u27bf\u2b00-\u2bff\ufe00-\ufe0f\ufeff\U0001f000-\U0001f0ff\U0001f18e"
    "\U0001f191-\U0001f1ff\U0001f300-\U0001faff\U000e0000-\U000e007f\U000e0100-\U000e01ef"
)
# A text falls into these: what is left out, with the one space beside it that would be too many;
# a letter with its marks; any other character. Browsers read the same pattern.
PIECES = re.compile(
    f"((?<![^\n])[{LEFT_OUT}]+ ?| ?[{LEFT_OUT}]+(?![^ \n.,!?])|[{LEFT_OUT}]+)"
    f"|[^{MARKS}][{MARKS}]+|[\\s\\S]"
)
EMPTIED = re.compile(r"\| *\}")  # a merge field whose fallback says nothing


class MergeFieldError(ValueError):
    """A template cannot be filled in; the text says what to write instead."""


class UnknownField(MergeFieldError):  # noqa: N818
    """A merge field has a name that is not in FIELDS."""


class UnresolvedField(MergeFieldError):  # noqa: N818
    """A brace belongs to no complete merge field, or a field says nothing for an absent value."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The billed size of a text: units are septets with escapes, or UTF-16 code units."""

    encoding: Encoding
    units: int
    segments: int
    forcing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to write instead of `text[start:end]`; nothing, where it can only be left out."""

    start: int
    end: int
    instead: str


@dataclass(frozen=True, slots=True)
class Worst:
    """The largest measure over many people, and how many of them lack each merge field."""

    measure: Measure
    missing: Mapping[str, int]


def measure(text: str) -> Measure:
    """Count the segments of a text and name the distinct characters that force UCS-2, in order.

    One segment holds 160 septets or 70 UTF-16 units; of several, each holds 153 or 67, and
    neither an escape pair nor a surrogate pair is split (3GPP TS 23.038 and 23.040, 9.2.3.24.1,
    with the 8-bit reference). The empty text is GSM-7 of no segment.
    """
    encoding = _encoding(text)
    forcing = tuple(character for character in dict.fromkeys(text) if character not in GSM)
    return Measure(encoding, sum(_units(text, encoding)), len(parts(text)), forcing)


def parts(text: str) -> tuple[str, ...]:
    """The text of each billed segment, in order; joined they are the text. Limits as `measure`."""
    encoding = _encoding(text)
    units, (alone, joined) = _units(text, encoding), LIMITS[encoding]
    starts = _starts(units, joined if sum(units) > alone else alone)
    return tuple(text[start:end] for start, end in pairwise((*starts, len(text))))


def _encoding(text: str) -> Encoding:
    """One character outside the default alphabet changes them all: 3GPP TS 23.038, 4."""
    return "GSM-7" if GSM.issuperset(text) else "UCS-2"


def _units(text: str, encoding: Encoding) -> list[int]:
    """How many units each character takes: septets with its escape, or UTF-16 code units."""
    if encoding == "GSM-7":
        return [1 + (character in GSM_EXTENSION) for character in text]
    return [1 + (character > "\uffff") for character in text]


def _starts(units: list[int], limit: int) -> Iterator[int]:
    """Where each segment begins: a character that does not fit opens the next."""
    room = 0
    for position, taken in enumerate(units):
        if room < taken:
            yield position
            room = limit
        room -= taken


def suggestions(text: str) -> tuple[Suggestion, ...]:
    """What to write instead of everything that forces UCS-2, in order.

    There are none unless they help: with all of them the text must be GSM-7 (3GPP TS 23.038,
    6.2.1) and take no more segments, and no merge field may lose its fallback. What is left out
    takes a space with it that would stand beside another, at an end or before a full stop.
    """
    if simplified(text) == text:
        return ()
    read = ((piece, _instead(piece)) for piece in PIECES.finditer(text))
    return tuple(Suggestion(*piece.span(), new) for piece, new in read if new != piece[0])


def simplified(text: str) -> str:
    """The text with all its `suggestions` applied; the text itself where there are none."""
    plain = PIECES.sub(_instead, text)
    if not GSM.issuperset(plain) or EMPTIED.search(plain):
        return text
    return plain if len(parts(plain)) <= len(parts(text)) else text


def _instead(piece: re.Match[str]) -> str:
    if piece[1] is not None:
        return ""
    return "".join(INSTEAD.get(letter, letter) for letter in unicodedata.normalize("NFC", piece[0]))


def _letters(character: str, listed: Mapping[str, str]) -> str:
    """What is listed for a character, or else what Unicode composes it of, without marks."""
    if character in GSM or character in listed:
        return listed.get(character, character)
    if unicodedata.combining(character):
        return ""
    composed = unicodedata.decomposition(character).split()
    if not composed or composed[0] in OTHER_MEANING:
        return character
    codes = (code for code in composed if not code.startswith("<"))
    return "".join(_letters(chr(int(code, 16)), listed) for code in codes)


def _table() -> dict[str, str]:
    """Each character that has a stand-in; none of them makes or ends a merge field."""
    listed = {character: new for new, characters in LISTED.items() for character in characters}
    composed = chain.from_iterable(range(first, last + 1) for first, last in DECOMPOSED)
    known = dict.fromkeys((*listed, *map(chr, composed)))
    found = {character: _letters(character, listed) for character in known if character not in GSM}
    return {character: new for character, new in found.items() if GSM - set("{|}") >= set(new)}


INSTEAD = _table()


def for_browser() -> dict[str, str]:
    """The rules of this module as JSON by name, so that a page need not write them again.

    `instead` holds what to write, and with it all the characters that it is written for.
    """
    grouped: dict[str, str] = {}
    for character, new in INSTEAD.items():
        grouped[new] = grouped.get(new, "") + character
    rules = {
        "gsm-basic": "".join(sorted(GSM_BASIC)),
        "gsm-extension": "".join(sorted(GSM_EXTENSION)),
        "limits": LIMITS,
        "instead": grouped,
        "pieces": PIECES.pattern,
        "emptied": EMPTIED.pattern,
        "fields": FIELDS,
        "value-length": VALUE_LENGTH,
    }
    return {name: json.dumps(rule, ensure_ascii=False) for name, rule in rules.items()}


def worst_case(template: str, values: Iterable[Mapping[str, str]]) -> Worst:
    """The largest measure of a template over the merge values of many people, read once.

    Of people with values of one length that need one encoding, only the first is written out, for
    no other differs in size; so memory does not grow with their number. Values with characters of
    two units are each written out, since it matters where a segment ends among them (3GPP TS
    23.040, 9.2.3.24.1). Largest is what has most segments, then UCS-2, then most units. Of nobody
    it is the measure with every fallback. Raises as `render` does.
    """
    names = fields_of(template)
    missing, seen = dict.fromkeys(names, 0), set[tuple[str, ...]]()
    largest: Measure | None = None
    for person in values:
        written = {name: _one_line(person.get(name, "")) for name in names}
        for name in names:
            missing[name] += not written[name]
        shape = tuple(map(_shape, written.values()))
        if shape not in seen or "" in shape:
            seen.add(shape)
            found = measure(render(template, written))
            largest = max(largest or found, found, key=_size)
    return Worst(largest or measure(render(template, {})), missing)


def _shape(value: str) -> str:
    """What of a value matters to the size of a text, or "" where its very characters do."""
    if TWO_UNITS.search(value):
        return ""
    return f"{_encoding(value)} {len(value)}"


def _size(measured: Measure) -> tuple[int, str, int]:
    return measured.segments, measured.encoding, measured.units  # "UCS-2" sorts after "GSM-7"


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
