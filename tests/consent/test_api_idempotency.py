"""A call told again under its key is answered again and acted on once, also at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from audit.models import Entry
from consent import integrations
from consent.models import ApiCall, Consent, Integration
from tests.conftest import AT
from tests.consent.calls import FORM, a_key, call, told_once
from tests.consent.conftest import ADA

pytestmark = pytest.mark.usefixtures("clock")
TOLD = {"number": "+12125550123"}


@pytest.fixture
def key(notice) -> str:
    return a_key()


def _stops() -> int:
    return Entry.objects.filter(verb="consent.withdrawn").count()


def test_the_same_call_is_acted_on_once_and_answered_alike(key) -> None:
    first = told_once(key, "consents", FORM, as_="order-1")
    again = told_once(key, "consents", FORM, as_="order-1")
    assert (first.status_code, first.json()["status"]) == (201, "opened")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert Entry.objects.filter(verb="consent.opened").count() == 1


def test_an_opt_out_is_recorded_once(key) -> None:
    answers = [told_once(key, "withdrawals", TOLD, as_="1").json() for _time in range(3)]
    assert answers == [{"status": "stopped"}] * 3
    assert _stops() == 1


def test_without_a_key_each_call_is_one(key) -> None:
    call(key, "withdrawals", TOLD)
    assert call(key, "withdrawals", TOLD).json() == {"status": "had stopped already"}
    assert (_stops(), ApiCall.objects.count()) == (2, 0)


def test_another_body_under_the_same_key_is_refused(key) -> None:
    told_once(key, "withdrawals", TOLD, as_="1")
    answer = told_once(key, "withdrawals", {"number": "+12125550124"}, as_="1")
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "Idempotency-Key"
    assert _stops() == 1


def test_another_operation_under_the_same_key_is_refused(key) -> None:
    told_once(key, "withdrawals", {**TOLD, "purpose": "offers"}, as_="1")
    answer = told_once(key, "consents", {**TOLD, "purpose": "offers"}, as_="1")
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "Idempotency-Key"


def test_another_integration_has_keys_of_its_own(key) -> None:
    told_once(key, "withdrawals", TOLD, as_="1")
    other = told_once(a_key(name="till"), "withdrawals", TOLD, as_="1")
    assert other.json() == {"status": "had stopped already"}


def test_a_conflict_is_answered_again_after_its_cause_is_gone(key, withdraw, restore) -> None:
    withdraw(ADA)
    first = told_once(key, "consents", FORM, as_="1")
    restore(ADA)
    again = told_once(key, "consents", FORM, as_="1")
    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == first.json()
    assert not Consent.objects.exists()


def test_an_answer_is_kept_for_a_day_and_more(key, clock) -> None:
    told_once(key, "withdrawals", TOLD, as_="1")
    clock.at = AT + timedelta(hours=25)
    assert told_once(key, "withdrawals", TOLD, as_="1").json() == {"status": "stopped"}


def test_a_call_that_was_refused_uses_up_no_key(key) -> None:
    wrong = {**FORM, "purpose": "nothing"}
    assert told_once(key, "consents", wrong, as_="1").status_code == 422
    assert told_once(key, "consents", FORM, as_="1").status_code == 201


def test_a_repeated_call_counts_for_no_limit_of_its_number(key) -> None:
    answers = [told_once(key, "consents", FORM, as_="1").status_code for _time in range(7)]
    assert answers == [201] * 7


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "schlüssel", "a\tb"])
def test_a_key_is_1_to_64_visible_signs(key, name) -> None:
    answer = told_once(key, "withdrawals", TOLD, as_=name)
    assert answer.status_code == 422
    assert answer.json()["fields"] == [
        {"field": "Idempotency-Key", "error": "It must be 1 to 64 visible ASCII signs."}
    ]
    assert _stops() == 0


def test_a_key_of_64_signs_is_taken(key) -> None:
    assert told_once(key, "withdrawals", TOLD, as_="~" * 64).status_code == 200
    assert ApiCall.objects.get().key == "~" * 64


def test_the_fingerprint_of_a_call_is_keyed(settings) -> None:
    first = integrations.fingerprint_of("POST /here", b"body")
    assert first == integrations.fingerprint_of("POST /here", b"body")
    assert first != integrations.fingerprint_of("POST /her", b"ebody")
    settings.SECRET_KEY = "another key " * 5
    assert first != integrations.fingerprint_of("POST /here", b"body")


def test_an_act_that_fails_keeps_nothing(key) -> None:
    def broken():
        raise RuntimeError("broken")

    once = {"integration": Integration.objects.get(), "key": "1", "fingerprint": "f", "at": AT}
    with pytest.raises(RuntimeError):
        integrations.once(act=broken, **once)
    assert not ApiCall.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_equal_calls_at_once_one_acts_and_both_get_its_answer(notice) -> None:
    key, start = a_key(), threading.Barrier(4)

    def told(_number: int):
        try:
            start.wait(timeout=10)
            answer = told_once(key, "withdrawals", TOLD, as_="1")
            return answer.status_code, answer.json()["status"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(told, range(4)))
    assert answers == [(200, "stopped")] * 4
    assert (_stops(), ApiCall.objects.count()) == (1, 1)
