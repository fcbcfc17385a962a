"""A claim takes what is due, a batch at a time, and no row twice."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction

from audit import roles
from campaigns import delivery, dispatch
from campaigns.models import Attempt, Campaign, Message
from tests.campaigns.conftest import (
    GUAM,
    at_once,
    fenced,
    is_due,
    meanwhile,
    message_to,
    new_york,
    on_postgresql,
    queries,
    stand,
    write,
)
from tests.conftest import AT

Status = Message.Status


@pytest.fixture
def three_at_a_time(settings):
    settings.CLAIM_SIZE = 3


def test_a_claim_takes_a_batch_and_leaves_the_rest(three_at_a_time, people, launched):
    people(new_york(5))
    launched()
    taken = [delivery.claim(at=AT) for _worker in range(3)]
    assert [number for number, _attempts in taken] == [3, 2, 0]
    assert taken[0][1][0].claim != taken[1][1][0].claim


def test_what_is_claimed_bears_the_name_of_its_claim_and_a_lease(people, launched):
    people(new_york(2))
    launched()
    name = fenced()[0].claim
    held = Message.objects.filter(claim=name, status=Status.CALLING, lease_until__isnull=False)
    assert held.count() == 2


def test_what_was_due_first_is_taken_first(settings, people, launched):
    settings.CLAIM_SIZE = 1
    people(new_york(3))
    launched()
    last = Message.objects.order_by("pk").last()
    Message.objects.filter(pk=last.pk).update(due_at=AT - timedelta(seconds=1))
    assert [attempt.message_id for attempt in fenced()] == [last.pk]


def test_answers_go_before_campaigns_and_never_with_them(people, launched):
    people(new_york(2))
    launched()
    write("HELP")
    [answer] = fenced()
    assert answer.message.answer.reply.intent == "help"
    assert [attempt.message.campaign is None for attempt in fenced()] == [False, False]


@pytest.mark.parametrize(
    ("before", "due"), [(timedelta(microseconds=1), False), (timedelta(0), True)]
)
def test_nothing_is_taken_before_it_is_due(person, launched, before, due):
    person(GUAM)
    launched()
    due_at = Message.objects.get().due_at
    assert is_due(due_at - before) is due


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.WAITING}))
def test_nothing_is_taken_that_does_not_wait(person, launched, status):
    person()
    launched()
    lease = {"claim": "0" * 32, "lease_until": AT, "fenced_at": AT}
    Message.objects.update(status=status, **lease)
    assert not is_due()


def test_nobody_asks_about_hours_and_people_where_nothing_is_due(db):
    assert queries(lambda: delivery.claim(at=AT)) <= 5


@pytest.mark.parametrize("verb", [dispatch.pause, dispatch.cancel])
def test_nothing_is_taken_of_a_campaign_that_is_halted(person, launched, operators, verb):
    person()
    campaign = launched()
    verb(campaign=campaign, by=operators(roles.CAMPAIGN_APPROVER), at=AT)
    assert not is_due()


NOT_TAKEN_FROM = set(Campaign.Status) - {Campaign.Status.SENDING, Campaign.Status.CANCELLED}


@pytest.mark.parametrize("status", sorted(NOT_TAKEN_FROM))
def test_only_a_campaign_that_is_being_sent_is_taken_from(person, launched, compose, status):
    person()
    message, other = launched().messages.get(), stand(compose(), status)
    Message.objects.filter(pk=message.pk).update(campaign=other)
    assert not is_due()


def test_what_was_withheld_from_a_campaign_that_is_cancelled_now_is_put_down(person, launched):
    person()
    launched()
    Campaign.objects.update(status=Campaign.Status.CANCELLED, cancelled_at=AT)
    assert fenced() == []
    assert Message.objects.get().status == Message.Status.CANCELLED


def test_a_resumed_campaign_goes_on(person, launched, operators):
    person()
    campaign, approver = launched(), operators(roles.CAMPAIGN_APPROVER)
    dispatch.pause(campaign=campaign, by=approver, at=AT)
    dispatch.resume(campaign=campaign, by=approver, at=AT)
    assert is_due()


@pytest.mark.parametrize("wrong_by", [timedelta(days=-400), timedelta(days=400)])
def test_a_lease_runs_by_the_databases_clock_whatever_the_worker_thinks(
    person, launched, settings, wrong_by
):
    person()
    launched()
    before = datetime.now(UTC) - timedelta(seconds=2)
    with time_machine.travel(before + wrong_by, tick=False):
        fenced()
    lease_until = Message.objects.get().lease_until
    assert before < lease_until - settings.LEASE < datetime.now(UTC) + timedelta(seconds=2)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_rows_that_another_worker_holds_are_passed_over_and_not_waited_for(people, launched):
    first, second = people(new_york(2))
    launched()
    with ExitStack() as after_commit, transaction.atomic():
        Message.objects.select_for_update().get(subscriber=first)
        [attempt] = after_commit.enter_context(meanwhile(fenced)).result(timeout=10)
    assert attempt.message_id == message_to(second).pk
    assert message_to(first).status == Status.WAITING


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stands_still_in_a_claim_is_made_to_let_go(person, launched):
    person()
    launched()
    with transaction.atomic(), connection.cursor() as cursor:
        delivery.claim(at=AT)
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("30s",)
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_take_every_row_once(settings, people, launched):
    settings.CLAIM_SIZE = 4
    people(new_york(60))
    launched()

    def work():
        return list(iter(lambda: delivery.claim(at=AT), (0, [])))

    claims = [taken for worker in at_once(*[work] * 4) for taken in worker]
    assert sum(number for number, _attempts in claims) == 60
    assert len({one.message_id for _number, attempts in claims for one in attempts}) == 60
    assert set(Attempt.objects.values_list("number", flat=True)) == {1}
