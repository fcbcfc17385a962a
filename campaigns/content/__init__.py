"""What must not, or had better not, stand in a marketing text, found before it is approved."""

import re
from collections.abc import Collection, Iterator

from campaigns.content.codes import secrets_of_signing_in
from campaigns.content.finding import Finding, Severity, blocking, warning
from campaigns.content.links import foreign_links
from campaigns.content.numbers import personal_numbers
from campaigns.content.reading import Reading, read
from campaigns.content.spelling import misspelt
from campaigns.content.words import (
    gated_goods,
    main_language,
    missing_brand,
    missing_opt_out,
    personal_matters,
    shouting,
)
from campaigns.text import (
    BRACED,
    STRAY_BRACE,
    MergeFieldError,
    UnknownField,
    fields_of,
    measure,
    render,
)

__all__ = ["Finding", "Severity", "findings"]

# Fields as other systems write them, which would be sent as they stand.
FOREIGN_FIELD = re.compile(
    r"\*\|\w+\|\*|%%?(?:first_?name|last_?name|fname|lname|name)%%?|<<\s?\w+\s?>>"
    r"|\[(?:first|last|full|customer)?[ _-]?name\]",
    re.IGNORECASE,
)
UNKNOWN = "This is no merge field. Write {first_name|there}, or take the braces out."
INCOMPLETE = "Say what stands here for people whose name is not known: {first_name|there}."
STRAY = "This brace belongs to no merge field. Take it out."
FOREIGN = "This would be sent as it stands. Write {first_name|there} instead."


def findings(
    text: str,
    *,
    language: str,
    business: str,
    opt_out_wanted: bool,
    domains: Collection[str] | None,
    known_words: Collection[str] = (),
    most_segments: int = 3,
) -> list[Finding]:
    """All that is wrong with a text as it is written, in the order of its places.

    `language` is an ISO 639-1 code or a tag that begins with one; it chooses the dictionary and
    the words of warnings, while secrets are looked for in every language that we know. A link is
    inside if its host is one of `domains` or below one; None leaves that open. `known_words` are
    spelt rightly. More billed segments than `most_segments` bring a warning. Raises nothing for
    any text. Sources: CTIA Messaging Principles 5.1 and 5.3; PCI DSS v4.0, 4.2.2; GDPR Art. 5.
    """
    reading, spoken = read(text), main_language(language)
    found = [
        *_told_by_form(reading, domains),
        *personal_matters(reading),
        *gated_goods(reading, spoken),
        *missing_brand(reading, business),
        *(missing_opt_out(reading, spoken) if opt_out_wanted else ()),
        *shouting(reading, business),
        *misspelt(reading, language=spoken, business=business, known_words=known_words),
        *_size(text, most_segments),
    ]
    return sorted(set(found), key=lambda one: (one.start, one.end, one.severity, one.code))


def _told_by_form(reading: Reading, domains: Collection[str] | None) -> Iterator[Finding]:
    """Numbers, secrets, links and fields; a secret that is a number counts as the number."""
    numbers = list(personal_numbers(reading))
    yield from numbers
    for secret in secrets_of_signing_in(reading):
        if not any(secret.start < one.end and one.start < secret.end for one in numbers):
            yield secret
    yield from foreign_links(reading.text, domains)
    yield from _wrong_fields(reading.text)


def _wrong_fields(text: str) -> Iterator[Finding]:
    for braced in BRACED.finditer(text):
        if words := _wrong_with(braced[0]):
            yield blocking("field", *braced.span(), words)
    blanked = BRACED.sub(lambda braced: " " * len(braced[0]), text)
    for stray in STRAY_BRACE.finditer(blanked):
        yield blocking("field", *stray.span(), STRAY)
    for foreign in FOREIGN_FIELD.finditer(text):
        yield blocking("field", *foreign.span(), FOREIGN)


def _wrong_with(field: str) -> str:
    """What is wrong with one braced field; empty if nothing is."""
    try:
        fields_of(field)
    except UnknownField:
        return UNKNOWN
    except MergeFieldError:
        return INCOMPLETE
    return ""


def _size(text: str, most_segments: int) -> Iterator[Finding]:
    """That the text is billed as more segments than wished, its fields filled with their words."""
    try:
        written = render(text, {})
    except MergeFieldError:
        written = text
    if measure(written).segments > most_segments:
        words = "The text is billed as more segments than you wished. Make it shorter."
        yield warning("segments", 0, len(text), words)
