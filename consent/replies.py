"""What a reply asks for, read from its words: exact ones, and free sentences that ask for an end.

47 CFR 64.1200(a)(10) names the words that revoke consent by themselves and lets any other revoke
that a reasonable person would understand so; CTIA's and the carriers' lists add some words, and
people use those of their own language. The words are in `phrases`; here is how they are read.
"""

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from consent import phrases
from consent.phrases import Table

LONGEST = 1600  # characters; no carrier delivers more, and the reading stays bounded


class Intent(StrEnum):
    STOP = "stop"
    LIKELY_STOP = "likely_stop"
    START = "start"
    HELP = "help"
    JOIN = "join"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reading:
    """An intent and what told it.

    `reason` is for a clerk and quotes our phrases only; `language` is the ISO 639-1 code of the
    words, empty if they belong to none or to several; `keyword` is the purpose's word among them.
    """

    intent: Intent
    reason: str
    language: str = ""
    keyword: str = ""


# --- one form for all writing --------------------------------------------------------------------


def normal(text: str) -> str:
    """`text` in one case and one form, without accents of Latin letters, marks, emoji or signs."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("ı", "i")  # Turkish
    words = "".join(_plain(sign) for sign in folded)
    return " ".join(_without_latin_accents(words).split())


def _plain(sign: str) -> str:
    category = unicodedata.category(sign)
    if category[0] in "LM" or category == "Nd":
        return "" if sign == "\ufe0f" else sign
    return "" if category == "Cf" or sign in "'’-" else " "


def _without_latin_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    # A mark on nothing is what NFKC leaves of "´" or "‗"; the others choose the look of an emoji.
    bare = re.sub(r"(^|[a-z\s])[\u0300-\u036f\ufe0e\ufe0f\u20e3]+", r"\1", parts)
    return unicodedata.normalize("NFC", bare)


# Between clauses of a sentence that is read as a whole stands one of these.
PAUSE, BREAK = ",", "|"
CLAUSE_ENDS = re.compile(r"[,|]")
MARKS = re.compile(r"([,،、，])|([.!?;:…\n\r。！？；：؟।]+)")  # a comma or the end of a clause
HYPHENS = str.maketrans({"-": " ", "‐": " ", "‑": " ", "#": " number "})


def _clauses(text: str) -> str:
    """The normal form of each clause, with a PAUSE for a comma and a BREAK for a full stop."""
    parts = MARKS.split(text.translate(HYPHENS))
    words = [normal(parts[0])]
    for comma, clause in zip(parts[1::3], parts[3::3], strict=True):
        words += [PAUSE if comma else BREAK, normal(clause)]
    return " ".join(word for word in words if word)[:LONGEST]


# --- exact words ---------------------------------------------------------------------------------


def _split(words: str) -> list[str]:
    return [phrase.strip() for phrase in re.split(r"[|\n]", words) if phrase.strip()]


def _languages(table: Table) -> dict[str, str]:
    """Each phrase of `table` in its normal form, to its language; to none if it has several."""
    found: dict[str, str] = {}
    for language, words in table.items():
        for phrase in map(normal, _split(words)):
            found[phrase] = language if found.get(phrase, language) == language else ""
    return found


WORDS = {
    Intent.STOP: _languages(phrases.STOP_WORDS),
    Intent.HELP: _languages(phrases.HELP_WORDS),
    Intent.START: _languages(phrases.START_WORDS),
}
PHRASES = {intent: frozenset(words) for intent, words in WORDS.items()}
MISSPELT = _languages(phrases.MISSPELT)
JOINING = _languages(phrases.JOIN_WORDS)
YES = _languages(phrases.YES_WORDS)
WEAK = frozenset(map(normal, _split(phrases.WEAK_WORDS)))
COURTESY = sorted(map(normal, _split(phrases.COURTESY)), key=len, reverse=True)
POLITE = re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, COURTESY))})(?!\S)")
LONG_DRAWN = re.compile(r"([^\W\d])\1\1+")


def _bare(said: str) -> str:
    """`said` without courtesy, repetition, letters drawn out or spelled: STOOOP, s t o p."""
    words = LONG_DRAWN.sub(r"\1", POLITE.sub(" ", said)).split()
    if len(words) > 1 and max(map(len, words)) == 1:
        return "".join(words)
    return words[0] if len(set(words)) == 1 else " ".join(words)


# --- sentences -----------------------------------------------------------------------------------

# Every repeat is bounded or possessive, so that no text makes the search wander.
STRUCK_OUT = "_"  # stands for what OTHER_MEANINGS took away; no normal text holds it
SETS = {f"{{{name}}}": words for name, words in phrases.SETS.items()}
UNSPACED = ("zh", "ja", "ko")


@dataclass(frozen=True, slots=True)
class Script:
    """How words, and the clauses that they make, stand beside each other in writing."""

    between: str
    gap: str
    edges: tuple[str, str]
    clause: tuple[str, str]


SPACED = Script(
    between="(?: ,)? ",
    gap=r"(?:[^\s|,_]{1,40}+(?: ,)? ){0,4}",
    edges=(r"(?<!\S)", r"(?!\S)"),
    clause=(r"(?:^|(?<=[|,] ))", r"(?=$| [|,])"),
)
ONE_BREATH = replace(SPACED, between=" ", gap=r"(?:[^\s|,_]{1,40}+ ){0,4}")
RUN_TOGETHER = Script(
    between="", gap="[^|_]{0,8}", edges=("", ""), clause=(r"(?:^|(?<=[|,]))", r"(?=$|[|,])")
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A compiled pattern of `phrases` with its language and an example to show a clerk."""

    found_in: re.Pattern[str]
    language: str
    example: str


