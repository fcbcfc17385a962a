"""What people write is done: a STOP at once and for whomever, a START for what STOP took."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import transaction

from audit.models import Entry
from campaigns.models import Message, Reply
from consent import ledger, numbers
from consent.admission import Fate
from consent.intake import OptIn
from consent.models import Consent, Method, Purpose, Subscriber, Suppression
from tests.campaigns.conftest import (
    NEW_YORK,
    fenced,
    meanwhile,
    new_york,
    on_postgresql,
    wait_until_somebody_waits_for_a_lock,
    withdraw,
    write,
)
from tests.conftest import AT

LATER = AT + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _a_sender(sender):
    """All that these tests write goes to a sender of ours."""


def _answers():
    return list(Message.objects.filter(campaign=None).order_by("pk").values_list("body", flat=True))


def _permitted(at=LATER):
    return set(Consent.objects.permitting(at).values_list("purpose__code", flat=True))


# --- stop --------------------------------------------------------------------------------------


def test_a_stop_closes_every_consent_and_refuses_from_then_on(person):
    someone = person()
    reply = write("Stop!")
    assert reply.intent == "stop"
    assert someone.consents.get().withdrawn_at == AT
    refusal = Suppression.objects.standing().get(number_index=someone.number_index)
    assert (refusal.channel, refusal.purpose, refusal.at) == ("sms", None, AT)


def test_a_stop_is_confirmed_once_in_five_minutes_and_without_marketing(person):
    person()
    reply = write("STOP")
    answer = reply.answer
    assert (answer.due_at, answer.not_after) == (AT, AT + timedelta(minutes=5))
    assert answer.body == (
        "Harbor Coffee: you are unsubscribed and will get no more messages. Reply START to resume."
    )


def test_a_second_stop_is_kept_and_not_answered(person):
    person()
    write("STOP")
    second = write("unsubscribe", at=LATER)
    assert second.intent == "stop"
    assert len(_answers()) == 1
    assert Reply.objects.count() == 2


def test_a_stop_reaches_a_number_that_was_never_seen():
    write("STOP", number=NEW_YORK)
    assert not Subscriber.objects.exists()
    assert Suppression.objects.standing().count() == 1
    assert len(_answers()) == 1


def test_a_list_cannot_enrol_who_stopped_before_they_were_known(notice):
    write("STOP", number=NEW_YORK)
    opt_in = OptIn.of(
        numbers.parse(NEW_YORK),
        notice_id=notice.pk,
        method=Method.WEB_FORM,
        source="test",
        given_at=AT - timedelta(days=1),
        confirmed_at=AT,
    )
    [outcome] = ledger.enrol(opt_ins=[opt_in], purpose=notice.purpose, by="command", at=LATER)
    assert outcome.fate == Fate.SUPPRESSED


def test_the_confirmation_goes_out_although_the_number_is_suppressed(person):
    someone = person()
    write("STOP")
    [attempt] = fenced()
    assert attempt.message.answer.body.startswith("Harbor Coffee: you are unsubscribed")
    assert Suppression.objects.standing().filter(number_index=someone.number_index).exists()


def test_a_confirmation_that_is_late_is_not_sent(person):
    person()
    write("STOP")
    late = AT + timedelta(minutes=5)
    assert fenced(late) == []
    assert Message.objects.get(campaign=None).status == Message.Status.EXPIRED


@pytest.mark.parametrize("number", ["12345", "+33639980123", "not a number"])
def test_a_stop_counts_however_the_provider_spells_the_number(number):
    write("STOP", number=number)
    assert Suppression.objects.standing().count() == 1


def test_a_stop_in_another_spelling_is_of_the_same_person(person):
    someone = person(NEW_YORK)
    write("STOP", number="+1 (212) 555-0123")
    assert someone.consents.get().withdrawn_at == AT


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False])
def test_two_stops_at_once_are_confirmed_once(person, known):
    if known:
        person(NEW_YORK)
    with ExitStack() as after_commit, transaction.atomic():
        write("STOP", number=NEW_YORK)
        after_commit.enter_context(meanwhile(lambda: write("STOP", number=NEW_YORK)))
        wait_until_somebody_waits_for_a_lock()
    assert Reply.objects.count() == 2
    assert len(_answers()) == 1


# --- help, and nothing -------------------------------------------------------------------------


def test_help_is_answered_and_changes_nothing(person):
    person()
    write("HELP")
    [answer] = _answers()
    assert answer.startswith("Harbor Coffee: Offers, 6/month. Msg & data rates may apply.")
    assert "Help: harbor.example/help. Reply STOP to cancel." in answer
    assert _permitted() == {"offers"}


def test_help_leads_a_person_to_what_they_agreed_to_and_a_stranger_nowhere(person):
    someone = person()
    write("HELP")
    write("HELP", number=new_york(1)[0])
    known, stranger = _answers()
    assert known.endswith(f" {{preferences {someone.pk.hex}}}")
    assert stranger == (
        "Harbor Coffee: Msg & data rates may apply. Help: harbor.example/help."
        " Reply STOP to cancel."
    )


def test_help_says_how_to_stop_even_to_who_stopped():
    write("STOP")
    write("HELP")
    assert "STOP to cancel" in _answers()[1]


@pytest.mark.parametrize("text", ["When do you open?", "please cancel my order", "", "👍"])
def test_what_asks_for_nothing_is_kept_and_not_answered(person, text):
    person()
    reply = write(text)
    assert (reply.intent, reply.text) == ("none", text)
    assert _answers() == []
    assert _permitted() == {"offers"}


# --- start -------------------------------------------------------------------------------------


def test_everyone_is_answered_in_their_own_language(person):
    person(language="es")
    write("STOP")
    write("START", at=LATER)
    assert [answer[:34] for answer in _answers()] == [
        "Harbor Coffee: se ha dado de baja ",
        "Harbor Coffee: esta suscrito de nu",
    ]


def test_a_start_gives_back_what_the_stop_took(person):
    someone = person()
    write("STOP")
    write("START", at=AT + timedelta(minutes=1))
    assert _permitted() == {"offers"}
    reopened = someone.consents.open().get()
    assert (reopened.method, reopened.given_at) == (Method.RESTORED, AT + timedelta(minutes=1))
    assert "subscribed again" in _answers()[1]


def _purpose(code):
    return Purpose.objects.create(
        code=code, name=code, promise="x", frequency=1, period=Purpose.Period.WEEK
    )


def _enrol(number, notice, purpose, *, confirmed=True):
    """Another purpose's consent of the same person, under the same wording."""
    given_at = AT - timedelta(days=9)
    Consent.objects.create(
        subscriber=Subscriber.objects.with_number(number).get(),
        purpose=purpose,
        notice=notice,
        method=Method.PAPER_FORM,
        source="test",
        given_at=given_at,
        recorded_at=given_at,
        confirmed_at=given_at if confirmed else None,
    )


