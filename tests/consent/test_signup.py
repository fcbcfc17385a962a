"""One opt-in from a form: refused without what proves it, and confirmed by one text."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from audit.models import Entry
from audit.trail import NotRecorded
from config.encryption import blind_index
from consent import evidence, numbers, purposes, signup
from consent.admission import Fate, Outcome
from consent.evidence import IN_WORDS, PROOFS, EvidenceMissing
from consent.models import Consent, Method, Notice, Purpose, Subscriber
from consent.signup import NoticeLacks
from tests.conftest import AT, WORDINGS, Enrol
from tests.consent.conftest import ADA, Permitted, Withdraw

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
WHOLE = {
    "ip_address": "203.0.113.7",
    "user_agent": "Browser/1",
    "reply": "JOIN",
    "scan": "a1b2",
}
SignUp = Callable[..., Outcome]


@pytest.fixture
def sign_up(notice: Notice) -> SignUp:
    """Ada's opt-in of this moment by a form on the web, unless told otherwise."""

    def signed_up(**more: Any) -> Outcome:
        usual = {
            "number": numbers.parse(ADA),
            "notice": notice,
            "method": Method.WEB_FORM,
            "source": "/join/offers/en/",
            "facts": WHOLE,
            "given_at": AT,
            "by": "web",
            "at": AT,
        }
        return signup.sign_up(**{**usual, **more})

    return signed_up


def nothing_is_kept() -> bool:
    told = Entry.objects.exclude(verb__in=("notice.published", "purpose.defined"))
    return not (Consent.objects.exists() or Subscriber.objects.exists() or told.exists())


def test_an_opt_in_waits_for_its_confirmation(
    sign_up: SignUp, notice: Notice, permitted: Permitted
) -> None:
    assert sign_up().fate == Fate.ACCEPTED
    consent = Consent.objects.get()
    assert (consent.notice, consent.purpose) == (notice, notice.purpose)
    assert (consent.method, consent.source) == (Method.WEB_FORM, "/join/offers/en/")
    assert (consent.given_at, consent.recorded_at) == (AT, AT)
    assert (consent.confirmation_due_at, consent.confirmation_queued_at) == (AT, None)
    assert list(Consent.objects.awaiting_confirmation(AT)) == [consent]
    assert not permitted()


def test_its_confirmation_is_due_when_it_is_recorded_and_not_when_it_was_given(
    sign_up: SignUp,
) -> None:
    sign_up(given_at=AT - 5 * DAY)
    consent = Consent.objects.get()
    assert (consent.given_at, consent.confirmation_due_at) == (AT - 5 * DAY, AT)


def test_what_else_was_told_is_kept(sign_up: SignUp) -> None:
    sign_up(first_name="Ada", region="CA", language="es")
    ada = Subscriber.objects.select_related("area").get()
    assert (ada.first_name, ada.language, ada.area.region) == ("Ada", "es", "CA")


def test_a_person_speaks_the_language_of_the_wording_unless_told_otherwise(
    sign_up: SignUp, purpose: Purpose
) -> None:
    spanish = f"{WORDINGS['current']} No es una condición de compra."
    shown = {"language": "es", "wording": spanish, "shown_from": AT - DAY}
    sign_up(notice=purposes.publish(purpose=purpose, by="command", at=AT, **shown))
    assert Subscriber.objects.get().language == "es"


# --- evidence ----------------------------------------------------------------------------------

DEMANDS = [(Method(name), fact) for name, proof in PROOFS.items() for fact in proof.demands]


@pytest.mark.parametrize("method", Method)
def test_the_evidence_is_kept_and_fixed_by_its_hash(sign_up: SignUp, method: Method) -> None:
    sign_up(method=method)
    consent = Consent.objects.get()
    kept = json.loads(str(consent.evidence))
    assert {fact: kept[fact] for fact in PROOFS[method].demands}.items() <= WHOLE.items()
    assert consent.commitment == evidence.commitment(str(consent.evidence))
    assert Entry.objects.get(verb="consent.opened").facts["evidence"] == consent.commitment


