"""A campaign that fares badly stops by itself and says why; a person decides whether it goes on."""

from datetime import timedelta

import pytest

from audit import roles
from audit.models import Entry
from campaigns import calling, delivery, dispatch, receipts, watch
from campaigns.gateways.outcome import NotSent
from campaigns.models import Attempt, Campaign, Message, Tally
from tests.campaigns.conftest import FLORIDA, GUAM, fenced, is_due, new_york, write
from tests.conftest import AT

pytestmark = pytest.mark.django_db
Status = Campaign.Status
SECOND = timedelta(seconds=1)


@pytest.fixture
def sending(launched, monkeypatch):
    """A campaign of which little is enough to judge it."""
    monkeypatch.setattr(watch, "ENOUGH", 10)
    return launched()


def tally(campaign, handed_over, refused=0, at=AT):
    Tally.objects.create(campaign=campaign, at=at, handed_over=handed_over, refused=refused)


def stands(campaign):
    campaign.refresh_from_db()
    return campaign.status


@pytest.mark.parametrize(
    ("handed_over", "refused", "status"),
    [(20, 1, Status.SENDING), (20, 2, Status.PAUSED), (9, 9, Status.SENDING)],
)
def test_a_campaign_of_which_too_much_is_refused_is_paused(sending, handed_over, refused, status):
    tally(sending, handed_over, refused)
    dispatch.watch(campaign=sending, by="worker", at=AT)
    assert stands(sending) == status
    if status == Status.PAUSED:
        assert sending.because == "The provider refused or filtered 2 of the last 20."
        told = Entry.objects.get(verb="campaign.paused")
        assert (told.actor, told.facts["reason"]) == ("worker", sending.because)


def test_only_the_last_five_hundred_count(sending):
    tally(sending, 100, refused=100)
    tally(sending, 500)
    assert watch.too_many_refusals(sending) == ""
    tally(sending, 0, refused=26)  # filtered later
    assert (
        watch.too_many_refusals(sending) == "The provider refused or filtered 26 of the last 500."
    )


def test_once_a_person_resumed_it_is_judged_anew(sending, operators):
    tally(sending, 20, refused=20)
    dispatch.watch(campaign=sending, by="worker", at=AT)
    later, approver = AT + SECOND, operators(roles.CAMPAIGN_APPROVER)
    dispatch.resume(campaign=sending, by=approver, at=later)
    assert (sending.because, watch.too_many_refusals(sending)) == ("", "")
    tally(sending, 20, refused=2, at=later)
    assert watch.too_many_refusals(sending)


def test_what_was_halted_meanwhile_is_left_alone(sending, operators):
    tally(sending, 20, refused=20)
    dispatch.cancel(campaign=sending, by=operators(roles.CAMPAIGN_APPROVER), at=AT)
    dispatch.watch(campaign=sending, by="worker", at=AT)
    assert stands(sending) == Status.CANCELLED


def test_a_campaign_that_people_flee_is_paused_when_time_is_kept(people, launched, monkeypatch):
    monkeypatch.setattr(watch, "ENOUGH", 10)
    numbers = new_york(10)
    people(numbers)
    campaign = launched()
    fenced()
    tally(campaign, 10)
    dispatch.keep_time(at=AT)
    assert stands(campaign) == Status.SENDING
    write("STOP", number=numbers[0])
    dispatch.keep_time(at=AT)
    assert stands(campaign) == Status.PAUSED
    assert campaign.because == "1 people opted out, of 10 who were reached."


def test_whoever_was_not_reached_yet_says_nothing_of_a_campaign(people, launched, monkeypatch):
    monkeypatch.setattr(watch, "ENOUGH", 1)
    [number] = new_york(1)
    people([number])
    campaign = launched()
    tally(campaign, 10)
    write("STOP", number=number)
    assert watch.too_many_opt_outs(campaign) == ""


# --- tallies -----------------------------------------------------------------------------------


def called(attempt, outcome, refusal=None):
    return calling.Called(attempt, outcome, provider_id="SM1", refusal=refusal)


