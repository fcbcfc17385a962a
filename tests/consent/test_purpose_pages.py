"""The page that adds a purpose: what it promises, its words, and the addresses to link to."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from audit import roles
from audit.models import Entry, Operator
from consent import purposes
from consent.models import Purpose
from tests.conftest import AT

LIST = "/admin/consent/purpose/"
ADD = f"{LIST}add/"
TYPED = {
    "code": "tastings",
    "name": "Tastings",
    "promise": "Invitations to taste new beans.",
    "frequency": "2",
    "period": "month",
    "languages": "en es",
    "keywords": "BEANS TASTE",
    "least_age": "0",
    "double_opt_in": "on",
    "confirm_within": "14",
}
# What these words ask for already, in any of our languages.
TAKEN = [
    *("STOP", "STOPALL", "QUIT", "END", "CANCEL", "REVOKE", "OPTOUT", "UNSUBSCRIBE"),
    *("ALTO", "PARE", "BAJA", "STOPP", "ARRET", "START", "UNSTOP", "HELP", "INFO", "AYUDA"),
    *("YES", "SI", "OUI", "JA"),
]
Browser = Callable[..., Client]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def officer(signed_in: Browser) -> Client:
    return signed_in(roles.PRIVACY_OFFICER)


@pytest.fixture
def define(db: None) -> Callable[..., Purpose]:
    def defined(**more: Any) -> Purpose:
        usual = {"code": "sales", "name": "Sales", "promise": "Sales.", "frequency": 1}
        told = {"period": Purpose.Period.WEEK, "double_opt_in": True, "by": "command", "at": AT}
        return purposes.define(**{**usual, **told, **more})

    return defined


def errors(answer: Any) -> dict[str, str]:
    """What stands beside each field."""
    assert answer.status_code == 200
    said = answer.context["adminform"].errors
    return {name: " ".join(lines) for name, lines in said.items()}


def test_a_purpose_is_defined_as_it_was_typed_in(
    officer: Client, operators: Callable[..., Operator]
) -> None:
    answer = officer.post(ADD, TYPED)
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    purpose = Purpose.objects.get()
    assert (purpose.code, purpose.name, purpose.promise) == (
        "tastings",
        "Tastings",
        "Invitations to taste new beans.",
    )
    assert (purpose.frequency, purpose.period) == (2, Purpose.Period.MONTH)
    assert (purpose.languages, purpose.keywords) == ("en es", "BEANS TASTE")
    assert (purpose.least_age, purpose.double_opt_in, purpose.confirm_within) == (0, True, 14)
    entry = Entry.objects.get(verb="purpose.defined")
    assert entry.actor == f"operator:{operators(roles.PRIVACY_OFFICER).pk}"
    assert entry.subject == f"purpose:{purpose.pk}"


def test_a_confirmation_is_asked_for_unless_somebody_says_no(officer: Client) -> None:
    assert officer.get(ADD).context["adminform"].form.initial.get("double_opt_in", True)
    officer.post(ADD, {**TYPED, "double_opt_in": ""})
    assert Purpose.objects.get().double_opt_in is False


# --- keywords ----------------------------------------------------------------------------------


@pytest.mark.parametrize("word", TAKEN)
def test_a_word_that_asks_for_something_else_is_refused_and_named(
    officer: Client, word: str
) -> None:
    told = errors(officer.post(ADD, {**TYPED, "keywords": f"BEANS {word}"}))
    assert told == {"keywords": f"{word} asks for something else; choose another."}
    assert not Purpose.objects.exists()


def test_a_word_that_joins_another_purpose_is_refused(
    officer: Client, define: Callable[..., Purpose]
) -> None:
    define(keywords="SALE DEALS")
    told = errors(officer.post(ADD, {**TYPED, "keywords": "BEANS DEALS"}))
    assert told == {"keywords": "DEALS joins another purpose already."}
    assert Purpose.objects.count() == 1


def test_join_is_everybodys_word(officer: Client) -> None:
    assert set(errors(officer.post(ADD, {**TYPED, "keywords": "JOIN"}))) == {"keywords"}


@pytest.mark.parametrize(
    "keywords", ["sale", "SALE,DEALS", "SALE  DEALS", "S", "SALE!", "É2", "X" * 21, "A1 " * 60]
)
def test_keywords_in_a_wrong_form_are_refused(officer: Client, keywords: str) -> None:
    assert set(errors(officer.post(ADD, {**TYPED, "keywords": keywords}))) == {"keywords"}


def test_a_purpose_needs_no_keywords(officer: Client) -> None:
    assert officer.post(ADD, {**TYPED, "keywords": ""}).status_code == 302


def test_the_verb_itself_refuses_a_word_that_is_taken(define: Callable[..., Purpose]) -> None:
    define(keywords="SALE")
    for word in ("SALE", "STOP", "JOIN"):
        with pytest.raises(ValidationError, match=word):
            define(code="other", keywords=word)
    assert Purpose.objects.count() == 1


# --- the other fields --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        *(
            ("languages", wrong)
            for wrong in ("", "English", "EN", "en,es", "en  es", "e", "xx " * 30)
        ),
        *(("code", wrong) for wrong in ("", "two words", "é", "x" * 51)),
        *(("name", wrong) for wrong in ("", "x" * 81)),
        ("promise", ""),
        *(("frequency", wrong) for wrong in ("", "-1", "x", "99999", "1.5")),
        *(("period", wrong) for wrong in ("", "year")),
        *(("least_age", wrong) for wrong in ("-1", "x")),
        *(("confirm_within", wrong) for wrong in ("", "-1", "x")),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(officer: Client, field: str, typed: str) -> None:
    assert set(errors(officer.post(ADD, {**TYPED, field: typed}))) == {field}
    assert not Purpose.objects.exists()


@pytest.mark.parametrize(
    ("field", "words"),
    [("frequency", "Promise at least one"), ("confirm_within", "at least a day to confirm")],
)
def test_none_at_all_is_refused_in_words(officer: Client, field: str, words: str) -> None:
    assert words in str(errors(officer.post(ADD, {**TYPED, field: "0"})))
    assert not Purpose.objects.exists()


def test_a_code_is_of_one_purpose(officer: Client, define: Callable[..., Purpose]) -> None:
    define(code="tastings")
    assert set(errors(officer.post(ADD, TYPED))) == {"code"}


@pytest.mark.parametrize(
    "fields", [{}, dict.fromkeys(TYPED, "\x00"), dict.fromkeys(TYPED, "é" * 99)]
)
def test_a_form_with_everything_wrong_says_so(officer: Client, fields: dict[str, str]) -> None:
    assert {"code", "frequency", "period", "languages"} <= set(errors(officer.post(ADD, fields)))
    assert not Purpose.objects.exists()


# --- what is shown, and to whom ----------------------------------------------------------------


def test_its_page_shows_the_address_of_every_language(officer: Client) -> None:
    officer.post(ADD, TYPED)
    shown = officer.get(f"{LIST}{Purpose.objects.get().pk}/change/").content.decode()
    for language in ("en", "es"):
        address = f"https://volens.example/join/tastings/{language}/"
        assert f'<a href="{address}">{address}</a>' in shown


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_the_privacy_officer_adds_a_purpose(signed_in: Browser, role: str) -> None:
    client, may = signed_in(role), role == roles.PRIVACY_OFFICER
    assert client.get(LIST).status_code == 200
    assert client.get(ADD).status_code == (200 if may else 403)
    assert client.post(ADD, TYPED).status_code == (302 if may else 403)
    assert Purpose.objects.exists() == may


@pytest.mark.parametrize("act", ["change/", "delete/"])
def test_nobody_changes_or_deletes_one(
    officer: Client, define: Callable[..., Purpose], act: str
) -> None:
    purpose = define()
    answer = officer.post(f"{LIST}{purpose.pk}/{act}", {**TYPED, "post": "yes"})
    assert answer.status_code == 403
    assert Purpose.objects.get().code == "sales"
