"""How a text is read before it is searched: one case, one form of each sign, and its places kept.

Zero-width signs, full-width digits, odd spaces and dashes all look plain to the person who gets
the text, so they hide nothing here either.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DATA = Path(__file__).parent.parent / "data" / "content"
SIGNS = {"Pd": "-", "Zs": " ", "Cf": "", "Mn": "", "Me": ""}  # by Unicode's general category
QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "‚": "'"})


@dataclass(frozen=True, slots=True)
class Reading:
    """A text in plain signs; `places[i]` is where the sign `plain[i]` stands in the text."""

    text: str
    plain: str
    places: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The places in the text of plain[start:end], which is not empty."""
        return self.places[start], self.places[end - 1] + 1


def read(text: str) -> Reading:
    """The reading of any text, also of an empty one."""
    if text.isascii():
        return Reading(text, text.lower(), tuple(range(len(text))))
    signs = [(sign, place) for place, letter in enumerate(text) for sign in _plain(letter)]
    return Reading(text, "".join(s for s, _ in signs), tuple(place for _, place in signs))


def plain(text: str) -> str:
    """`text` in plain signs, for comparison with a reading."""
    return "".join(map(_plain, text))


@lru_cache(maxsize=4096)
def _plain(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", letter.casefold().translate(QUOTES))
    return "".join(map(_sign, parts)).casefold()


def _sign(part: str) -> str:
    digit = unicodedata.decimal(part, None)
    return SIGNS.get(unicodedata.category(part), part) if digit is None else str(digit)


def table(name: str) -> Mapping[str, Mapping[str, list[str]]]:
    """A table of phrases of ours."""
    return tomllib.loads((DATA / name).read_text("utf-8"))


def listed(name: str) -> frozenset[str]:
    """The words of a list of ours; lines that begin with "#" are remarks."""
    lines = (DATA / name).read_text("utf-8").splitlines()
    return frozenset(word for line in lines if line[:1] != "#" for word in line.split())


def phrases(written: Iterable[str]) -> re.Pattern[str]:
    """A pattern for whole words in a plain text, from phrases as words.toml describes them."""
    each = (re.sub(r"(?<=\w)\*", r"\\w*", phrase) for phrase in written)
    gaps = "|".join(phrase.replace(" ", r"(?:\W{1,3})") for phrase in each)
    return re.compile(rf"(?<!\w)(?:{gaps})(?!\w)")
