"""What a wording of an opt-in leaves out, and that a fingerprint tells one wording from another."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import wording

SAMPLES = json.loads((Path(__file__).parents[1] / "data" / "agreements.json").read_text())
CURRENT = SAMPLES["current"]
BUSINESS = "Harbor Coffee"

LEFT_OUT = [
    ("from Harbor Coffee ", "the business's name"),
    ("Consent is not a condition of purchase. ", "that it is not a condition of purchase"),
    ("Msg & data rates may apply. ", "that message and data rates may apply"),
    ("HELP for help, ", "HELP"),
    ("STOP to cancel. ", "STOP"),
    ("Terms: harbor.example/terms ", "a link to the terms"),
    ("Privacy: harbor.example/privacy", "a link to the privacy policy"),
]
OTHER_WORDS = [
    ("not a condition of purchase", "not a condition of any purchase"),
    ("not a condition of purchase", "NOT A CONDITION OF PURCHASE"),
    ("6 msgs/month", "6 messages a month"),
    ("Msg & data rates may apply", "Message and data rates may apply"),
    ("Msg & data rates may apply", "Msg&data rates may apply"),
    ("Harbor Coffee", "HARBOR COFFEE"),
]


def missing(text: str) -> tuple[str, ...]:
    return wording.missing(text, business=BUSINESS)


def test_the_current_wording_says_everything() -> None:
    assert missing(CURRENT) == ()


@pytest.mark.parametrize(("words", "element"), LEFT_OUT)
def test_an_element_that_is_left_out_is_named(words: str, element: str) -> None:
    assert words in CURRENT
    assert missing(CURRENT.replace(words, "")) == (element,)


def test_a_promise_of_no_frequency_is_named() -> None:
    text = CURRENT.replace("recurring ", "").replace("Up to 6 msgs/month. ", "")
    assert missing(text) == ("how often messages come",)


@pytest.mark.parametrize(("usual", "other"), OTHER_WORDS)
def test_an_element_in_other_usual_words_counts(usual: str, other: str) -> None:
    assert usual in CURRENT
    assert missing(CURRENT.replace(usual, other)) == ()


def test_the_wording_from_before_2025_lacks_both_essentials() -> None:
    assert set(wording.ESSENTIAL) < set(missing(SAMPLES["before_2025"]))


def test_an_empty_wording_lacks_everything() -> None:
    assert set(missing("")) == {wording.ESSENTIAL[0], *wording.ELEMENTS}


def test_a_condition_of_purchase_is_not_taken_for_its_opposite() -> None:
    text = CURRENT.replace("is not a condition", "is a condition")
    assert missing(text) == ("that it is not a condition of purchase",)


def test_a_stopover_is_no_word_of_how_to_stop() -> None:
    assert "STOP" in missing(CURRENT.replace("STOP", "STOPOVER"))


def test_every_essential_is_an_element_that_can_be_missing() -> None:
    assert set(wording.ESSENTIAL) <= set(missing(""))


@pytest.mark.parametrize("same", [f"  {CURRENT}\n", CURRENT.replace(" ", "\r\n\t", 5)])
def test_white_space_changes_no_fingerprint(same: str) -> None:
    assert wording.fingerprint(same) == wording.fingerprint(CURRENT)


@pytest.mark.parametrize("other", [CURRENT.upper(), CURRENT.replace("6", "60"), CURRENT[:-1], ""])
def test_every_other_change_changes_the_fingerprint(other: str) -> None:
    assert wording.fingerprint(other) != wording.fingerprint(CURRENT)


@given(st.text(), st.text())
def test_two_wordings_share_a_fingerprint_only_if_they_say_the_same(one: str, two: str) -> None:
    alike = wording.fingerprint(one) == wording.fingerprint(two)
    assert alike == (one.split() == two.split())
    assert len(wording.fingerprint(one)) == 64