def test_a_start_gives_back_only_what_the_stop_took(person, notice):
    someone = person(NEW_YORK)
    dropped, unconfirmed = _purpose("dropped"), _purpose("unconfirmed")
    _enrol(NEW_YORK, notice, dropped)
    _enrol(NEW_YORK, notice, unconfirmed, confirmed=False)
    staff = Suppression.Channel.STAFF
    withdraw(someone, channel=staff, purpose=dropped, at=AT - timedelta(days=1))
    write("STOP")
    write("START", at=AT + timedelta(minutes=1))
    open_now = set(someone.consents.open().values_list("purpose__code", flat=True))
    assert open_now == _permitted() == {"offers"}


@pytest.mark.parametrize("channel", [Suppression.Channel.STAFF, Suppression.Channel.PROVIDER])
def test_a_start_lifts_no_refusal_that_came_another_way(person, channel):
    someone = person()
    withdraw(someone, channel=channel)
    write("START", at=LATER)
    assert _permitted() == set()
    assert _answers() == []
    assert Suppression.objects.standing().count() == 1


@pytest.mark.parametrize("channel", [Suppression.Channel.STAFF, Suppression.Channel.PROVIDER])
def test_who_refused_in_two_ways_is_not_messaged_after_a_start(person, channel):
    someone = person()
    write("STOP")
    withdraw(someone, channel=channel, at=AT + timedelta(minutes=1))
    write("START", at=AT + timedelta(minutes=2))
    assert _permitted() == set()


