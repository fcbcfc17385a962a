"""Each opt-in gets one text, never more: fenced, in hours that are permitted, answered with YES."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from audit.models import Entry
from campaigns import answers, conversation, delivery, verdicts
from campaigns.models import Attempt, Message, Reply, Sender
from config.encryption import blind_index
from consent import ledger, links, numbers, purposes, signup, wording
from consent.admission import Fate
from consent.models import Consent, Method, Purpose, Subscriber, Suppression
from tests.campaigns.conftest import NEW_YORK, fenced, is_due, kept, new_york, withdraw, write
from tests.conftest import AT, WORDINGS

NIGHT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)  # three in the morning in New York
MORNING = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)  # eight there
SOON, LATER = AT + timedelta(minutes=1), AT + timedelta(minutes=2)
YES = {"en": "YES", "es": "SI", "fr": "OUI", "de": "JA", "pt": "SIM"}  # as our own texts say
SHOWN = datetime(2025, 1, 1, tzinfo=UTC)
Status = Message.Status


@pytest.fixture(autouse=True)
def offers(purpose, notice, sender):
    sender.purposes.set([purpose])
    return purpose


def _another(code, **more):
    """A second purpose that people join by a form, with the same sender."""
    usual = {"name": code.title(), "promise": "Sales.", "double_opt_in": True, "frequency": 1}
    fields = {**usual, "period": Purpose.Period.WEEK, **more}
    purpose = purposes.define(code=code, by="command", at=AT, **fields)
    purposes.publish(
        purpose=purpose,
        language="en",
        wording=WORDINGS["current"],
        shown_from=SHOWN,
        by="command",
        at=AT,
    )
    Sender.objects.get().purposes.add(purpose)
    return purpose


def _by_form(purpose, number=NEW_YORK, at=AT, **more):
    """Someone ticked the box and gave this number."""
    facts = {"ip_address": "192.0.2.7", "user_agent": "Firefox"}
    outcome = signup.sign_up(
        number=numbers.parse(number),
        notice=purpose.notices.get(),
        method=Method.WEB_FORM,
        source="/join/",
        facts=facts,
        by="web",
        at=at,
        **{"given_at": at, **more},
    )
    return outcome.fate


def _ask(purpose, at=AT, **more):
    """Someone opted in by a form and was handed the text that asks to confirm."""
    assert _by_form(purpose, at=at, **more) == Fate.ACCEPTED
    conversation.confirm_opt_ins(at=at)
    [attempt] = fenced(at)
    return kept(attempt).message


def _queued(purpose, at=AT):
    """The text as it waits in the queue."""
    _by_form(purpose, at=at)
    conversation.confirm_opt_ins(at=at)
    return Message.objects.get(confirms__isnull=False)


def _permitted(at=LATER):
    return set(Consent.objects.permitting(at).values_list("purpose__code", flat=True))


def _texts():
    return list(Message.objects.filter(campaign=None).order_by("pk").values_list("body", flat=True))


# --- what it says ------------------------------------------------------------------------------


@pytest.mark.parametrize("language", sorted(answers.TEXTS))
@pytest.mark.parametrize("name", ["confirm", "welcome"])
def test_the_text_says_the_five_things_it_has_to(person, offers, language, name):
    words = answers.of_opt_in(name, language, offers, consent=person().consents.get().pk)
    lacking = wording.missing(words, business="Harbor Coffee")
    demanded = {wording.NAME, "that message and data rates may apply", "HELP", "STOP"}
    assert demanded.isdisjoint(lacking)
    assert "Offers" in words
    assert f"6/{answers.TEXTS[language]['month']}" in words


@pytest.mark.parametrize(("language", "word"), sorted(YES.items()))
def test_the_text_asks_for_a_word_that_confirms(offers, language, word):
    asked = _ask(offers, language=language)
    assert re.search(rf"\b{word}\b", asked.body)
    write(word, at=SOON)
    assert _permitted() == {"offers"}


def test_every_language_of_ours_was_tried():
    assert set(YES) == set(answers.TEXTS)


def test_a_language_that_we_have_no_words_in_is_answered_in_english(offers):
    assert _ask(offers, language="fi").body.startswith("Harbor Coffee: reply YES")


# --- when it goes ------------------------------------------------------------------------------


def test_by_day_it_goes_at_once(offers):
    _ask(offers)
    assert Message.objects.get().fenced_at == AT


def test_what_a_form_brought_by_night_waits_for_the_morning(offers):
    waiting = _queued(offers, at=NIGHT)
    assert waiting.due_at == MORNING
    assert not is_due(NIGHT)
    assert len(fenced(MORNING)) == 1


def test_the_fence_looks_at_the_hour_itself(offers):
    waiting = _queued(offers)
    assert fenced(NIGHT - timedelta(hours=6)) == []
    waiting.refresh_from_db()
    assert (waiting.status, waiting.reason) == (Status.WAITING, verdicts.OUTSIDE_WINDOW)
    assert waiting.due_at == MORNING


def test_what_a_form_brought_may_reach_the_phone_only_while_the_hours_last(offers):
    _ask(offers)
    assert Attempt.objects.get().found["closes_at"] == "2026-11-25T01:45:00.000000Z"


def test_it_leaves_from_the_verified_sender_of_its_purpose_in_that_country(offers, sender):
    unverified = Sender.objects.create(address="+12125550101")
    abroad = Sender.objects.create(address="+447700900100", countries="GB", verified_at=AT)
    another = Sender.objects.create(address="+12125550102", verified_at=AT)
    for one in (unverified, abroad):
        one.purposes.set([offers])
    sender.purposes.clear()
    another.purposes.set([offers])
    assert _ask(offers).sender == another


# --- fenced ------------------------------------------------------------------------------------


def _withdrawn(asked):
    withdraw(asked.subscriber)


def _suppressed(asked):
    """A refusal that closed no consent."""
    Suppression.objects.create(
        number_index=asked.subscriber.number_index, channel="provider", reason="test", at=AT
    )


def _lapsed(asked):
    Consent.objects.update(lapsed_at=AT)


def _confirmed(asked):
    Consent.objects.update(confirmed_at=AT)


def _expired(asked):
    Consent.objects.update(expires_at=AT)


@pytest.mark.parametrize("lost", [_withdrawn, _suppressed, _lapsed, _confirmed, _expired])
def test_what_is_left_to_nobody_to_confirm_is_not_sent(offers, lost):
    asked = _queued(offers)
    lost(asked)
    assert fenced() == []
    asked.refresh_from_db()
    assert (asked.status, asked.reason) == (Status.BLOCKED, verdicts.NOT_TO_BE_CONFIRMED)


def _retired(sender):
    Sender.objects.update(verified_at=None)


def _of_another_country(sender):
    Sender.objects.update(countries="GB")


@pytest.mark.parametrize("lost", [_retired, _of_another_country])
def test_nothing_leaves_from_a_sender_that_was_lost(offers, sender, lost):
    asked = _queued(offers)
    lost(sender)
    assert fenced() == []
    asked.refresh_from_db()
    assert (asked.status, asked.reason) == (Status.BLOCKED, verdicts.SENDER)


def test_nothing_leaves_without_a_sender(offers, sender):
    sender.purposes.clear()
    asked = _queued(offers)
    assert fenced() == []
    asked.refresh_from_db()
    assert (asked.sender, asked.status, asked.reason) == (None, Status.BLOCKED, verdicts.SENDER)


def test_what_is_a_day_late_is_not_sent(offers):
    asked = _queued(offers)
    assert fenced(AT + timedelta(hours=24)) == []
    asked.refresh_from_db()
    assert (asked.status, asked.reason) == (Status.EXPIRED, verdicts.TOO_LATE)


# --- once --------------------------------------------------------------------------------------


def test_the_queue_is_filled_once(offers):
    _by_form(offers)
    assert conversation.confirm_opt_ins(at=AT) == 1
    assert conversation.confirm_opt_ins(at=SOON) == 0
    assert len(_texts()) == 1


def test_who_fills_in_the_form_again_is_not_asked_again(offers):
    _ask(offers)
    assert _by_form(offers, at=SOON) == Fate.MERGED
    assert conversation.confirm_opt_ins(at=SOON) == 0


def test_what_could_not_be_sent_is_not_tried_by_another_text(offers, sender):
    sender.purposes.clear()
    _queued(offers)
    fenced()
    sender.purposes.set([offers])
    assert conversation.confirm_opt_ins(at=SOON) == 0


def test_who_has_stopped_is_not_asked_by_a_form(offers):
    write("STOP")
    assert _by_form(offers, at=SOON) == Fate.SUPPRESSED
    assert conversation.confirm_opt_ins(at=SOON) == 0


def test_what_a_list_brings_is_not_asked(person):
    person(confirmed=False)
    assert conversation.confirm_opt_ins(at=AT) == 0


def test_who_did_not_confirm_is_in_no_campaign_and_gets_nothing_else(offers, launched):
    _ask(offers)
    campaign = launched()
    assert not campaign.messages.exists()
    assert delivery.turn(at=AT + timedelta(days=2)) == 0


def test_who_did_not_confirm_in_time_is_let_go(offers):
    _ask(offers)
    assert ledger.lapse(purpose=offers, by="worker", at=AT + timedelta(days=30)) == 1
    assert not Consent.objects.open().exists()


# --- yes ---------------------------------------------------------------------------------------


def test_a_yes_confirms_and_is_welcomed(offers):
    asked = _ask(offers)
    reply = write("yes!", at=SOON)
    consent = asked.confirms
    consent.refresh_from_db()
    assert consent.confirmed_at == SOON
    assert str(reply.pk) in consent.confirmed_with
    assert _texts()[1].startswith("Harbor Coffee: you will get Offers, up to 6/month.")
    assert Entry.objects.filter(verb="consent.confirmed").count() == 1


def test_a_second_yes_does_nothing(offers):
    _ask(offers)
    write("YES", at=SOON)
    write("YES", at=LATER)
    assert Consent.objects.get().confirmed_at == SOON
    assert len(_texts()) == 2


def test_a_yes_confirms_what_was_asked_last_and_nothing_else(offers):
    _ask(offers)
    _ask(_another("events"), at=SOON)
    write("YES", at=LATER)
    assert _permitted() == {"events"}


def test_a_yes_is_of_what_was_asked_last_though_it_was_given_first(offers):
    """A form on paper may be typed in, and asked about, after one on the web."""
    _ask(offers)
    _ask(_another("events"), at=SOON, given_at=AT - timedelta(days=3))
    write("YES", at=LATER)
    assert _permitted() == {"events"}


def test_a_yes_confirms_nothing_that_the_phone_was_not_asked(offers):
    """The text waits for the morning: whatever this yes means, it is no answer to it."""
    _queued(offers, at=NIGHT)
    write("YES", at=NIGHT)
    assert _permitted(MORNING) == set()


def test_a_yes_before_the_next_question_left_is_of_the_last(offers):
    _ask(offers)
    _by_form(_another("events"), at=SOON)
    conversation.confirm_opt_ins(at=SOON)
    write("YES", at=SOON)
    assert _permitted() == {"offers"}


@pytest.mark.parametrize("lost", [_retired, _of_another_country])
def test_a_yes_confirms_nothing_whose_question_was_not_sent(offers, sender, lost):
    _queued(offers)
    lost(sender)
    fenced()
    write("YES", at=SOON)
    assert _permitted() == set()


def test_a_yes_of_a_stranger_creates_nothing():
    write("YES")
    assert not Subscriber.objects.exists()
    assert not Consent.objects.exists()
    assert _texts() == []


def test_a_yes_of_another_phone_confirms_nothing(offers):
    _ask(offers)
    write("YES", number=new_york(1)[0], at=SOON)
    assert _permitted() == set()


@pytest.mark.parametrize("text", ["YES?", "yes but later", "ok", "yesterday"])
def test_what_is_no_plain_yes_confirms_nothing(offers, text):
    _ask(offers)
    write(text, at=SOON)
    assert _permitted() == set()


def test_a_yes_after_a_stop_does_nothing(offers):
    _ask(offers)
    write("STOP", at=SOON)
    write("YES", at=LATER)
    assert _permitted() == set()
    assert Suppression.objects.standing().count() == 1
    assert len(_texts()) == 2  # the question, and that it is stopped


def test_a_yes_restores_nothing(person):
    person()
    write("STOP")
    write("YES", at=LATER)
    assert _permitted() == set()
    assert len(_texts()) == 1


def test_a_yes_after_the_time_to_confirm_does_nothing(offers):
    _ask(offers)
    late = AT + timedelta(days=30)
    write("YES", at=late)
    assert _permitted(late) == set()
    assert len(_texts()) == 1
    assert Consent.objects.get().lapsed_at == late


def test_a_yes_told_twice_is_one(offers):
    _ask(offers)
    write("YES", sid="SM1", at=SOON)
    write("YES", sid="SM1", at=LATER)
    assert Consent.objects.get().confirmed_at == SOON


def test_a_start_before_the_yes_confirms_nothing(offers):
    _ask(offers)
    write("STOP", at=SOON)
    write("START", at=LATER)
    assert _permitted() == set()


# --- a purpose that asks for no confirmation ---------------------------------------------------


def test_who_need_not_confirm_is_welcomed_once(offers):
    Purpose.objects.update(double_opt_in=False)
    assert _ask(offers).body.startswith("Harbor Coffee: you will get Offers, up to 6/month.")
    assert conversation.confirm_opt_ins(at=SOON) == 0
    assert _permitted() == {"offers"}


def test_a_yes_to_a_welcome_is_not_welcomed_again(offers):
    Purpose.objects.update(double_opt_in=False)
    _ask(offers)
    write("YES", at=SOON)
    assert len(_texts()) == 1


def test_a_yes_is_of_the_question_though_a_welcome_came_after_it(offers):
    _ask(offers)
    _ask(_another("news", double_opt_in=False), at=SOON)
    write("YES", at=LATER)
    assert _permitted() == {"offers", "news"}


# --- the link ----------------------------------------------------------------------------------


def _tables():
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - our own names
            yield from (str(row) for row in cursor.fetchall())


def test_the_link_is_signed_when_it_is_handed_over_and_stands_in_no_table(offers, provider):
    _by_form(offers)
    conversation.confirm_opt_ins(at=AT)
    delivery.turn(at=AT)
    [sent] = provider.accepted()
    address, token = re.search(r"Or open (http://127.0.0.1:9/yes/([^/]+)/)$", sent["body"]).groups()
    assert links.read(links.CONFIRM, token) == Consent.objects.get().pk
    secret = token.rpartition(".")[2]
    assert not [row for row in _tables() if secret in row or address in row]


def test_a_link_that_waited_is_as_young_as_its_message(offers):
    body = _queued(offers).body
    with time_machine.travel(AT, tick=False):
        first = answers.with_links(body)
    with time_machine.travel(AT + timedelta(days=29), tick=False):
        second = answers.with_links(body)
    assert first != second


def test_a_persons_own_words_are_never_a_link(offers):
    """The name of a purpose may hold braces; only our own mark is one."""
    Purpose.objects.update(name="{confirm} {preferences 1}")
    words = answers.with_links(_queued(Purpose.objects.get()).body)
    assert "{confirm} {preferences 1}" in words
    assert len(re.findall("https://", words)) == 1


# --- in the trail ------------------------------------------------------------------------------


def test_the_attempt_says_what_allowed_it(offers):
    asked = _ask(offers)
    decision = Attempt.objects.get().found
    assert decision["allowed_by"] == "the person's own opt-in"
    assert decision["consent"] == str(asked.confirms_id)


def test_a_question_and_its_reply_leave_no_number_in_the_clear(offers):
    _ask(offers)
    write("YES", at=SOON)
    assert Reply.objects.get().number_index == blind_index.of(NEW_YORK)
    assert not [row for row in _tables() if NEW_YORK[2:] in row]


def test_a_claim_of_a_question_is_its_own(offers, person, launched):
    """What people wait for goes out before any campaign."""
    person(new_york(1)[0])
    launched()
    _queued(offers)
    assert [attempt.message.answer.confirms is not None for attempt in fenced()] == [True]