def _script(language: str) -> Script:
    return RUN_TOGETHER if language in UNSPACED else SPACED


def _script_in_one_breath(language: str) -> Script:
    """So that “no, stop texting me” is not taken for “no stop”."""
    return RUN_TOGETHER if language in UNSPACED else ONE_BREATH


def _sentences(table: Table, script_of: Callable[[str], Script] = _script) -> tuple[Sentence, ...]:
    return tuple(
        Sentence(re.compile(_expression(pattern, script_of(language))), language, _example(pattern))
        for language, patterns in table.items()
        for pattern in _split(patterns)
    )


def _expression(pattern: str, script: Script) -> str:
    """The regular expression of a pattern of `phrases`."""
    *first, last = _words(pattern)
    begin, end = script.edges
    body = "".join(_element(word, script) for word in first)
    start = script.clause[0] if pattern.startswith("^") else ""
    finish = script.clause[1] if pattern.endswith("$") else ""
    return f"{begin}{start}{body}{_choices(last, script)}{end}{finish}"


def _words(pattern: str) -> list[str]:
    return [word for word in pattern.split() if word not in ("^", "$")]


def _element(word: str, script: Script) -> str:
    if word == "..":
        return script.gap
    if word.endswith("?"):
        return f"(?:{_choices(word[:-1], script)}{script.between})?"
    return _choices(word, script) + script.between


def _choices(word: str, script: Script) -> str:
    for name, words in SETS.items():
        word = word.replace(name, words)
    return f"(?:{'|'.join(_choice(choice, script) for choice in word.split('/'))})"


def _choice(choice: str, script: Script) -> str:
    pieces = (
        r"\S{0,30}".join(re.escape(normal(piece)) for piece in word.split("*"))
        for word in choice.split("_")
    )
    return script.between.join(pieces)


def _example(pattern: str) -> str:
    """A pattern's first choices, for people: it holds our words only."""
    words = (word for word in _words(pattern) if not word.endswith("?"))
    return " ".join(_first(word) for word in words)


def _first(word: str) -> str:
    if word == "..":
        return "…"
    name = word.partition("/")[0]
    return SETS.get(name, name).partition("/")[0].replace("_", " ").replace("*", "…")


