"""The fixed texts: the same in every language, short, and with no advertising in them."""

import re
import string
import uuid

import pytest

from campaigns import answers
from campaigns.text import measure
from consent.models import Purpose

TEXTS, KEY = answers.TEXTS, uuid.UUID(int=2**127 + 1)
UNITS = {"week", "month", "age"}  # parts of a text, none by themselves
NAMES = sorted(set(TEXTS["en"]) - UNITS)
IN_GSM = ["de", "en", "es", "fr", "pt"]  # every letter of theirs is in the default alphabet
MOST_SEGMENTS = 2
ADVERTISES = re.compile(
    r"%|\$|€|free|gift|sale|discount|deal|save|win|buy|shop|new|best|hurry|today"
    r"|gratis|oferta|descuento|regalo|\bcompra|rebaja|(?<!de )nuev"
    r"|gratuit|offre|remise|cadeau|achet|soldes|(?<!de )nouveau|promo"
    r"|angebot|rabatt|geschenk|kauf|kostenlos|neu|sparen|gewinn"
    r"|desconto|presente|novidade|gr[aá]tis|ganh",
    re.IGNORECASE,
)


def _purpose(**fields):
    usual = {"name": "Coffee offers", "frequency": 6, "period": Purpose.Period.MONTH}
    return Purpose(**{**usual, **fields})


def _as_sent(name, language, **fields):
    """A fixed text as a phone gets it."""
    purpose = _purpose(**fields)
    if name in ("confirm", "welcome"):
        words = answers.of_opt_in(name, language, purpose, consent=KEY)
    elif name == "topics":
        words = answers.of_topics(language, [purpose, _purpose(name="Events")])
    elif name == "help":
        words = answers.of_help(language, [purpose], person=KEY)
    else:
        words = answers.text(name, language, purpose=purpose.name)
    return answers.with_links(words)


every_text = pytest.mark.parametrize(
    ("language", "name"), [(language, name) for language in sorted(TEXTS) for name in NAMES]
)


def _fields(words):
    return {field for _text, field, _spec, _how in string.Formatter().parse(words) if field}


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_every_language_has_every_text(language):
    assert set(TEXTS[language]) == set(TEXTS["en"])


@every_text
def test_a_text_is_filled_with_the_same_in_every_language(language, name):
    assert _fields(TEXTS[language][name]) == _fields(TEXTS["en"][name])


@every_text
def test_a_text_names_the_business_first(language, name):
    assert _as_sent(name, language).startswith("Harbor Coffee: ")


@every_text
def test_nothing_is_left_to_be_filled_in(language, name):
    words = _as_sent(name, language, least_age=21)
    assert not re.search(r"[{}]", words)
    assert "  " not in words
    assert words == words.strip()


@every_text
def test_a_text_advertises_nothing(language, name):
    assert not ADVERTISES.search(TEXTS[language][name])


@pytest.mark.parametrize("words", ["20 % off", "Nur heute: Rabatt", "Oferta especial", "SALE!"])
def test_what_advertises_would_be_seen(words):
    assert ADVERTISES.search(words)


@every_text
def test_a_text_to_a_usual_purpose_is_two_segments_at_most(language, name):
    assert measure(_as_sent(name, language)).segments <= MOST_SEGMENTS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", IN_GSM)
def test_no_letter_halves_what_a_segment_holds(language, name):
    assert measure(_as_sent(name, language, least_age=21)).forcing == ()


def test_every_language_is_looked_at_for_its_letters():
    assert set(IN_GSM) == set(TEXTS)


@every_text
def test_a_text_that_ends_or_begins_something_says_how_to_change_it(language, name):
    wanted = {
        "confirm": {"HELP", "STOP"},
        "welcome": {"HELP", "STOP"},
        "help": {"STOP", "harbor.example/help"},
        "kept": {"STOP"},
        "likely": {"START", "harbor.example/help"},
        "restored": {"HELP", "STOP"},
        "stopped": {"START"},
        "topics": {"1 Coffee offers", "2 Events"},
    }
    words = _as_sent(name, language)
    assert [word for word in wanted[name] if word not in words] == []


@pytest.mark.parametrize("language", sorted(TEXTS))
@pytest.mark.parametrize("name", ["confirm", "welcome"])
def test_an_age_is_told_where_there_is_one(language, name):
    assert "21" in _as_sent(name, language, least_age=21)
    assert "21" not in _as_sent(name, language).partition("http")[0]


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_help_names_every_purpose_and_how_often(language):
    purposes = [_purpose(), _purpose(name="Events", frequency=1, period=Purpose.Period.WEEK)]
    words = answers.of_help(language, purposes, person=None)
    told = TEXTS[language]
    assert f"Coffee offers, 6/{told['month']}. Events, 1/{told['week']}. " in words
    assert "http" not in answers.with_links(words)


def test_a_language_that_is_not_ours_is_answered_in_english():
    assert answers.text("stopped", "fi") == answers.text("stopped", "en")
    assert answers.text("stopped", "") == answers.text("stopped", "en")