def test_nobody_is_told_of_a_subscription_that_stays_refused(person):
    someone = person()
    write("STOP")
    withdraw(someone, channel=Suppression.Channel.STAFF, at=AT + timedelta(minutes=1))
    write("START", at=AT + timedelta(minutes=2))
    assert not any("subscribed again" in answer for answer in _answers())


def test_a_start_of_someone_who_never_stopped_creates_nothing():
    write("START", number=NEW_YORK)
    assert not Subscriber.objects.exists()
    assert not Consent.objects.exists()
    assert _answers() == []


def test_a_start_subscribes_nobody_who_stopped_before_they_were_known():
    write("STOP", number=NEW_YORK)
    write("START", number=NEW_YORK, at=LATER)
    assert not Consent.objects.exists()
    assert len(_answers()) == 1


def test_a_stop_after_a_start_is_confirmed_again(person):
    person()
    for minute, text in enumerate(["STOP", "START", "STOP"]):
        write(text, at=AT + timedelta(minutes=minute))
    assert len(_answers()) == 3
    assert _permitted() == set()


# --- told twice, or to nobody ------------------------------------------------------------------


@pytest.mark.parametrize("text", ["STOP", "START", "HELP", "hi"])
def test_what_is_told_twice_is_done_once(person, text):
    person()
    first = write(text, sid="SM1")
    done = (Reply.objects.count(), len(_answers()), Entry.objects.count())
    assert write(text, sid="SM1", at=LATER) is None
    assert (Reply.objects.count(), len(_answers()), Entry.objects.count()) == done
    assert first is not None


def test_a_replayed_stop_does_not_undo_a_later_start(person):
    person()
    write("STOP", sid="SM1")
    write("START", sid="SM2", at=AT + timedelta(minutes=1))
    write("STOP", sid="SM1", at=AT + timedelta(minutes=2))
    assert _permitted() == {"offers"}


def test_a_replayed_start_does_not_undo_a_later_stop(person):
    person()
    for minute, (text, sid) in enumerate(
        [("STOP", "SM1"), ("START", "SM2"), ("STOP", "SM3"), ("START", "SM2")]
    ):
        write(text, sid=sid, at=AT + timedelta(minutes=minute))
    assert _permitted() == set()


def test_a_stop_to_a_sender_that_is_not_registered_stops_all_the_same(person):
    someone = person()
    write("STOP", to="+12125550199")
    assert not someone.consents.open().exists()
    assert Suppression.objects.standing().exists()
    assert not Message.objects.exists()  # there is nothing to answer from


# --- the account of it -------------------------------------------------------------------------


def test_a_reply_leaves_its_entry_and_no_number(person):
    someone = person()
    reply = write("STOP")
    told = Entry.objects.get(subject=f"reply:{reply.pk}")
    assert (told.verb, told.actor, told.facts) == ("reply.received", "person", {"intent": "stop"})
    withdrawn = Entry.objects.get(verb="consent.withdrawn")
    assert withdrawn.subject == f"subscriber:{someone.pk}"
    everything = " ".join(str(row) for row in Entry.objects.values_list())
    assert NEW_YORK[1:] not in everything


def test_a_reply_shows_its_number_masked():
    reply = write("hi")
    assert NEW_YORK[2:] not in f"{reply}{reply!r}{reply.masked_number}"
    assert reply.number == NEW_YORK


def test_a_very_long_text_is_cut_to_what_a_message_holds():
    assert len(write("x" * 5000).text) == 1600


def test_a_stop_that_fails_half_way_leaves_no_reply_so_that_it_can_be_told_again(
    person, monkeypatch
):
    person()
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "withdraw", lambda **_stop: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write("STOP", sid="SM1")
    assert not Reply.objects.exists()
    write("STOP", sid="SM1")
    assert _permitted() == set()


def test_answers_to_many_go_out_together(people):
    for number in new_york(3):
        write("HELP", number=number)
    assert len(fenced()) == 3