@dataclass(frozen=True, slots=True)
class Heard:
    """One text in the forms that the rules look at."""

    text: str
    exact: str  # its normal form
    bare: str  # that without courtesy
    clauses: str
    run_together: str  # the clauses, for scripts that put no space between words
    keywords: dict[str, str]  # the purposes' words in their normal form, to how they are written

    @classmethod
    def of(cls, text: str, keywords: Collection[str]) -> "Heard":
        purposes = {normal(keyword): keyword for keyword in keywords if normal(keyword)}
        exact, clauses = normal(text), _clauses(text)
        if all(len(clause.split()) < 2 for clause in CLAUSE_ENDS.split(clauses)):
            clauses = f"{clauses} {BREAK} {exact}"  # Don't. Text. Me.
        return cls(text, exact, _bare(exact), clauses, clauses.replace(" ", ""), purposes)

    def holds(self, sentence: Sentence) -> bool:
        said = self.run_together if sentence.language in UNSPACED else self.clauses
        return sentence.found_in.search(said) is not None

    def without_other_meanings(self) -> "Heard":
        """What is left when all that only sounds like a stop is struck out."""
        spaced, together = self.clauses, self.run_together
        for sentence in OTHER_MEANINGS:
            if sentence.language in UNSPACED:
                together = sentence.found_in.sub(STRUCK_OUT, together)
            else:
                spaced = sentence.found_in.sub(STRUCK_OUT, spaced)
        return replace(self, clauses=spaced, run_together=together)


# --- rules ---------------------------------------------------------------------------------------

QUOTES_OPEN = re.compile(r'["“„«「『]')
QUOTES_CLOSE = ('"', "“", "”", "»", "」", "』")
LONGEST_REACTION = 80  # characters before the quoted message
TAPBACKS = _sentences(phrases.TAPBACKS)
OTHER_MEANINGS = _sentences(phrases.OTHER_MEANINGS, _script_in_one_breath)
DESPITE_ALL = {
    Intent.STOP: _sentences(phrases.STOP_DESPITE_ALL),
    Intent.LIKELY_STOP: _sentences(phrases.MAY_STOP_DESPITE_ALL),
}
SENTENCES = {
    Intent.STOP: _sentences(phrases.STOP_SENTENCES),
    Intent.LIKELY_STOP: _sentences(phrases.MAY_BE_STOPS),
}
ASKS = {Intent.STOP: "asks to stop", Intent.LIKELY_STOP: "may be asking to stop"}
REACTION = Reading(Intent.NONE, "a phone's reaction to a message, which quotes our own words")
CONFIRMING = Reading(Intent.NONE, "a yes: it confirms an opt-in that waits and restores nothing")
NOTHING = Reading(Intent.NONE, "none of the words that ask for something")


def read(text: str, *, keywords: Collection[str] = ()) -> Reading:
    """What `text` asks for; whatever else it says, a stop in it comes first.

    `keywords` are the purposes' own words; none of them overrides a word that stops or asks for
    help. Only the first `LONGEST` characters are read. Source: 47 CFR 64.1200(a)(10), CTIA 5.1.3.
    """
    heard = Heard.of(text[:LONGEST], keywords)
    readings = (rule(heard) for rule in RULES)
    return next((reading for reading in readings if reading), NOTHING)


def says_yes(text: str) -> bool:
    """Whether `text` is a yes alone, not asked: it confirms a waiting opt-in, nothing more."""
    return normal(text) in YES and not any(sign in text for sign in "?？؟")


def _reaction(heard: Heard) -> Reading | None:
    text = heard.text.strip()
    if not text.endswith(QUOTES_CLOSE):
        return None
    opened = QUOTES_OPEN.finditer(text, 0, LONGEST_REACTION)
    return REACTION if any(_reacts(text[: quote.start()]) for quote in opened) else None


