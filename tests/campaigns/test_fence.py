"""The fence lets nothing through that is not allowed at that instant, whoever changes it then."""

import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.db import transaction

from audit import merkle, roles, trail, verifier
from audit.models import Entry
from campaigns import decisions, delivery, dispatch, quiet_hours, verdicts
from campaigns.models import Attempt, Campaign, Message, Sender
from consent import purposes
from consent.models import Consent, Purpose, Suppression
from tests.campaigns.conftest import (
    FLORIDA,
    LONDON,
    at_once,
    fenced,
    is_due,
    meanwhile,
    message_to,
    new_york,
    on_postgresql,
    queries,
    wait_until_somebody_waits_for_a_lock,
    withdraw,
    write,
)
from tests.conftest import AT

Status = Message.Status
LATER = AT + timedelta(hours=8)  # nine in the evening in New York, where the day has ended
TOMORROW = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)  # eight in the morning there
ROUNDS, SPREAD = 60, 0.01  # races of STOP against the fence, each begun within so many seconds


def launched_message(person, launched, number="+12125550123", **fields):
    someone = person(number)
    launched(**fields)
    return message_to(someone)


def _stands(message):
    """Where a message is left and why, once nobody holds it any more."""
    message.refresh_from_db()
    assert (message.claim, message.lease_until) == (None, None)
    return message.status, message.reason


# --- what passes -------------------------------------------------------------------------------


def test_what_is_allowed_passes_and_its_attempt_is_recorded(person, launched):
    message = launched_message(person, launched)
    [attempt] = fenced()
    stored = Attempt.objects.get()
    assert (stored.pk, stored.message, stored.number) == (attempt.pk, message, 1)
    assert (stored.outcome, stored.at) == (Attempt.Outcome.PENDING, AT)
    message.refresh_from_db()
    assert (message.status, message.fenced_at, message.tries) == (Status.CALLING, AT, 1)
    assert message.claim == stored.claim


def test_the_decision_says_what_allowed_the_message(person, launched):
    message = launched_message(person, launched)
    fenced()
    assert Attempt.objects.get().found == {
        "allowed_by": "consent",
        "consent": str(message.consent_id),
        "text_in": "",
        "notice": message.consent.notice_id,
        "rulebook": quiet_hours.load().version,
        "rules": ["US", "US-NY"],
        "zones": ["America/New_York"],
        "local": ["Tue 13:00"],
        "reasons": [],
        "closes_at": "2026-11-25T01:45:00.000000Z",
        "of_day": 1,
        "of_purpose": 1,
    }


# --- permission --------------------------------------------------------------------------------


def _withdrawn(person):
    withdraw(person)


def _withdrawn_for_this_purpose(person):
    withdraw(person, purpose=Purpose.objects.get())


def _suppressed(person):
    """A refusal that closed no consent."""
    Suppression.objects.create(
        number_index=person.number_index, channel="provider", reason="test", at=AT
    )


def _expired(person):
    Consent.objects.filter(subscriber=person).update(expires_at=AT)


def _unconfirmed(person):
    Purpose.objects.update(double_opt_in=True)


@pytest.mark.parametrize(
    "lost", [_withdrawn, _withdrawn_for_this_purpose, _suppressed, _expired, _unconfirmed]
)
def test_permission_that_was_lost_since_the_launch_blocks(person, launched, lost):
    Purpose.objects.update(double_opt_in=False)
    someone = person(confirmed=False)
    launched()
    lost(someone)
    assert fenced() == []
    message = message_to(someone)
    assert _stands(message) == (Status.BLOCKED, verdicts.NO_PERMISSION)
    assert message.settled_at == AT
    assert not Attempt.objects.exists()


