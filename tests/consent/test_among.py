"""The lookup `among` finds what `in` finds, on either database."""

import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.encryption import blind_index
from consent.models import Consent, ImportRow, Subscriber, Suppression
from tests.conftest import Enrol
from tests.consent.conftest import ADA, BOB, TakeIn, Withdraw

EVE = "+12125550125"


@pytest.fixture
def three(person: Enrol) -> list[Subscriber]:
    return [person(number) for number in (ADA, BOB, EVE)]


def test_keys_are_found(three: list[Subscriber]) -> None:
    wanted = {three[0].pk, three[2].pk, uuid.uuid4()}
    found = Subscriber.objects.filter(pk__among=wanted)
    assert {person.number for person in found} == {ADA, EVE}


def test_keys_of_others_are_found_by_way_of_them(three: list[Subscriber]) -> None:
    found = Consent.objects.filter(subscriber__id__among=[three[1].pk])
    assert [consent.subscriber_id for consent in found] == [three[1].pk]


def test_texts_are_found(three: list[Subscriber]) -> None:
    wanted = {blind_index.of(number) for number in (ADA, BOB, "+12125550199")}
    found = Subscriber.objects.filter(number_index__among=wanted)
    assert {person.number for person in found} == {ADA, BOB}


def test_texts_are_found_by_way_of_others(three: list[Subscriber]) -> None:
    found = Consent.objects.filter(subscriber__number_index__among={blind_index.of(EVE)})
    assert [consent.subscriber_id for consent in found] == [three[2].pk]


def test_numbers_are_found(take_in: TakeIn) -> None:
    brought = take_in(b"phone,opted_in_at\n" + b"nobody,\n" * 12)
    found = brought.rows.filter(line__among=[2, 12, 99]).order_by("line")
    assert list(found.values_list("line", flat=True)) == [2, 12]
    big = ImportRow.objects.filter(pk__among=set(found.values_list("pk", flat=True)))
    assert big.count() == 2


@pytest.mark.parametrize("empty", [set, list, tuple])
def test_nothing_is_among_nothing(three: list[Subscriber], empty: Callable[[], set[str]]) -> None:
    assert not Subscriber.objects.filter(pk__among=empty()).exists()
    assert not Subscriber.objects.filter(number_index__among=empty()).exists()
    assert not ImportRow.objects.filter(line__among=empty()).exists()
    assert Subscriber.objects.exclude(pk__among=empty()).count() == 3


def test_those_not_among_them_are_found_too(three: list[Subscriber]) -> None:
    left = Subscriber.objects.exclude(pk__among=[three[0].pk])
    assert {person.number for person in left} == {BOB, EVE}


def test_what_is_among_them_can_be_changed_and_deleted(
    three: list[Subscriber], take_in: TakeIn
) -> None:
    assert Subscriber.objects.filter(pk__among=[three[0].pk]).update(language="fr") == 1
    brought = take_in(b"phone,opted_in_at\nnobody,\nnobody,\n")
    assert brought.rows.filter(line__among=[2]).delete()[0] == 1
    assert brought.rows.count() == 1


def test_a_column_that_holds_nothing_is_among_nothing(person: Enrol, withdraw: Withdraw) -> None:
    person()
    withdraw()
    assert not Suppression.objects.filter(purpose__id__among=[1, 2]).exists()


def test_ten_thousand_values_are_one_parameter(three: list[Subscriber]) -> None:
    wanted = [three[0].pk, *(uuid.uuid4() for _number in range(10_000))]
    with CaptureQueriesContext(connection):
        found = Subscriber.objects.filter(pk__among=wanted)
        _sql, parameters = found.query.sql_with_params()
        assert [person.number for person in found] == [ADA]
    assert len(parameters) == 1
