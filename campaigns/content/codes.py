"""Passwords and one-time codes: a word that names the secret, and a value that can be one."""

import re
from collections.abc import Iterator

from campaigns.content.finding import Finding, blocking
from campaigns.content.numbers import NAMES
from campaigns.content.reading import Reading, phrases

ENTRY_WORDS = "This reads as a password or PIN. Take it out; nobody should get one by text."
CODE_WORDS = (
    "This reads as a one-time code of one person, which has no place in marketing. Take it out, or "
    "call it what it is, such as a discount code."
)


def _names(name: str) -> re.Pattern[str]:
    return phrases(NAMES[name])


PASSWORD, CLUE = _names("password"), _names("clue")
NOT_SHARED, BARGAIN = _names("not_to_share"), _names("bargain")
STRONG, WEAK = _names("one_time_code"), _names("weak_code")
IS = r"(?:is|es|e|est|ist|lautet|was)\b"
AFTER_NAME = re.compile(
    rf"\s{{0,2}}(?P<joint>[:=]|{IS}\s?:?|)\s{{0,2}}[\"'“„«]?\s?(?P<value>[^\s\"'”»]{{4,64}})"
)
PIN = re.compile(
    r"(?<!\w)(?P<whose>(?:your|tu|su|ihre?|deine?|votre|ton|seu|sua)\s)?pin(?:\s(?:code|number|no))?"
    rf"\s?(?P<joint>[:=]|{IS}|)\s{{0,2}}(?P<value>\d{{4,8}})(?![\w%])"
)
VALUE = re.compile(
    r"(?<![\w$€£#@/])(?<!\d[ .,:-])(?:g-)?(?:\d{4,8}|\d{3}[ -]\d{3,4})(?![\w%]|[ .,:-]\d)"
)
SIX = re.compile(r"(?<![\w$€£#@/])(?<!\d[ .,:-])\d{6}(?![\w%]|[ .,:-]\d)")
HARMLESS = re.compile(r"(?:required|needed|none|forgotten|forgot|reset|optional|protected|lost)\b")
GAP_AFTER = re.compile(r"[^\d!?;\n]{0,25}\Z")
GAP_BEFORE = re.compile(r"[^\d.!?;\n]{0,32}\Z")
BEFORE = re.compile(r"\s(?:is|as|es|como|est|comme|ist|als|e)\s|\s?[(=]")


def secrets_of_signing_in(reading: Reading) -> Iterator[Finding]:
    """The passwords, PINs and one-time codes in a text."""
    codes = sorted(_one_time_codes(reading.plain))
    for start, end in codes:
        yield blocking("one_time_code", *reading.span(start, end), CODE_WORDS)
    for start, end in sorted(_passwords(reading.plain)):
        if not any(start < other_end and other < end for other, other_end in codes):
            yield blocking("password", *reading.span(start, end), ENTRY_WORDS)


def _passwords(plain: str) -> set[tuple[int, int]]:
    words = {
        found.span("value")
        for names, plain_too in ((PASSWORD, True), (CLUE, False))
        for name in names.finditer(plain)
        if (found := AFTER_NAME.match(plain, name.end())) and _is_secret(found, plain_too)
    }
    pins = (pin for pin in PIN.finditer(plain) if pin["whose"] or pin["joint"])
    return words | {pin.span("value") for pin in pins}


def _is_secret(found: re.Match[str], plain_too: bool) -> bool:
    """Whether what follows the name can be a password; plain words can after a colon only."""
    value, joint = found["value"].rstrip(".,;!?)"), found["joint"]
    digits = any(map(str.isdigit, value))
    if not joint:
        return len(value) > 4 and digits and any(map(str.isalpha, value))
    odd = digits or re.search(r"[^\w'-]", value) is not None
    return odd or (plain_too and joint in ":=" and len(value) > 3 and not HARMLESS.match(value))


def _one_time_codes(plain: str) -> set[tuple[int, int]]:
    found = {value.span() for value in VALUE.finditer(plain) if _named(STRONG, plain, value)}
    if BARGAIN.search(plain):
        return found
    found |= {value.span() for value in VALUE.finditer(plain) if _named(WEAK, plain, value)}
    if NOT_SHARED.search(plain):
        found |= {value.span() for value in SIX.finditer(plain)}
    return found


def _named(names: re.Pattern[str], plain: str, value: re.Match[str]) -> bool:
    """Whether a name stands just before the value, or behind it after a verb."""
    before = names.finditer(plain, max(0, value.start() - 70), value.start())
    if any(GAP_AFTER.match(plain[name.end() : value.start()]) for name in before):
        return True
    behind = names.search(plain, value.end(), value.end() + 70)
    if behind is None or not BEFORE.match(plain, value.end()):
        return False
    return GAP_BEFORE.match(plain[value.end() : behind.start()]) is not None
