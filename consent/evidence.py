"""What proves an opt-in, per way of opting in: what has to be known, and what it can show."""

import hashlib
import json
import secrets
from typing import NamedTuple

LONGEST = 300  # characters of one fact


class Proof(NamedTuple):
    """What a way of opting in demands, and what it shows in a dispute."""

    demands: tuple[str, ...]
    shows: str


# 47 CFR 64.1200(f)(9): a signature may be electronic (E-SIGN, 15 USC 7001): a ticked box, a text, a
# key pressed. The sender must be able to show it (GDPR Art. 7(1); FCC 2012 order).
PROOFS = {
    "web_form": Proof(
        ("ip_address", "user_agent"),
        "Someone at this network address, with this browser, ticked the box beside this wording. "
        "That they held the telephone is shown by the confirmation only.",
    ),
    "keyword": Proof(
        ("reply",),
        "The telephone with this number sent the word that the wording names.",
    ),
    "paper_form": Proof(
        ("scan",),
        "A form with this wording was signed; the scan shows it. That the number on it is the "
        "signer's is shown by the confirmation only.",
    ),
    "restored": Proof(
        ("reply",),
        "The telephone with this number took its own STOP back.",
    ),
}
IN_WORDS = {
    "ip_address": "the network address it came from",
    "user_agent": "the browser it came from",
    "reply": "the person's own message",
    "scan": "a scan of the form",
}


class EvidenceMissing(ValueError):
    """An opt-in without what its method demands; the text names what is missing."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        named = " and ".join(IN_WORDS[fact] for fact in missing)
        super().__init__(f"This way of opting in needs {named}.")
        self.missing = missing


def written(method: str, facts: dict[str, str]) -> str:
    """The facts as they are kept, with a salt, so that a hash of them gives nothing away.

    Raises EvidenceMissing if the method demands a fact that is not there.
    """
    if missing := tuple(fact for fact in PROOFS[method].demands if not facts.get(fact)):
        raise EvidenceMissing(missing)
    return _salted(facts)


def told_by_a_list(facts: dict[str, str]) -> str:
    """What a row of a list tells beyond wording and date, which its reader demands; or nothing."""
    return _salted(facts) if any(facts.values()) else ""


def _salted(facts: dict[str, str]) -> str:
    kept = {name: fact[:LONGEST] for name, fact in facts.items() if fact}
    return json.dumps({**kept, "salt": secrets.token_hex(16)}, ensure_ascii=False)


def commitment(evidence: str) -> str:
    """SHA-256 over written evidence, as 64 hexadecimal digits; "" for none."""
    return hashlib.sha256(evidence.encode()).hexdigest() if evidence else ""
