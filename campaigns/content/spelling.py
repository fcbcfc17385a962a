"""Spelling of a text in its language, by dictionaries that work offline."""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator
from functools import cache

from spellchecker import SpellChecker

from campaigns.content.finding import Finding, warning
from campaigns.content.reading import Reading, plain, table
from campaigns.content.words import without_fixed_parts
from consent.phrases import STOP_WORDS

# The dictionaries of other languages know too few words.
LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt")
OURS = table("words.toml")["spelling"]
SHORTEST = 3
# The Spanish dictionary has no plurals and few forms of verbs, so there the beginning of a word
# counts; German nouns are mostly compounds, which nobody can list.
BY_BEGINNING, BEGINNING, ENDING = "es", 4, 4
NOUNS_HAVE_CAPITALS = "de"
LONGEST = {"de": 12, "nl": 12}  # longer words there are mostly compounds
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
SENTENCE_END = re.compile(r"(?:\A|[.!?:\n…])[\s\"'“„«»¡¿(]*\Z")
ELIDED = re.compile(r"\A(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|un|all|dell|nell|sull|quell)['’]")


@cache
def _dictionary(language: str) -> SpellChecker:
    checker = SpellChecker(language, distance=1)
    checker.word_frequency.load_words(OURS.get(language, []))
    return checker


@cache
def _sorted(language: str) -> list[str]:
    return sorted({plain(word) for word in _dictionary(language)})


@cache
def _stop_words(language: str) -> frozenset[str]:
    written = f"{STOP_WORDS['']} {STOP_WORDS.get(language, '')} {STOP_WORDS['en']}"
    return frozenset(plain(word) for word in re.findall(r"\w+", written))


def misspelt(
    reading: Reading, *, language: str, business: str, known_words: Collection[str]
) -> Iterator[Finding]:
    """Words that the dictionary of the language lacks; of no language but LANGUAGES."""
    if language not in LANGUAGES:
        return
    text = without_fixed_parts(reading, business)
    known = {plain(word) for word in known_words}
    for found in WORD.finditer(text):
        word = found[0]
        if _is_name(text, found, language) or not _is_tried(word, language) or plain(word) in known:
            continue
        if not _is_known(word, language):
            yield warning("spelling", *found.span(), _advice(word.lower(), language))


def _is_name(text: str, found: re.Match[str], language: str) -> bool:
    """Whether a capital stands where no sentence begins, or may be a noun's."""
    if found[0].islower() or language == NOUNS_HAVE_CAPITALS:
        return not found[0].islower()
    return not SENTENCE_END.search(text[max(0, found.start() - 6) : found.start()])


def _is_tried(word: str, language: str) -> bool:
    if any(map(str.isdigit, word)) or (len(word) > 1 and word.isupper()):
        return False
    return SHORTEST <= len(word) <= LONGEST.get(language, 40)


def _is_known(word: str, language: str) -> bool:
    small = word.lower().replace("’", "'")
    checker, bare = _dictionary(language), ELIDED.sub("", small)
    if small in checker or bare in checker or bare.removesuffix("'s") in checker:
        return True
    if language == BY_BEGINNING and _begins_like_a_word(plain(small), language):
        return True
    return plain(small) in _stop_words(language)


def _begins_like_a_word(word: str, language: str) -> bool:
    """Whether a known word begins as this one does up to its ending; short ones always do."""
    beginning = word[: max(BEGINNING, len(word) - ENDING)]
    known = _sorted(language)
    place = bisect_left(known, beginning)
    return len(word) <= BEGINNING or "".join(known[place : place + 1]).startswith(beginning)


@cache
def _advice(word: str, language: str) -> str:
    near = _dictionary(language).correction(word)
    likely = f" Did you mean “{near}”?" if near and near != word else ""
    return f"“{word}” is in no dictionary of this language.{likely}"