def test_a_batch_is_tallied_once_for_each_campaign(people, launched):
    people(new_york(4))
    campaign = launched()
    first, second, third, fourth = fenced()
    delivery.settle(
        called=[
            called(first, Attempt.Outcome.ACCEPTED),
            called(second, Attempt.Outcome.UNKNOWN),
            called(third, Attempt.Outcome.REFUSED, NotSent("21610", permanent=True)),
            called(fourth, Attempt.Outcome.REFUSED, NotSent("429")),  # waits for another try
        ],
        at=AT,
    )
    assert list(campaign.tallies.values_list("handed_over", "refused")) == [(3, 1)]


def test_answers_are_no_campaigns(sender, person):
    person()
    write("HELP")
    attempts = fenced()
    delivery.settle(called=[called(one, Attempt.Outcome.ACCEPTED) for one in attempts], at=AT)
    assert not Tally.objects.exists()


@pytest.mark.parametrize(("code", "refused"), [("30007", [1]), ("30003", []), ("", [])])
def test_what_a_carrier_filtered_counts_as_refused(person, launched, code, refused):
    person()
    campaign = launched()
    [attempt] = fenced()
    delivery.settle(called=[called(attempt, Attempt.Outcome.ACCEPTED)], at=AT)
    receipts.keep(attempt=attempt.pk.hex, provider_id="SM1", status="undelivered", code=code, at=AT)
    receipts.reconcile(at=AT)
    late = campaign.tallies.filter(handed_over=0).values_list("refused", flat=True)
    assert list(late) == refused


# --- pace --------------------------------------------------------------------------------------


def test_a_pace_is_of_the_last_half_minute_and_tells_when_it_will_be_done(people, launched):
    people(new_york(20))
    campaign = launched()
    assert watch.pace(campaign, AT) == watch.Pace(0, None, None)
    tally(campaign, 999, at=AT - timedelta(seconds=30))
    tally(campaign, 30, at=AT - timedelta(seconds=3))
    tally(campaign, 30, at=AT)
    assert watch.pace(campaign, AT) == watch.Pace(2.0, AT + 10 * SECOND, None)


def test_what_is_held_is_told_with_the_time_at_which_the_next_is_due(people, launched):
    people([FLORIDA, GUAM])
    evening = AT + timedelta(hours=7, minutes=30)  # half past eight in Florida, where it is over
    campaign = launched(starts_at=evening, deadline=evening + timedelta(days=2))
    [guam, florida] = campaign.messages.order_by("due_at")
    assert watch.pace(campaign, evening).held_until is None  # in Guam it is noon
    guam.delete()
    assert watch.pace(campaign, evening).held_until == florida.due_at > evening


# --- what nobody can tell ----------------------------------------------------------------------


@pytest.fixture
def unknown(person, launched):
    person()
    launched()
    [attempt] = fenced()
    delivery.settle(called=[called(attempt, Attempt.Outcome.UNKNOWN)], at=AT)
    return Message.objects.get()


@pytest.mark.parametrize(("arrived", "status"), [(True, "accepted"), (False, "refused")])
def test_an_operator_says_what_became_of_an_unknown_message(unknown, operators, arrived, status):
    by = operators(roles.CAMPAIGN_APPROVER)
    delivery.judge(message=unknown, arrived=arrived, note="Seen in their log.", by=by, at=AT)
    unknown.refresh_from_db()
    assert (unknown.status, unknown.reason) == (status, "By the word of campaign-approver.")
    entry = Entry.objects.get(verb="message.judged")
    assert (entry.facts, entry.detail.text) == ({"arrived": arrived}, "Seen in their log.")
    assert not is_due(AT + timedelta(hours=1))  # never again


def test_what_is_known_is_judged_by_nobody(unknown, operators):
    Message.objects.update(status="delivered")
    with pytest.raises(delivery.NotUnknown):
        delivery.judge(
            message=unknown,
            arrived=False,
            note="?",
            by=operators(roles.CAMPAIGN_APPROVER),
            at=AT,
        )
    assert Message.objects.get().status == "delivered"