@pytest.mark.parametrize(("method", "fact"), DEMANDS)
@pytest.mark.parametrize("nothing", ["left out", ""])
def test_each_method_is_refused_without_what_it_demands_and_names_it(
    sign_up: SignUp, method: Method, fact: str, nothing: str
) -> None:
    facts = {name: text for name, text in WHOLE.items() if name != fact}
    if not nothing:
        facts[fact] = nothing
    with pytest.raises(EvidenceMissing, match=IN_WORDS[fact]):
        sign_up(method=method, facts=facts)
    assert nothing_is_kept()


def test_the_evidence_of_one_method_is_none_of_another(sign_up: SignUp) -> None:
    with pytest.raises(EvidenceMissing, match="own message"):
        sign_up(method=Method.KEYWORD, facts={"scan": "a1b2", "ip_address": "203.0.113.7"})
    assert nothing_is_kept()


# --- the wording -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_out", "named"),
    [
        ("from Harbor Coffee ", "the business's name"),
        ("Consent is not a condition of purchase. ", "that it is not a condition of purchase"),
    ],
)
def test_a_wording_that_lacks_an_essential_is_no_evidence(
    sign_up: SignUp, purpose: Purpose, left_out: str, named: str
) -> None:
    wording = WORDINGS["current"].replace(left_out, "")
    shown_from = datetime(2025, 1, 1, tzinfo=UTC)
    about = {"purpose": purpose, "language": "en", "shown_from": shown_from}
    lacking = purposes.publish(wording=wording, by="command", at=AT, **about)
    with pytest.raises(NoticeLacks, match=named):
        sign_up(notice=lacking)
    assert nothing_is_kept()


def test_a_wording_that_lacks_what_is_no_essential_is_evidence_all_the_same(
    sign_up: SignUp, purpose: Purpose
) -> None:
    wording = WORDINGS["current"].replace("HELP for help, ", "")
    about = {"purpose": purpose, "language": "en", "shown_from": AT - DAY}
    lacking = purposes.publish(wording=wording, by="command", at=AT, **about)
    assert lacking.missing == ("HELP",)
    assert sign_up(notice=lacking).fate == Fate.ACCEPTED


# --- times -------------------------------------------------------------------------------------


def test_an_opt_in_cannot_lie_in_the_future(sign_up: SignUp) -> None:
    with pytest.raises(ValidationError, match="cannot lie in the future") as refusal:
        sign_up(given_at=AT + SECOND)
    assert set(refusal.value.message_dict) == {"given_at"}
    assert nothing_is_kept()


def test_nobody_agreed_to_a_wording_before_it_was_shown(sign_up: SignUp, notice: Notice) -> None:
    with pytest.raises(ValidationError, match="not shown yet"):
        sign_up(given_at=notice.shown_from - SECOND)
    assert nothing_is_kept()
    assert sign_up(given_at=notice.shown_from).fate == Fate.ACCEPTED


# --- what is on record -------------------------------------------------------------------------


def test_one_who_is_subscribed_already_stays_so_and_gets_no_second_text(
    sign_up: SignUp, person: Enrol, permitted: Permitted
) -> None:
    person()
    outcome = sign_up()
    assert (outcome.fate, bool(outcome.reason)) == (Fate.MERGED, True)
    assert Consent.objects.get().confirmation_due_at is None
    assert permitted()


def test_one_who_refused_stays_refused(
    sign_up: SignUp, withdraw: Withdraw, permitted: Permitted
) -> None:
    withdraw(at=AT - DAY)
    assert sign_up().fate == Fate.SUPPRESSED
    assert not Subscriber.objects.with_number(ADA).exists()
    assert not permitted()


def test_the_trail_tells_of_the_opt_in_without_the_number(sign_up: SignUp) -> None:
    sign_up(first_name="Ada")
    entry = Entry.objects.get(verb="consent.opened")
    ada = Subscriber.objects.get(number_index=blind_index.of(ADA))
    assert (entry.subject, entry.actor) == (f"subscriber:{ada.pk}", "web")
    assert not [trace for trace in ("5550123", "Ada", "203.0.113") if trace in str(entry.facts)]


def test_what_the_trail_does_not_take_is_not_recorded(sign_up: SignUp) -> None:
    with pytest.raises(NotRecorded):
        sign_up(by="somebody")
    assert nothing_is_kept()
