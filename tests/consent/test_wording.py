"""What a wording of an opt-in leaves out, and that a fingerprint tells one wording from another."""

import json
import re
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
IN_OTHER_LANGUAGES = {
    "Spanish": "Acepto recibir ofertas de Harbor Coffee. El consentimiento no es una condición de "
    "compra. Hasta 6 mensajes al mes. Pueden aplicarse tarifas de mensajes y datos. Responda AYUDA "
    "para obtener ayuda. ALTO para cancelar. Términos: harbor.example/t. Privacidad: "
    "harbor.example/p",
    "French": "J'accepte de recevoir les offres de Harbor Coffee. L'accord n'est pas une condition "
    "d\u2019achat. Jusqu'à 6 messages par mois. Des frais de messagerie peuvent s'appliquer. "
    "Répondez AIDE pour de l'aide. ARRÊT pour arrêter. Conditions\u00a0: harbor.example/t. "
    "Confidentialité\u00a0: harbor.example/p",
    "German": "Ich möchte Angebote von Harbor Coffee erhalten. Die Zustimmung ist keine "
    "Voraussetzung für einen Kauf. Bis zu 6 Nachrichten pro Monat. Es können Kosten für "
    "Nachrichten und Daten anfallen. Antworten Sie HILFE für Hilfe. STOPP zum Abmelden. AGB: "
    "harbor.example/t. Datenschutz: harbor.example/p",
    "Portuguese": "Aceito receber ofertas de Harbor Coffee. O consentimento não é uma condição de "
    "compra. Até 6 mensagens por mês. Podem aplicar-se tarifas de mensagens. Responda AJUDA para "
    "ajuda. SAIR para cancelar. Termos: harbor.example/t. Privacidade: harbor.example/p",
}


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
    assert set(missing("")) == {wording.NAME, *(element.words for element in wording.ELEMENTS)}


@pytest.mark.parametrize("language", IN_OTHER_LANGUAGES)
def test_a_wording_in_another_language_that_says_everything_lacks_nothing(language: str) -> None:
    assert missing(IN_OTHER_LANGUAGES[language]) == ()


@pytest.mark.parametrize("language", IN_OTHER_LANGUAGES)
@pytest.mark.parametrize("element", wording.ELEMENTS, ids=lambda element: element.words)
def test_what_another_language_leaves_out_is_named(language: str, element: wording.Element) -> None:
    text = IN_OTHER_LANGUAGES[language]
    kept = [s for s in text.split(". ") if not re.search(element.pattern, s, re.IGNORECASE)]
    assert kept != [text]
    assert element.words in missing(". ".join(kept))


@pytest.mark.parametrize(
    "instead",
    ["messages about sales", "messages and pictures", "answers to frequently asked questions"],
)
def test_words_that_only_begin_like_a_frequency_are_none(instead: str) -> None:
    text = CURRENT.replace("recurring ", "").replace("Up to 6 msgs/month", instead)
    assert missing(text) == ("how often messages come",)


# --- what will be sent, and to whom ------------------------------------------------------------


@pytest.mark.parametrize("about", ["Sales and new products.", "PRODUCTS", "Produce", ""])
def test_a_wording_that_says_what_will_be_sent_lacks_nothing(about: str) -> None:
    assert wording.missing(CURRENT, business=BUSINESS, about=about) == ()


@pytest.mark.parametrize("about", ["Reminders of your table.", "Delivery", "Wine tastings"])
def test_a_wording_about_something_else_says_not_what_will_be_sent(about: str) -> None:
    assert wording.missing(CURRENT, business=BUSINESS, about=about) == ("what will be sent",)


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        ("", ("how old one must be (21)",)),
        ("I am 21 or older.", ()),
        ("I am at least 18.", ("how old one must be (21)",)),
        ("Call 2100.", ("how old one must be (21)",)),
    ],
)
def test_a_topic_with_an_age_gate_wants_the_age_said(said: str, lacks: tuple[str, ...]) -> None:
    assert wording.missing(f"{CURRENT} {said}", business=BUSINESS, least_age=21) == lacks


def test_neither_is_an_essential() -> None:
    assert not {wording.ABOUT, wording.AGE} & set(wording.ESSENTIAL)


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
