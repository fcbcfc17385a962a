"""What the wording of an opt-in has to say, and what a given wording leaves out."""

import hashlib
import re

# 47 CFR 64.1200(f)(9): the agreement names the seller and says that it is no condition of purchase.
# Without these two a wording is no evidence of consent to marketing, whoever agreed to it.
ESSENTIAL = ("the business's name", "that it is not a condition of purchase")

# CTIA Messaging Principles and the carriers' rules for the words beside an opt-in form.
ELEMENTS = {
    "that it is not a condition of purchase": r"not (?:a )?condition of (?:any )?purchase",
    "how often messages come": r"\bmsgs?\b.{0,12}/|messages? (?:a|per)|recurring|frequency",
    "that message and data rates may apply": r"(?:msg|message)s? ?(?:&|and) ?data rates may apply",
    "HELP": r"\bHELP\b",
    "STOP": r"\bSTOP\b",
    "a link to the terms": r"\bterms\b",
    "a link to the privacy policy": r"\bprivacy\b",
}


def fingerprint(wording: str) -> str:
    """SHA-256 over a wording with its white space evened, as 64 hexadecimal digits."""
    return hashlib.sha256(" ".join(wording.split()).encode()).hexdigest()


def missing(wording: str, *, business: str) -> tuple[str, ...]:
    """The elements that `wording` leaves out, in words; empty if it says everything."""
    named = () if business.casefold() in wording.casefold() else (ESSENTIAL[0],)
    return named + tuple(
        element
        for element, pattern in ELEMENTS.items()
        if not re.search(pattern, wording, re.IGNORECASE)
    )