def test_who_stopped_and_started_again_does_not_get_what_was_queued_before(person, launched):
    message = launched_message(person, launched)
    withdraw(message.subscriber)
    write("START", at=AT + timedelta(minutes=1))
    assert Consent.objects.permitting(AT + timedelta(minutes=2)).exists()
    Message.objects.filter(campaign=None).delete()
    assert fenced(AT + timedelta(minutes=2)) == []
    assert _stands(message) == (Status.BLOCKED, verdicts.NO_PERMISSION)


def test_one_refusal_stops_nobody_else(people, launched):
    stopped, *others = people(new_york(4))
    launched()
    withdraw(stopped)
    passed = {attempt.message.subscriber_id for attempt in fenced()}
    assert passed == {other.pk for other in others}


# --- hours -------------------------------------------------------------------------------------


def test_outside_the_window_a_message_waits_for_the_next_opening(person, launched):
    message = launched_message(person, launched, deadline=AT + timedelta(days=2))
    assert fenced(LATER) == []
    assert _stands(message) == (Status.WAITING, verdicts.OUTSIDE_WINDOW)
    assert (message.due_at, message.settled_at) == (TOMORROW, None)


@pytest.mark.parametrize(("deadline", "status"), [(0, Status.EXPIRED), (1, Status.WAITING)])
def test_a_message_whose_next_opening_comes_too_late_expires(person, launched, deadline, status):
    until = TOMORROW + timedelta(seconds=deadline)
    message = launched_message(person, launched, deadline=until)
    assert fenced(LATER) == []
    assert _stands(message)[0] == status


@pytest.mark.parametrize(("after", "passed"), [(timedelta(0), 0), (timedelta(seconds=-1), 1)])
def test_nothing_passes_once_its_time_is_over(person, launched, after, passed):
    until = AT + timedelta(hours=1)
    message = launched_message(person, launched, deadline=until)
    assert len(fenced(until + after)) == passed
    if not passed:
        assert _stands(message) == (Status.EXPIRED, verdicts.TOO_LATE)
        assert message.settled_at == until


# --- caps --------------------------------------------------------------------------------------


def _earlier(message, status, ago):
    """As if this message had been handed over so long ago, with that outcome."""
    held = {"claim": "0" * 32, "lease_until": AT + timedelta(days=9999)}
    Message.objects.filter(pk=message.pk).update(
        status=status, fenced_at=AT - ago, due_at=LATER, **held
    )


@pytest.fixture
def promised_once(purpose):
    Purpose.objects.update(frequency=1)
    purpose.refresh_from_db()


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (Status.CALLING, True),
        (Status.ACCEPTED, True),
        (Status.DELIVERED, True),
        (Status.UNDELIVERED, True),
        (Status.UNKNOWN, True),
        (Status.WAITING, False),
        (Status.REFUSED, False),
        (Status.BLOCKED, False),
        (Status.EXPIRED, False),
        (Status.CANCELLED, False),
    ],
)
def test_what_may_have_arrived_counts_towards_the_promise(
    promised_once, person, launched, status, counts
):
    first, second = launched_message(person, launched), launched().messages.get()
    _earlier(first, status, timedelta(hours=1))
    assert len(fenced()) == (not counts)
    if counts:
        assert _stands(second) == (Status.BLOCKED, verdicts.CAP_OF_PURPOSE)


@pytest.mark.parametrize(
    ("period", "ago", "passed"),
    [
        ("month", timedelta(days=30), 1),
        ("month", timedelta(days=30, seconds=-1), 0),
        ("week", timedelta(days=7), 1),
        ("week", timedelta(days=7, seconds=-1), 0),
    ],
)
def test_the_promise_counts_over_its_period(promised_once, person, launched, period, ago, passed):
    first = launched_message(person, launched)
    launched()
    _earlier(first, Status.DELIVERED, ago)
    Purpose.objects.update(period=period)
    assert len(fenced()) == passed


@pytest.fixture
def weekly(person, notice):
    """A second purpose, once a week, to which the same person agreed."""
    news = Purpose.objects.create(code="news", name="News", promise="x", frequency=1, period="week")
    copied = {"wording": notice.wording, "language": "en", "shown_from": notice.shown_from}
    person(notice=purposes.publish(purpose=news, by="command", at=AT, **copied))
    return news


