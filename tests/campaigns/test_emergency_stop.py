"""An emergency stop acts at once on whoever may be in its place, and lifting lets messages go."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from audit import roles
from audit.models import Detail, Entry
from campaigns import conversation, decisions, dispatch, emergency, verdicts
from campaigns.models import Campaign, Message, Stop
from consent import numbers, purposes, signup
from consent.models import Area, Method, Notice, Purpose, Subscriber
from tests.campaigns.conftest import (
    AUSTRALIA,
    FLORIDA,
    LONDON,
    NEW_YORK,
    at_once,
    fenced,
    is_due,
    meanwhile,
    message_to,
    on_postgresql,
    queries,
    verbs,
    wait_until_somebody_waits_for_a_lock,
    withdraw,
    write,
)
from tests.campaigns.test_explain import explain_one
from tests.conftest import AT

MINUTE = timedelta(minutes=1)
Status = Message.Status
STOPPED = "Stopped for Florida by the emergency stop of 2026-11-24 18:00:00 UTC."


@pytest.fixture
def officer(operators):
    return operators(roles.PRIVACY_OFFICER)


@pytest.fixture
def halt(officer):
    """Stop sending to Florida now; `changes` replace the usual."""

    def stopped(jurisdiction="US-FL", **changes):
        usual = {"reason": "The governor declared an emergency.", "by": officer, "at": AT}
        return emergency.stop(jurisdiction=jurisdiction, **{**usual, **changes})

    return stopped


def _stands(message):
    message.refresh_from_db()
    return message.status, message.reason


# --- stopping ----------------------------------------------------------------------------------


def test_a_stop_is_kept_and_the_trail_tells_of_it(halt, officer):
    stop = halt()
    stop.refresh_from_db()
    assert (stop.jurisdiction, stop.by, stop.at, stop.lifted_at) == ("US-FL", officer, AT, None)
    entry = Entry.objects.get(subject=f"stop:{stop.pk}")
    assert (entry.verb, entry.actor) == ("stop.begun", f"operator:{officer.pk}")
    assert entry.facts == {"jurisdiction": "US-FL"}
    assert Detail.objects.get(entry=entry).text == stop.reason
    with connection.cursor() as cursor:
        cursor.execute("SELECT reason FROM campaigns_stop")
        assert "governor" not in cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"jurisdiction": "US-ZZ"}, "jurisdiction", "no such place"),
        ({"jurisdiction": "US-STRICTEST"}, "jurisdiction", "no such place"),
        ({"reason": ""}, "reason", "blank"),
        ({"reason": "Call (212) 555-0123"}, "reason", "Leave out"),
    ],
)
def test_a_stop_that_makes_no_sense_is_refused_in_words(halt, changes, field, words):
    with pytest.raises(ValidationError) as refusal:
        halt(**changes)
    assert words in " ".join(refusal.value.message_dict[field])
    assert not Stop.objects.exists()


def test_a_place_is_stopped_once_at_a_time(halt, officer):
    stop = halt()
    with pytest.raises(ValidationError, match="stopped there already"):
        halt()
    emergency.lift(stop=stop, by=officer, at=AT)
    assert halt().pk != stop.pk


@pytest.mark.django_db(transaction=True)
def test_of_two_stops_of_a_place_at_the_same_moment_one_is_kept(halt, officer):
    first, second = at_once(halt, halt)
    refused = [one for one in (first, second) if isinstance(one, ValidationError)]
    assert ["stopped there already" in str(one) for one in refused] == [True]
    assert Stop.objects.count() == Entry.objects.filter(verb="stop.begun").count() == 1


def test_the_database_refuses_a_second_stop_of_a_place(halt, officer):
    halt()
    with pytest.raises(IntegrityError), transaction.atomic():
        Stop.objects.create(jurisdiction="US-FL", reason="x", by=officer, at=AT)


def test_a_stop_is_lifted_once_and_the_trail_tells_of_it(halt, officer):
    stop = halt()
    assert emergency.lift(stop=stop, by=officer, at=AT + MINUTE) is True
    assert emergency.lift(stop=stop, by=officer, at=AT + 2 * MINUTE) is False
    stop.refresh_from_db()
    assert (stop.lifted_at, stop.lifted_by) == (AT + MINUTE, officer)
    assert verbs(f"stop:{stop.pk}") == ["stop.begun", "stop.lifted"]


def test_no_stop_is_edited_begun_again_or_deleted(halt, officer):
    stop = halt()
    ours = Stop.objects.filter(pk=stop.pk)
    for change in ({"jurisdiction": "US-GA"}, {"at": AT + MINUTE}):
        with pytest.raises(IntegrityError, match="never edited"), transaction.atomic():
            ours.update(**change)
    for half in ({"lifted_at": AT}, {"lifted_by": officer}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ours.update(**half)
    emergency.lift(stop=stop, by=officer, at=AT)
    with pytest.raises(IntegrityError, match="never edited"), transaction.atomic():
        ours.update(lifted_at=None, lifted_by=None)
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        ours.delete()


# --- at the fence ------------------------------------------------------------------------------


def test_a_campaign_under_way_stops_there_and_goes_on_elsewhere(halt, person, launched):
    stopped, other = person(FLORIDA), person(NEW_YORK)
    launched()
    halt()
    [attempt] = fenced()
    assert attempt.message_id == message_to(other).pk
    message = message_to(stopped)
    assert _stands(message) == (Status.WAITING, STOPPED)
    assert message.due_at == AT + 5 * MINUTE
    assert (message.claim, message.lease_until, message.settled_at) == (None, None, None)


def test_a_stop_by_a_clock_that_is_ahead_of_the_workers_holds_too(halt, person, launched):
    someone = person(FLORIDA)
    launched()
    halt(at=AT + MINUTE)
    assert fenced() == []
    assert message_to(someone).status == Status.WAITING


def test_the_record_of_the_message_names_the_stop(halt, person, launched):
    someone = person(FLORIDA)
    launched()
    stop = halt()
    fenced()
    record = message_to(someone).stopped
    since = "2026-11-24T18:00:00.000000Z"
    assert record["emergency_stops"] == [{"stop": str(stop.pk), "place": "Florida", "since": since}]
    assert record["rules"] == ["US", "US-FL"]
    said = "Emergency stop in force for Florida since 2026-11-24 18:00:00 UTC."
    assert said in decisions.at_the_fence(record)


@pytest.mark.parametrize(
    ("jurisdiction", "number", "waits"),
    [
        ("US-FL", FLORIDA, True),
        ("US-GA", FLORIDA, False),
        ("US", FLORIDA, True),
        ("US", LONDON, False),
        ("GB", LONDON, True),
        ("AU", AUSTRALIA, False),  # where it is night: it waits for the morning
        ("FR", LONDON, False),
        ("*", FLORIDA, True),
        ("*", LONDON, True),
    ],
)
def test_a_stop_holds_for_whoever_may_be_there(halt, person, launched, jurisdiction, number, waits):
    someone = person(number)
    launched(deadline=AT + timedelta(days=1))
    halt(jurisdiction)
    Message.objects.update(due_at=AT)
    fenced()
    message = message_to(someone)
    assert message.reason.startswith("Stopped for") is waits
    assert ("emergency_stops" in (message.stopped or {})) is (waits or jurisdiction == "AU")


@pytest.mark.parametrize(
    ("states", "waits"), [("", True), ("FL GA", True), ("GA", False), ("ZZ", True)]
)
def test_an_unknown_state_counts_as_every_state(halt, person, launched, states, waits):
    someone = person(FLORIDA)
    area = Area.objects.create(country="US", states=states, zones="America/New_York")
    Subscriber.objects.update(area=area)
    launched()
    halt()
    fenced()
    assert (message_to(someone).status == Status.WAITING) is waits


def test_of_two_stops_both_are_on_record_and_the_wider_is_the_reason(halt, person, launched):
    someone = person(FLORIDA)
    launched()
    halt("US-FL")
    halt("*")
    fenced()
    message = message_to(someone)
    assert message.reason.startswith("Stopped for all places")
    assert [told["place"] for told in message.stopped["emergency_stops"]] == [
        "all places",
        "Florida",
    ]


def test_a_stopped_message_expires_when_its_time_is_over_as_ever(halt, person, launched):
    someone = person(FLORIDA)
    launched(deadline=AT + 7 * MINUTE)
    halt()
    fenced()
    fenced(AT + 5 * MINUTE)
    message = message_to(someone)
    assert (message.status, message.due_at) == (Status.WAITING, AT + 7 * MINUTE)
    assert fenced(AT + 7 * MINUTE) == []
    assert _stands(message) == (Status.EXPIRED, verdicts.TOO_LATE)


def test_a_campaign_with_stopped_messages_is_not_finished(halt, person, launched):
    person(FLORIDA)
    launched()
    halt()
    fenced()
    dispatch.keep_time(at=AT + MINUTE)
    assert Campaign.objects.get().status == Campaign.Status.SENDING


def test_lifting_lets_messages_go_within_five_minutes(halt, person, launched, officer):
    someone = person(FLORIDA)
    launched()
    stop = halt()
    fenced()
    emergency.lift(stop=stop, by=officer, at=AT + MINUTE)
    assert not is_due(AT + 4 * MINUTE)
    [attempt] = fenced(AT + 5 * MINUTE)
    assert attempt.message_id == message_to(someone).pk
    assert "emergency_stops" not in attempt.found
    assert _stands(message_to(someone)) == (Status.CALLING, "")


def test_a_stopped_message_counts_for_no_cap_and_no_attempt(halt, person, launched):
    someone = person(FLORIDA)
    launched()
    halt()
    for turn in range(4):
        assert fenced(AT + 5 * turn * MINUTE) == []
    message = message_to(someone)
    assert (message.tries, message.fenced_at, message.attempts.count()) == (0, None, 0)
    assert message.stopped["of_day"] == 0


def test_whoever_withdrew_is_blocked_at_once_though_it_is_stopped(halt, person, launched):
    someone = person(FLORIDA)
    launched()
    halt()
    withdraw(someone)
    fenced()
    assert _stands(message_to(someone)) == (Status.BLOCKED, verdicts.NO_PERMISSION)


def test_a_cancelled_campaign_is_cancelled_though_it_is_stopped(halt, person, launched, operators):
    someone = person(FLORIDA)
    campaign = launched()
    halt()
    dispatch.cancel(campaign=campaign, by=operators(roles.CAMPAIGN_APPROVER), at=AT)
    assert message_to(someone).status == Status.CANCELLED


def test_the_fence_asks_for_stops_once_however_many_messages(halt, person, launched):
    person(FLORIDA)
    launched()
    few = queries(fenced)
    halt("FR")
    halt("US-GA")
    person(NEW_YORK)
    launched(name="Second")
    assert queries(fenced) <= few


# --- what people asked for themselves ----------------------------------------------------------


@pytest.mark.parametrize("words", ["HELP", "STOP"])
def test_the_answer_to_a_persons_own_reply_still_goes(halt, person, sender, words):
    person(FLORIDA)
    halt("*")
    reply = write(words, number=FLORIDA)
    [attempt] = fenced()
    assert attempt.message_id == reply.answer.pk


def _by_form(notice):
    facts = {"ip_address": "192.0.2.7", "user_agent": "Firefox"}
    signup.sign_up(
        number=numbers.parse(FLORIDA), notice=notice, method=Method.WEB_FORM, source="/join/",
        facts=facts, given_at=AT, by="web", at=AT,
    )  # fmt: skip
    conversation.confirm_opt_ins(at=AT + MINUTE)


def _by_keyword(notice):
    """By a word on a poster, so that nothing of it waits for permitted hours."""
    Purpose.objects.update(keywords="OFFERS")
    purposes.publish(
        purpose=notice.purpose, channel=Notice.Channel.KEYWORD, language="en",
        wording=notice.wording, shown_from=notice.shown_from, by="command", at=AT,
    )  # fmt: skip
    write("OFFERS", number=FLORIDA)


@pytest.mark.parametrize("opt_in", [_by_form, _by_keyword])
def test_the_confirmation_of_an_opt_in_waits_too_and_says_why(
    halt, notice, sender, opt_in, officer
):
    sender.purposes.set([notice.purpose])
    opt_in(notice)
    message = Message.objects.get(confirms__isnull=False)
    stop = halt()
    assert fenced(AT + MINUTE) == []
    assert _stands(message) == (Status.WAITING, STOPPED)
    assert [told["place"] for told in message.stopped["emergency_stops"]] == ["Florida"]
    emergency.lift(stop=stop, by=officer, at=AT + 2 * MINUTE)
    [attempt] = fenced(AT + 6 * MINUTE)
    assert attempt.message_id == message.pk


# --- together ----------------------------------------------------------------------------------


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_stop_that_commits_while_a_fence_waits_for_a_lock_is_obeyed(halt, person, launched):
    someone = person(FLORIDA)
    launched()
    with ExitStack() as after_commit, transaction.atomic():
        list(Subscriber.objects.select_for_update().values_list("pk"))
        passing = after_commit.enter_context(meanwhile(fenced))
        wait_until_somebody_waits_for_a_lock()
        [kept] = at_once(halt)
        assert isinstance(kept, Stop)
    assert passing.result() == []
    assert message_to(someone).status == Status.WAITING


# --- explain -----------------------------------------------------------------------------------


def test_explain_tells_of_a_stop_in_force_at_the_time_asked_for(halt, officer):
    stop = halt()
    emergency.lift(stop=stop, by=officer, at=AT + 60 * MINUTE)
    told = explain_one("window", FLORIDA)
    assert (told["open"], told["next_opening"], told["reasons"]) == (False, None, [STOPPED])
    for at in ("2026-11-24T17:59:59Z", "2026-11-24T19:00:00Z"):
        assert explain_one("window", FLORIDA, at=at)["open"] is True
    assert explain_one("window", LONDON)["open"] is True
