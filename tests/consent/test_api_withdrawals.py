"""Another system tells of opt-outs: they hold at once, for strangers too, and are counted once."""

import pytest

from audit.models import Entry
from config.encryption import blind_index
from consent.models import Suppression
from tests.consent.calls import a_key, call
from tests.consent.conftest import ADA, BOB

pytestmark = pytest.mark.usefixtures("clock")
TOLD = {"number": "(212) 555-0123"}


@pytest.fixture
def key(db) -> str:
    return a_key("withdrawals:write")


def test_an_opt_out_stops_everything_at_once(key, person, permitted) -> None:
    person(ADA)
    assert permitted(ADA)
    answer = call(key, "withdrawals", TOLD)
    assert (answer.status_code, answer.json()) == (200, {"status": "stopped"})
    assert not permitted(ADA)


def test_the_refusal_says_that_a_form_of_another_system_told_it(key, at) -> None:
    call(key, "withdrawals", TOLD)
    refusal = Suppression.objects.get(number_index=blind_index.of(ADA))
    assert (refusal.channel, refusal.purpose, refusal.at) == ("form", None, at)
    assert refusal.reason == "told by another system"
    assert Entry.objects.get(verb="consent.withdrawn").actor == "web"


def test_a_stranger_is_refused_for_the_future(key) -> None:
    assert call(key, "withdrawals", TOLD).json() == {"status": "stopped"}
    assert Suppression.objects.against(blind_index.of(ADA)).exists()
    assert not Suppression.objects.against(blind_index.of(BOB)).exists()


def test_one_purpose_may_be_stopped_alone(key, person, news_notice, permitted) -> None:
    person(ADA)
    person(ADA, notice=news_notice)
    answer = call(key, "withdrawals", {**TOLD, "purpose": "offers"})
    assert answer.json() == {"status": "stopped"}
    assert not permitted(ADA)
    assert permitted(ADA, about=news_notice.purpose)


def test_whoever_had_stopped_already_is_told_so(key, withdraw) -> None:
    withdraw(ADA)
    assert call(key, "withdrawals", TOLD).json() == {"status": "had stopped already"}


def test_after_everything_one_purpose_is_nothing_new(key, purpose) -> None:
    call(key, "withdrawals", TOLD)
    answer = call(key, "withdrawals", {**TOLD, "purpose": "offers"})
    assert answer.json() == {"status": "had stopped already"}


def test_a_purpose_that_does_not_exist_stops_nothing(key, person, permitted) -> None:
    person(ADA)
    answer = call(key, "withdrawals", {**TOLD, "purpose": "nothing"})
    assert answer.status_code == 422
    assert answer.json()["fields"] == [{"field": "purpose", "error": "No purpose has this code."}]
    assert permitted(ADA)