def test_the_promise_of_one_purpose_does_not_count_for_another(
    promised_once, person, launched, weekly
):
    person()
    first = launched(purpose=weekly).messages.get()
    launched()
    _earlier(first, Status.DELIVERED, timedelta(hours=1))
    assert len(fenced()) == 1


def test_each_promise_counts_over_its_own_period_within_one_claim(
    promised_once, person, launched, weekly
):
    first, second = launched_message(person, launched), launched(purpose=weekly).messages.get()
    launched()
    launched(purpose=weekly)
    for message in (first, second):
        _earlier(message, Status.DELIVERED, timedelta(days=8))
    assert [attempt.message.campaign.purpose for attempt in fenced()] == [weekly]


def test_two_campaigns_in_one_claim_count_each_other(promised_once, person, launched):
    launched_message(person, launched)
    launched()
    assert len(fenced()) == 1
    blocked = Message.objects.get(status=Status.BLOCKED)
    assert _stands(blocked) == (Status.BLOCKED, verdicts.CAP_OF_PURPOSE)


def test_a_daily_limit_of_the_law_holds_within_one_claim(person, launched):
    person(FLORIDA)  # three a day
    for _campaign in range(4):
        launched()
    assert len(fenced()) == 3
    assert Message.objects.filter(status=Status.CALLING).count() == 3
    assert Message.objects.get(status=Status.BLOCKED).reason == verdicts.CAP_OF_DAY


@pytest.mark.parametrize(
    ("ago", "passed"), [(timedelta(days=1), 1), (timedelta(days=1, seconds=-1), 0)]
)
def test_a_daily_limit_of_the_law_counts_over_a_day(person, launched, ago, passed):
    person(FLORIDA)
    first_three = [launched().messages.get() for _campaign in range(3)]
    launched()
    for message in first_three:
        _earlier(message, Status.UNKNOWN, ago)
    assert len(fenced()) == passed


# --- sender and campaign -----------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"verified_at": None}, {"countries": "GB"}])
def test_nothing_leaves_from_a_sender_that_may_not_be_used_there(person, launched, change):
    message = launched_message(person, launched)
    Sender.objects.update(**change)
    assert fenced() == []
    assert _stands(message) == (Status.BLOCKED, verdicts.SENDER)


def test_a_sender_reaches_the_countries_it_was_registered_for_only(people, launched):
    at_home, abroad = people(["+12125550123", LONDON])
    Sender.objects.update(countries="GB IE")
    launched()
    assert [attempt.person.pk for attempt in fenced()] == [abroad.pk]
    assert message_to(at_home).reason == verdicts.SENDER


def test_a_paused_campaign_waits_with_its_time(person, launched, operators):
    message = launched_message(person, launched)
    campaign, approver = Campaign.objects.get(), operators(roles.CAMPAIGN_APPROVER)
    dispatch.pause(campaign=campaign, by=approver, at=AT)
    assert not is_due()
    assert _stands(message) == (Status.WAITING, "")
    assert message.due_at == AT
    dispatch.resume(campaign=campaign, by=approver, at=AT)
    assert len(fenced()) == 1


def test_what_waits_of_a_cancelled_campaign_is_put_down(person, launched):
    message = launched_message(person, launched)
    Campaign.objects.update(status=Campaign.Status.CANCELLED, cancelled_at=AT)
    assert fenced() == []
    assert _stands(message) == (Status.CANCELLED, verdicts.NOT_NOW)
    assert message.settled_at == AT


def test_answers_need_a_verified_sender_and_nothing_else(notice, sender):
    for verified_at, status in [(AT, Status.CALLING), (None, Status.BLOCKED)]:
        Sender.objects.update(verified_at=verified_at)
        answer = write("HELP").answer
        attempts = fenced()
        answer.refresh_from_db()
        assert (answer.status, len(attempts)) == (status, status == Status.CALLING)
    assert Attempt.objects.get().found == {"allowed_by": "the person's own reply"}


