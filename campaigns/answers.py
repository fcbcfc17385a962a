"""The fixed texts with which we answer and confirm, by language; none of them advertises."""

import re
import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from consent import links
from consent.models import Purpose

TEXTS = tomllib.loads((Path(__file__).parent / "data" / "answers.toml").read_text("utf-8"))
LINK = re.compile(r"\{(confirm|preferences) ([0-9a-f]{32})\}")


def text(name: str, language: str, **told: str) -> str:
    """The fixed text of that name, in English where we have no other."""
    words = TEXTS.get(language, TEXTS["en"])[name]
    return str(words).format(business=settings.BUSINESS_NAME, help=settings.BUSINESS_HELP, **told)


def of_opt_in(name: str, language: str, purpose: Purpose, *, consent: uuid.UUID) -> str:
    """The confirmation or welcome of one opt-in, with the five things it has to say."""
    words = TEXTS.get(language, TEXTS["en"])
    age = words["age"].format(years=purpose.least_age) if purpose.least_age else ""
    return text(
        name,
        language,
        purpose=purpose.name,
        frequency=str(purpose.frequency),
        period=words[purpose.period],
        age=age,
        confirm=f"{{confirm {consent.hex}}}",
    )


def of_topics(language: str, purposes: Sequence[Purpose]) -> str:
    """The confirmation of a STOP that asks which topic, if any, the person would keep."""
    numbered = (f"{place} {purpose.name}" for place, purpose in enumerate(purposes, start=1))
    return text("topics", language, topics=", ".join(numbered))


def of_help(language: str, purposes: Sequence[Purpose], *, person: uuid.UUID | None) -> str:
    """Who we are, what the person gets and how often, how to get help and how to stop."""
    words = TEXTS.get(language, TEXTS["en"])
    named = "".join(f"{p.name}, {p.frequency}/{words[p.period]}. " for p in purposes)
    link = f" {{preferences {person.hex}}}" if person else ""
    return text("help", language, purposes=named, preferences=link)


def with_links(body: str) -> str:
    """A text as it is sent: a link is signed at the last moment and stands in no table."""
    return LINK.sub(lambda found: links.address(found[1], uuid.UUID(found[2])), body)
