"""Words that a text should have or should not: of health and money, age-gated goods, shouting."""

import re
from collections.abc import Iterator
from functools import cache

from campaigns.content.finding import Finding, blocking, warning
from campaigns.content.links import links
from campaigns.content.reading import Reading, phrases, plain, table
from campaigns.text import BRACED
from consent.phrases import STOP_WORDS

TABLE = table("words.toml")
FEWEST_LETTERS = 20  # in a shorter text a third is soon reached
STOP = re.compile(r"(?<![\w-])STOP(?!\w)(?! (?:BY|IN|AT|AND|by|in|at|and)\b)")
WORD = re.compile(r"(?<!\w)[^\W\d_]{2,}(?!\w)")
EXCLAMATIONS = re.compile(r"[!！]{2,}|[!！][?？]+[!！]")

PERSONAL = {
    "health": "This tells of a person's health. Take it out, or ask the privacy officer.",
    "finance": "This tells of a person's money. Take it out, or ask the privacy officer.",
}
GATED = {
    "shaft": "Carriers restrict sex, hate, alcohol, firearms and tobacco. Is it allowed, and is "
    "the audience of age?",
    "cannabis": "Carriers refuse cannabis and hemp wherever it is sold. Leave it out.",
}


@cache
def _phrases(name: str, language: str) -> re.Pattern[str]:
    return phrases(TABLE[name][language])


def main_language(language: str) -> str:
    """The first part of a language tag, such as pt of pt-BR."""
    return language.replace("_", "-").partition("-")[0].lower()


# --- what must not stand in it -------------------------------------------------------------------


def personal_matters(reading: Reading) -> Iterator[Finding]:
    """Details of a person's health and money, in whatever language they are."""
    for name, words in PERSONAL.items():
        for language in TABLE[name]:
            for found in _phrases(name, language).finditer(reading.plain):
                yield blocking(name, *reading.span(*found.span()), words, overridable=True)


def gated_goods(reading: Reading, language: str) -> Iterator[Finding]:
    """Words of SHAFT and cannabis in the text's language (CTIA handbook, restricted content)."""
    for name, words in GATED.items():
        known = language if language in TABLE[name] else "en"
        for found in _phrases(name, known).finditer(reading.plain):
            yield warning(name, *reading.span(*found.span()), words)


# --- what must stand in it -----------------------------------------------------------------------


@cache
def _brand(business: str) -> re.Pattern[str] | None:
    words = re.findall(r"\w+", plain(business))
    name = r"\W{0,3}".join(words)
    return re.compile(rf"(?<!\w){name}(?!\w)") if words else None


def missing_brand(reading: Reading, business: str) -> Iterator[Finding]:
    """That the text does not say who sends it (CTIA Messaging Principles, 5.1)."""
    brand = _brand(business)
    if brand and not brand.search(reading.plain):
        yield blocking("brand", 0, 0, "The text does not name the business. Begin with its name.")


def missing_opt_out(reading: Reading, language: str) -> Iterator[Finding]:
    """That the text names no way out, such as a reply of STOP."""
    if _names_a_way_out(reading, language):
        return
    words = "The text names no way out. Add a sentence such as: Reply STOP to end."
    yield blocking("opt_out", len(reading.text), len(reading.text), words)


def _names_a_way_out(reading: Reading, language: str) -> bool:
    if STOP.search(reading.text) and not reading.text.isupper():
        return True
    known = {"", "en", language} & TABLE["opt_out"].keys()
    if any(_phrases("opt_out", name).search(reading.plain) for name in known):
        return True
    return language not in TABLE["opt_out"] and _has_word_of(language, reading.plain)


def _has_word_of(language: str, text: str) -> bool:
    """Whether a word stands in it by which people of that language stop a sender."""
    words = (plain(word.strip()) for word in re.split(r"[|\n]", STOP_WORDS.get(language, "")))
    return any(re.search(rf"(?<!\w){re.escape(word)}", text) for word in words if len(word) > 1)


# --- how loud it is ------------------------------------------------------------------------------


def shouting(reading: Reading, business: str) -> Iterator[Finding]:
    """Too many capitals and exclamation marks, which people and carriers take for spam."""
    yield from _capitals(without_fixed_parts(reading, business))
    marks = EXCLAMATIONS.search(reading.text)
    if marks or len(re.findall(r"[!！]", reading.text)) >= 3:  # noqa: PLR2004
        start, end = marks.span() if marks else (0, len(reading.text))
        yield warning("exclamation", start, end, "One exclamation mark is enough.")


def without_fixed_parts(reading: Reading, business: str) -> str:
    """The text with blanks for links, fields, the brand, codes and words such as STOP."""
    letters = list(reading.text)
    spans = [link.span() for link in links(reading.text)]
    spans += [field.span() for field in BRACED.finditer(reading.text)]
    spans += [word.span() for word in re.finditer(r"\b[A-Z]*(?:STOP|HELP)[A-Z\d]*\b", reading.text)]
    spans += [code.span() for code in re.finditer(r"\w*\d\w*", reading.text)]
    if brand := _brand(business):
        found = brand.finditer(reading.plain)
        spans += [reading.span(*name.span()) for name in found]
    for start, end in spans:
        letters[start:end] = " " * (end - start)
    return "".join(letters)


def _capitals(text: str) -> Iterator[Finding]:
    words = "Write in small letters; capitals read as shouting."
    run = _run_of_capitals(text)
    if run:
        yield warning("capitals", *run, words)
        return
    letters = [letter for letter in text if letter.isalpha()]
    if len(letters) >= FEWEST_LETTERS and sum(map(str.isupper, letters)) * 3 > len(letters):
        yield warning("capitals", 0, len(text), words)


def _run_of_capitals(text: str) -> tuple[int, int] | None:
    """The first four or more words in a row that are all in capitals."""
    run: list[re.Match[str]] = []
    for word in WORD.finditer(text):
        if word[0].isupper():
            run.append(word)
        elif len(run) >= 4:  # noqa: PLR2004
            break
        else:
            run = []
    return (run[0].start(), run[-1].end()) if len(run) >= 4 else None  # noqa: PLR2004