# --- how ---------------------------------------------------------------------------------------


def _cancelled():
    Campaign.objects.update(status=Campaign.Status.CANCELLED, cancelled_at=AT)


@pytest.mark.parametrize("change", [lambda: None, _cancelled], ids=["sending", "cancelled"])
def test_the_number_of_queries_does_not_grow_with_people(people, launched, change):
    counts = []
    for phones in (new_york(10), new_york(60)[10:]):
        people(phones)
        campaign = launched()
        Message.objects.exclude(campaign=campaign).update(due_at=LATER)
        change()
        counts.append(queries(fenced))
        Message.objects.update(due_at=LATER)
    assert counts[0] == counts[1]


def test_one_entry_of_a_claim_proves_every_message_of_it(people, launched):
    people(new_york(7))
    launched()
    name = fenced()[0].claim
    entry = Entry.objects.get(verb="messages.allowed")
    assert (entry.subject, entry.facts["messages"]) == (f"claim:{name.hex}", 7)
    leaves = [_leaf(attempt) for attempt in Attempt.objects.order_by("message_id")]
    root = bytes.fromhex(entry.facts["decisions"])
    for place, leaf in enumerate(leaves):
        proof = merkle.inclusion_proof(leaves, place)
        assert verifier.verify_inclusion(leaf, place, 7, proof, root)
    forged = merkle.hash_leaf(b"{}")
    assert not verifier.verify_inclusion(forged, 0, 7, merkle.inclusion_proof(leaves, 0), root)


def _leaf(attempt):
    """What the tree covers of an attempt, from what the database keeps of it."""
    told = {
        "attempt": attempt.pk.hex,
        "message": attempt.message_id,
        "number": attempt.number,
        "decision": attempt.found,
    }
    return merkle.hash_leaf(trail.canonical(told))


def test_a_claim_of_which_nothing_passes_leaves_no_entry(person, launched):
    withdraw(launched_message(person, launched).subscriber)
    fenced()
    assert not Entry.objects.filter(verb="messages.allowed").exists()


# --- races -------------------------------------------------------------------------------------


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_stop_that_is_under_way_is_waited_for_and_seen(person, launched):
    message = launched_message(person, launched)
    with ExitStack() as after_commit, transaction.atomic():
        withdraw(message.subscriber)
        passing = after_commit.enter_context(meanwhile(fenced))
        wait_until_somebody_waits_for_a_lock()
    assert passing.result() == []
    assert _stands(message) == (Status.BLOCKED, verdicts.NO_PERMISSION)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_stop_waits_until_the_fence_has_committed(person, launched):
    someone = launched_message(person, launched).subscriber
    with ExitStack() as after_commit, transaction.atomic():
        attempts = fenced()
        stopping = after_commit.enter_context(meanwhile(lambda: withdraw(someone)))
        wait_until_somebody_waits_for_a_lock()
        assert not stopping.done()
    assert stopping.result() is True
    assert len(attempts) == 1
    assert someone.consents.get().withdrawn_at == AT


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", [dispatch.pause, dispatch.cancel])
def test_a_halt_that_is_under_way_is_waited_for_and_seen(person, launched, operators, verb):
    launched_message(person, launched)
    campaign, by = Campaign.objects.get(), operators(roles.CAMPAIGN_APPROVER)
    with ExitStack() as after_commit, transaction.atomic():
        verb(campaign=campaign, by=by, at=AT)
        claiming = after_commit.enter_context(meanwhile(lambda: delivery.claim(at=AT)))
        wait_until_somebody_waits_for_a_lock()
    assert claiming.result() == (0, [])
    assert not Attempt.objects.exists()


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", [dispatch.pause, dispatch.cancel])
def test_a_halt_waits_until_the_fence_has_committed(person, launched, operators, verb):
    launched_message(person, launched)
    campaign, by = Campaign.objects.get(), operators(roles.CAMPAIGN_APPROVER)
    with ExitStack() as after_commit, transaction.atomic():
        assert len(fenced()) == 1
        halting = after_commit.enter_context(
            meanwhile(lambda: verb(campaign=campaign, by=by, at=AT))
        )
        wait_until_somebody_waits_for_a_lock()
        assert not halting.done()
    halting.result()
    assert Message.objects.get().status == Status.CALLING


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_two_fences_at_once_count_each_others_messages(promised_once, person, launched, settings):
    settings.CLAIM_SIZE = 1
    launched_message(person, launched)
    launched()
    with ExitStack() as after_commit, transaction.atomic():
        attempts = fenced()
        passing = after_commit.enter_context(meanwhile(fenced))
        wait_until_somebody_waits_for_a_lock()
    assert (len(attempts), passing.result()) == (1, [])
    assert Message.objects.get(status=Status.BLOCKED).reason == verdicts.CAP_OF_PURPOSE


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_fences_of_one_campaign_pass_beside_each_other(people, launched, settings):
    settings.CLAIM_SIZE = 1
    people(new_york(2))
    launched()
    Sender.objects.update(segments_per_second=None)  # else its bucket is what they wait for
    with ExitStack() as after_commit, transaction.atomic():
        fenced()
        passing = after_commit.enter_context(meanwhile(fenced))
        assert len(passing.result(timeout=10)) == 1