def _reacts(said: str) -> bool:
    told = normal(said)
    return any(known.found_in.fullmatch(told) for known in TAPBACKS)


def _exact_stop(heard: Heard) -> Reading | None:
    return _exact(heard, Intent.STOP) or _misspelt(heard)


def _exact(heard: Heard, intent: Intent) -> Reading | None:
    known = WORDS[intent]
    for said in (heard.exact, heard.bare):
        if said in known:
            return Reading(intent, f"the words “{said}”", known[said])
    several = heard.bare.split()
    if several and all(word in known for word in several):
        return Reading(intent, f"the words “{heard.bare}”")
    return None


def _misspelt(heard: Heard) -> Reading | None:
    if heard.bare in MISSPELT:
        return Reading(Intent.STOP, f"a misspelt word, “{heard.bare}”", MISSPELT[heard.bare])
    return None


def _stop_of_a_purpose(heard: Heard) -> Reading | None:
    """A stop word before a purpose's; one with many uses may be about an order."""
    words = WORDS[Intent.STOP]
    for wanted, keyword in heard.keywords.items():
        said = heard.bare.removesuffix(f" {wanted}")
        if said != heard.bare and said in words:
            intent = Intent.LIKELY_STOP if said in WEAK else Intent.STOP
            return Reading(intent, f"the words “{said} {keyword}”", words[said], keyword)
    return None


def _stop_despite_a_negation(heard: Heard) -> Reading | None:
    return _sentence(heard, DESPITE_ALL)


def _stop_sentence(heard: Heard) -> Reading | None:
    meant = heard.without_other_meanings()
    return (
        _sentence(meant, {Intent.STOP: SENTENCES[Intent.STOP]})
        or _clause(meant)
        or _sentence(meant, {Intent.LIKELY_STOP: SENTENCES[Intent.LIKELY_STOP]})
    )


def _sentence(heard: Heard, table: dict[Intent, tuple[Sentence, ...]]) -> Reading | None:
    for intent, sentences in table.items():
        for sentence in filter(heard.holds, sentences):
            reason = f"{ASKS[intent]}, as in “{sentence.example}”"
            return Reading(intent, reason, sentence.language)
    return None


def _clause(heard: Heard) -> Reading | None:
    """A stop word that is a whole clause; one that has other meanings may be about them."""
    words = WORDS[Intent.STOP]
    said = [clause for clause in map(_bare, CLAUSE_ENDS.split(heard.clauses)) if clause in words]
    if not said:
        return None
    plain = next((word for word in said if word not in WEAK), None)
    intent = Intent.STOP if plain else Intent.LIKELY_STOP
    word = plain or said[0]
    return Reading(intent, f"{ASKS[intent]}: “{word}” among other words", words[word])


def _help(heard: Heard) -> Reading | None:
    clauses = map(_bare, CLAUSE_ENDS.split(heard.clauses))
    first = next((clause for clause in clauses if clause in WORDS[Intent.HELP]), None)
    asked = replace(heard, bare=first) if first else heard
    return _exact(asked, Intent.HELP)


def _start(heard: Heard) -> Reading | None:
    return _exact(heard, Intent.START)


def _yes(heard: Heard) -> Reading | None:
    return CONFIRMING if says_yes(heard.text) else None


def _join(heard: Heard) -> Reading | None:
    if heard.bare in JOINING:
        return Reading(Intent.JOIN, f"the words “{heard.bare}”", JOINING[heard.bare])
    first, _, rest = heard.exact.partition(" ")
    keyword = heard.keywords.get(heard.exact) or (
        heard.keywords.get(rest) if first in JOINING else ""
    )
    return Reading(Intent.JOIN, f"the purpose's word “{keyword}”", "", keyword) if keyword else None


RULES: tuple[Callable[[Heard], Reading | None], ...] = (
    _reaction,
    _exact_stop,
    _stop_of_a_purpose,
    _stop_despite_a_negation,
    _stop_sentence,
    _help,
    _start,
    _yes,
    _join,
)
