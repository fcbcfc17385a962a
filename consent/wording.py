"""What the wording of an opt-in has to say, and what a given wording leaves out."""

import hashlib
import re
from typing import NamedTuple

NAME = "the business's name"
NO_CONDITION = "that it is not a condition of purchase"
# 47 CFR 64.1200(f)(9): the agreement names the seller and says that it is no condition of purchase.
# Without these two a wording is no evidence of consent to marketing, whoever agreed to it.
ESSENTIAL = (NAME, NO_CONDITION)
ABOUT = "what will be sent"
AGE = "how old one must be ({years})"


class Element(NamedTuple):
    """Something that a wording says, and how that is known in the languages that we know."""

    words: str
    pattern: str


# CTIA Messaging Principles 5.1 and the carriers' rules for the words beside an opt-in form.
ELEMENTS = (
    Element(
        NO_CONDITION,
        r"not (?:a )?(?:required as (?:a )?)?condition (?:of|for) (?:any )?purchas"
        r"|no es (?:una )?condici[oó]n (?:de|para) (?:la |ninguna )?compra"
        r"|pas une condition (?:d['’e]|pour) ?(?:l['’])?achat"
        r"|keine (?:voraus|kauf)?(?:bedingung|setzung)"
        r"|n[aã]o [eé] (?:uma )?condi[cç][aã]o (?:de|para) (?:a )?compra",
    ),
    Element(
        "how often messages come",
        r"\bmsgs?\b.{0,12}/|\bmessages? (?:a|per|every|each) (?:day|week|month|year)\b"
        r"|\brecurring\b|\bfrequency\b|\bmensajes (?:al|por|cada) |\brecurrentes?\b|\bmessages par "
        r"|\bnachrichten (?:pro|im|je) |\bmensagens por |\br[eé]currents?\b",
    ),
    Element(
        "that message and data rates may apply",
        r"(?:msg|message)s? ?(?:&|and) ?data rates may apply|tarifas de (?:mensajes|datos)"
        r"|frais de (?:messagerie|donn[eé]es|message)|(?:nachrichten|daten)(?:kosten|geb[uü]hren)"
        r"|kosten f[uü]r (?:nachrichten|daten)|tarifas de (?:mensagens|dados)",
    ),
    Element("HELP", r"\b(?:HELP|AYUDA|AIDE|HILFE|AJUDA)\b"),
    Element("STOP", r"\b(?:STOP|ALTO|ARR[EÊ]T|STOPP|PARE|SAIR)\b"),
    Element("a link to the terms", r"\b(?:terms|t[eé]rminos|conditions|agb|termos)\b"),
    Element("a link to the privacy policy", r"\b(?:priva\w*|confidentialit[eé]|datenschutz\w*)\b"),
)


def fingerprint(wording: str) -> str:
    """SHA-256 over a wording with its white space evened, as 64 hexadecimal digits."""
    return hashlib.sha256(" ".join(wording.split()).encode()).hexdigest()


def missing(wording: str, *, business: str, about: str = "", least_age: int = 0) -> tuple[str, ...]:
    """The elements that `wording` leaves out, in words; empty if it says everything.

    `about` is what the purpose promises: one of its longer words must occur. `least_age`, in
    years, must be said where the topic needs an age gate (CTIA handbook, age-restricted content).
    """
    lacking = [] if business.casefold() in wording.casefold() else [NAME]
    if about and not _shares_a_word(wording, about):
        lacking.append(ABOUT)
    lacking += [
        element.words
        for element in ELEMENTS
        if not re.search(element.pattern, wording, re.IGNORECASE)
    ]
    if least_age and not re.search(rf"\b{least_age}\b", wording):
        lacking.append(AGE.format(years=least_age))
    return tuple(lacking)


def _shares_a_word(wording: str, about: str) -> bool:
    """Whether a word of four letters or more, or its beginning, stands in both."""
    said = wording.casefold()
    return any(word[:6] in said for word in re.findall(r"\w{4,}", about.casefold()))
