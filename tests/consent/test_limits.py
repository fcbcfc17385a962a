"""How often a stranger may do something is counted, and whom it counts is not told."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import RequestFactory

from consent import limits
from consent.models import Allowance
from tests.conftest import AT

pytestmark = pytest.mark.django_db
ADDRESS, OTHER = "192.0.2.1", "192.0.2.2"


def once(of: str = ADDRESS, *, what: str = "join", at: Any = AT, most: int = 2) -> bool:
    return limits.allows(what, of, most=most, per=limits.HOUR, at=at)


def test_so_many_are_allowed_and_no_more() -> None:
    assert [once() for _time in range(4)] == [True, True, False, False]


def test_everyone_and_everything_is_counted_apart() -> None:
    once(), once()
    assert once(OTHER)
    assert once(what="number")
    assert not once()


def test_the_next_span_begins_anew() -> None:
    once(), once()
    assert not once(at=AT + timedelta(minutes=59, seconds=59))
    assert once(at=AT + timedelta(hours=1))


def test_what_was_refused_is_counted_too() -> None:
    for _time in range(5):
        once()
    assert Allowance.objects.get().count == 5


def test_a_span_is_of_the_clock_not_of_the_first_try() -> None:
    early, late = AT + timedelta(minutes=59), AT + timedelta(minutes=61)
    once(at=early)
    once(at=late)
    assert Allowance.objects.count() == 2


def test_whom_it_counts_is_a_keyed_hash(settings: Any) -> None:
    once()
    first = Allowance.objects.get().key
    assert ADDRESS not in first
    assert len(first) == 64
    Allowance.objects.all().delete()
    settings.SECRET_KEY = "x" * 50
    once()
    assert Allowance.objects.get().key != first


def test_what_is_old_is_forgotten() -> None:
    once(at=AT - limits.KEPT - timedelta(hours=1))
    once()
    assert limits.forget(before=AT - limits.KEPT) == 1
    assert Allowance.objects.count() == 1


def test_the_address_is_the_connections_own(rf: RequestFactory, settings: Any) -> None:
    settings.BEHIND_TLS_PROXY = False
    request = rf.get("/", REMOTE_ADDR=ADDRESS, headers={"X-Forwarded-For": OTHER})
    assert limits.address_of(request) == ADDRESS


@pytest.mark.parametrize(
    "told", [OTHER, f"10.0.0.1, {OTHER}", f"forged,{OTHER}", f"203.0.113.9,, {OTHER} "]
)
def test_behind_our_proxy_it_is_what_the_proxy_added(
    rf: RequestFactory, settings: Any, told: str
) -> None:
    settings.BEHIND_TLS_PROXY = True
    request = rf.get("/", REMOTE_ADDR=ADDRESS, headers={"X-Forwarded-For": told})
    assert limits.address_of(request) == OTHER


def test_a_proxy_that_tells_nothing_is_the_address(rf: RequestFactory, settings: Any) -> None:
    settings.BEHIND_TLS_PROXY = True
    assert limits.address_of(rf.get("/", REMOTE_ADDR=ADDRESS)) == ADDRESS
