"""Another system asks how a number stands, and says which number in the body only."""

from datetime import timedelta

import pytest

from consent.models import Suppression
from tests.conftest import AT
from tests.consent.calls import FORM, a_key, call
from tests.consent.conftest import ADA

pytestmark = pytest.mark.usefixtures("clock")
TOLD = {"number": "+12125550123"}
NOTHING = {"may_be_messaged_for": [], "suppressed": False, "awaiting_confirmation": []}


@pytest.fixture
def key(db) -> str:
    return a_key("status:read")


@pytest.fixture(params=["GET", "POST"])
def status(request, key):
    """What is answered about Ada's number, by either method."""

    def asked() -> dict:
        answer = call(key, "status", TOLD, method=request.param)
        assert answer.status_code == 200, answer.content
        return answer.json()

    return asked


def test_nothing_is_known_of_a_stranger(status) -> None:
    assert status() == NOTHING


def test_whoever_confirmed_may_be_messaged(status, person) -> None:
    person(ADA)
    assert status() == {**NOTHING, "may_be_messaged_for": ["offers"]}


def test_purposes_are_told_in_the_order_of_their_codes(status, person, news_notice) -> None:
    person(ADA)
    person(ADA, notice=news_notice)
    assert status()["may_be_messaged_for"] == ["news", "offers"]


def test_whoever_has_not_confirmed_is_awaited(status, key, notice) -> None:
    call(a_key("consents:write", name="form"), "consents", FORM)
    assert status() == {**NOTHING, "awaiting_confirmation": ["offers"]}


def test_a_purpose_that_asks_for_no_confirmation_awaits_none(status, news_notice) -> None:
    call(a_key("consents:write", name="form"), "consents", {**FORM, "purpose": "news"})
    assert status() == {**NOTHING, "may_be_messaged_for": ["news"]}


def test_whoever_refused_everything_is_suppressed(status, person, withdraw) -> None:
    person(ADA)
    withdraw(ADA)
    assert status() == {**NOTHING, "suppressed": True}


def test_whoever_refused_one_purpose_is_not_suppressed(status, person, purpose, withdraw) -> None:
    person(ADA)
    withdraw(ADA, purpose=purpose, channel=Suppression.Channel.PAGE)
    assert status() == NOTHING


def test_what_another_person_agreed_to_is_not_told(status, person) -> None:
    person("+12125550124")
    assert status() == NOTHING


def test_a_consent_counts_from_when_it_is_given(status, person, clock) -> None:
    person(ADA)
    clock.at = AT - timedelta(days=31)
    assert status() == NOTHING


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_number_in_the_address_is_refused(key, method) -> None:
    answer = call(key, "status?number=%2B12125550123", TOLD, method=method)
    assert answer.status_code == 400
    assert "does not belong into an address" in answer.json()["error"]
    assert "2125550123" not in answer.content.decode()
