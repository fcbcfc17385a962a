"""A launch freezes who gets a message, why, and when, in one transaction."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from audit.models import Entry
from campaigns import dispatch, enrolment, quiet_hours
from campaigns.dispatch import StepRefused
from campaigns.enrolment import NO_OPENING
from campaigns.models import Campaign, Message, Opening
from consent.models import Consent, Purpose, Subscriber, Suppression
from tests.campaigns.conftest import (
    AUSTRALIA,
    FLORIDA,
    GUAM,
    LONDON,
    NEW_YORK,
    at_once,
    message_to,
    new_york,
    queries,
    withdraw,
)
from tests.conftest import AT

Status = Message.Status


def _expiring(person, at):
    """A consent that ends at `at`, in place of the one that the person gave."""
    given = person.consents.get()
    Consent.objects.filter(pk=given.pk).update(withdrawn_at=AT - timedelta(days=1))
    fields = ("subscriber_id", "purpose_id", "notice_id", "given_at", "recorded_at", "confirmed_at")
    copied = {field: getattr(given, field) for field in fields}
    Consent.objects.create(**copied, method=given.method, source="test", expires_at=at)


# --- who ---------------------------------------------------------------------------------------


@pytest.fixture
def crowd(person):
    """One person of every kind; the names of those whom permission holds for begin with yes."""
    kinds = ["yes", "yes until later", "unconfirmed", "withdrawn", "refused", "expired"]
    named = {
        kind: person(phone, confirmed=kind != "unconfirmed")
        for kind, phone in zip(kinds, new_york(len(kinds)), strict=True)
    }
    withdraw(named["withdrawn"], channel=Suppression.Channel.STAFF)
    Suppression.objects.create(
        number_index=named["refused"].number_index, channel="provider", reason="test", at=AT
    )
    _expiring(named["yes until later"], AT + timedelta(seconds=1))
    _expiring(named["expired"], AT)
    return named


def test_exactly_those_get_a_message_whom_permission_holds_for(crowd, launched):
    campaign = launched()
    messaged = set(campaign.messages.values_list("subscriber", flat=True))
    assert messaged == {who.pk for kind, who in crowd.items() if kind.startswith("yes")}
    permitted = Consent.objects.permitting(AT).values_list("subscriber", flat=True)
    assert messaged == set(permitted)


def test_each_message_points_at_the_consent_that_allows_it(crowd, launched):
    for message in launched().messages.select_related("consent"):
        assert message.consent.subscriber_id == message.subscriber_id
        assert message.consent.withdrawn_at is None


def test_people_of_another_purpose_get_nothing(person, launched):
    person()
    news = Purpose.objects.create(
        code="news", name="News", promise="News.", frequency=1, period=Purpose.Period.WEEK
    )
    assert not launched(purpose=news).messages.exists()


def test_the_database_refuses_a_second_message_to_a_person(person, launched):
    person()
    message = launched().messages.get()
    message.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        message.save(force_insert=True)


def test_nobody_joins_once_a_campaign_was_launched(person, launched):
    campaign = launched()
    person()
    with pytest.raises(StepRefused):
        dispatch.launch(campaign=campaign, by="worker", at=AT)
    assert not campaign.messages.exists()


# --- when --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "opens_after"),
    [
        (NEW_YORK, timedelta(0)),
        (FLORIDA, timedelta(0)),
        (LONDON, timedelta(0)),
        (GUAM, timedelta(hours=4)),
    ],
)
def test_each_area_is_due_when_all_of_it_is_awake(person, launched, number, opens_after):
    someone = person(number)
    launched()
    message = message_to(someone)
    assert (message.status, message.due_at) == (Status.WAITING, AT + opens_after)
    assert (message.reason, message.not_after) == ("", AT + timedelta(hours=6))


@pytest.mark.parametrize(
    ("hours", "status", "reason"),
    [(4, Status.BLOCKED, NO_OPENING), (5, Status.WAITING, "")],
)
def test_who_cannot_be_reached_before_the_deadline_is_blocked_with_the_reason(
    person, launched, hours, status, reason
):
    someone = person(GUAM)  # where the day begins four hours later
    launched(deadline=AT + timedelta(hours=hours))
    message = message_to(someone)
    assert (message.status, message.reason) == (status, reason)


def test_an_area_that_never_opens_is_blocked(person, launched, monkeypatch):
    someone = person(GUAM)
    monkeypatch.setattr(quiet_hours, "HORIZON", timedelta(hours=1))
    launched()
    message = message_to(someone)
    assert (message.status, message.due_at) == (Status.BLOCKED, None)


def test_what_the_quiet_hours_said_is_kept_for_each_area(person, launched):
    people = [person(number) for number in (*new_york(3), AUSTRALIA)]
    campaign = launched()
    assert campaign.openings.count() == 2
    opening = message_to(people[-1]).opening
    assert opening.area == people[-1].area
    decision = opening.decision
    assert (decision["rules"], len(decision["zones"])) == (["AU", "*"], 8)
    assert any("Australia/Perth" in reason for reason in decision["reasons"])
    assert decision["rulebook"] == quiet_hours.load().version
    assert decision["at"] == "2026-11-24T18:00:00.000000Z"


def test_nothing_starts_before_its_time(compose, person):
    person()
    campaign = compose(starts_at=AT + timedelta(seconds=1))
    with pytest.raises(StepRefused, match="schedule it instead"):
        dispatch.launch(campaign=campaign, by="worker", at=AT)
    assert not Opening.objects.exists()


# --- how ---------------------------------------------------------------------------------------


def test_the_number_of_queries_does_not_grow_with_people(people, compose):
    people(new_york(10))
    few = compose()
    of_few = queries(lambda: dispatch.launch(campaign=few, by="worker", at=AT))
    people(new_york(200)[10:])
    many = compose()
    of_many = queries(lambda: dispatch.launch(campaign=many, by="worker", at=AT))
    assert (few.messages.count(), many.messages.count()) == (10, 200)
    assert of_few == of_many


def test_a_launch_returns_and_tells_how_many_there_are(people, compose):
    people(new_york(3))
    campaign = compose()
    assert dispatch.launch(campaign=campaign, by="worker", at=AT) == 3
    told = Entry.objects.get(verb="campaign.enrolled")
    assert (told.subject, told.facts["messages"]) == (f"campaign:{campaign.pk}", 3)
    assert told.facts["content"] == campaign.content_hash


def test_a_launch_that_fails_leaves_nothing(people, compose, monkeypatch):
    people(new_york(3))
    campaign = compose()
    monkeypatch.setattr(enrolment, "ENROL", "no sql {decided}")
    with pytest.raises(DatabaseError), transaction.atomic():
        dispatch.launch(campaign=campaign, by="worker", at=AT)
    campaign.refresh_from_db()
    assert campaign.status == Campaign.Status.APPROVED
    assert not Opening.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_launches_at_once_one_is_refused(people, compose):
    people(new_york(20))
    pk = compose().pk

    def launch():
        return dispatch.launch(campaign=Campaign.objects.get(pk=pk), by="worker", at=AT)

    results = at_once(launch, launch)
    assert sorted(map(type, results), key=str) == sorted([int, StepRefused], key=str)
    assert Message.objects.count() == Subscriber.objects.count() == 20
    assert Entry.objects.filter(verb="campaign.enrolled").count() == 1