@pytest.mark.django_db(transaction=True)
def test_no_attempt_is_committed_after_a_stop_was(settings, people, launched):
    settings.CLAIM_SIZE = 1
    people(new_york(ROUNDS))
    launched()
    due = Message.objects.order_by("due_at", "id").select_related("subscriber")
    races = [message.subscriber for message in due]
    together, random = threading.Barrier(2, timeout=30), Random(1)
    starts = [(random.uniform(0, SPREAD), random.uniform(0, SPREAD)) for _round in races]
    seen_after_stop = {}

    def stop():
        for person, (pause, _other) in zip(races, starts, strict=True):
            together.wait()
            time.sleep(pause)
            withdraw(person)
            seen_after_stop[person.pk] = Attempt.objects.filter(message__subscriber=person).exists()

    def let_pass():
        for _other, pause in starts:
            together.wait()
            time.sleep(pause)
            fenced()

    assert at_once(stop, let_pass) == [None, None]
    attempted = set(Attempt.objects.values_list("message__subscriber", flat=True))
    assert [person for person in attempted if not seen_after_stop[person]] == []


# --- what stopped it ---------------------------------------------------------------------------


def test_what_stopped_a_message_is_kept_with_the_hours_and_the_counts(person, launched):
    message = launched_message(person, launched)
    Sender.objects.update(verified_at=None)
    fenced()
    message.refresh_from_db()
    stopped = message.stopped
    assert (stopped["rules"], stopped["local"]) == (["US", "US-NY"], ["Tue 13:00"])
    assert (stopped["of_day"], stopped["of_purpose"]) == (0, 0)
    assert stopped["notice"] == message.consent.notice_id


def test_what_waits_for_morning_says_why(person, launched):
    message = launched_message(person, launched, deadline=AT + timedelta(days=1))
    night = AT + timedelta(hours=9)
    assert fenced(night) == []
    message.refresh_from_db()
    told = " ".join(decisions.at_the_fence(message.stopped))
    assert "America/New_York Tue 22:00" in told
    assert quiet_hours.load().version in told


def test_one_statement_puts_aside_all_that_are_stopped_alike(people, launched):
    people(new_york(2))
    launched()
    Campaign.objects.update(status="cancelled", cancelled_at=AT)
    few = queries(fenced)
    people(new_york(40))
    launched()
    Campaign.objects.filter(status="sending").update(status="cancelled", cancelled_at=AT)
    assert queries(fenced) == few
