"""What may be a STOP suppresses at once; an operator judges afterwards, and only what it took."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client

from audit import roles
from audit.models import Detail, Entry
from campaigns import conversation
from campaigns.conversation import ReviewRefused
from campaigns.models import Message, Reply
from consent.models import Consent, Method, Purpose, Suppression
from tests.campaigns.conftest import (
    NEW_YORK,
    fenced,
    meanwhile,
    new_york,
    on_postgresql,
    verbs,
    wait_until_somebody_waits_for_a_lock,
    withdraw,
    write,
)
from tests.conftest import AT

SOON, LATER = AT + timedelta(minutes=1), AT + timedelta(minutes=2)
MAYBE = "too many messages"
WHY = "She wrote about her inbox at work."
QUEUE = "/admin/campaigns/reply/?review=waiting"
JUDGES = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER]
Channel = Suppression.Channel


@pytest.fixture(autouse=True)
def _a_sender(sender):
    """All that these tests write goes to a sender of ours."""


@pytest.fixture
def clerk(operators):
    return operators(roles.SUBSCRIBER_MANAGER)


@pytest.fixture
def judge(clerk):
    """Keeps or undoes what a reply took, a little later."""

    def judged(reply, verb=conversation.undo, *, at=LATER):
        return verb(reply=reply, note=WHY, by=clerk, at=at)

    return judged


@pytest.fixture
def events(person, notice):
    """A second purpose that the person of NEW_YORK wanted for ten days."""
    someone = person(NEW_YORK)
    purpose = Purpose.objects.create(
        code="events", name="Events", promise="x", frequency=1, period=Purpose.Period.WEEK
    )
    given_at = AT - timedelta(days=10)
    Consent.objects.create(
        subscriber=someone,
        purpose=purpose,
        notice=notice,
        method=Method.PAPER_FORM,
        source="test",
        given_at=given_at,
        recorded_at=given_at,
        confirmed_at=given_at,
    )
    return purpose


def _permitted(at=LATER):
    return set(Consent.objects.permitting(at).values_list("purpose__code", flat=True))


def _texts():
    return list(Message.objects.filter(campaign=None).order_by("pk").values_list("body", flat=True))


# --- at once -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [MAYBE, "not interested", "I don't want this", "cancel. the order was wrong"]
)
def test_what_may_be_a_stop_suppresses_at_once(person, text):
    someone = person()
    assert write(text).intent == "likely_stop"
    assert _permitted(AT) == set()
    assert Suppression.objects.standing().get(number_index=someone.number_index).purpose is None


def test_it_is_answered_with_how_to_take_it_back(person):
    person()
    answer = write(MAYBE).answer
    assert answer.body == (
        "Harbor Coffee: we understood STOP and will send no more messages."
        " If you did not mean that, reply START. Help: harbor.example/help"
    )
    assert answer.not_after == AT + timedelta(minutes=5)
    assert len(fenced()) == 1


def test_a_second_one_is_not_answered(person):
    person()
    write(MAYBE)
    write("not interested", at=SOON)
    assert len(_texts()) == 1


def test_one_after_a_stop_is_not_answered_and_one_before_it_neither(person):
    person()
    write("STOP")
    write(MAYBE, at=SOON)
    write("STOP", at=LATER)
    assert len(_texts()) == 1


def test_the_persons_own_start_gives_back_what_it_took(person, events):
    write(MAYBE)
    write("START", at=SOON)
    assert _permitted() == {"offers", "events"}
    assert "subscribed again" in _texts()[1]


def test_it_waits_in_the_review_queue_until_it_is_judged(person, judge):
    person()
    reply = write(MAYBE)
    write("STOP", number=new_york(1)[0])
    assert list(Reply.objects.unjudged()) == [reply]
    judge(reply)
    assert not Reply.objects.unjudged().exists()


# --- keep --------------------------------------------------------------------------------------


def test_a_word_that_it_was_a_stop_leaves_the_refusal(person, judge, clerk):
    person()
    reply = write(MAYBE)
    judge(reply, conversation.keep)
    assert _permitted() == set()
    reply.refresh_from_db()
    assert (reply.verdict, reply.judged_by, reply.judged_at) == ("kept", clerk, LATER)


def test_a_word_is_on_record_with_its_reason(person, judge, clerk):
    person()
    reply = write(MAYBE)
    judge(reply, conversation.keep)
    told = Entry.objects.get(subject=f"reply:{reply.pk}", verb="reply.kept")
    assert told.actor == f"operator:{clerk.pk}"
    assert Detail.objects.get(entry=told).text == WHY


# --- undo --------------------------------------------------------------------------------------


def test_an_undo_gives_back_exactly_what_it_took(person, events, judge, clerk):
    someone = person(NEW_YORK)
    withdraw(someone, channel=Channel.PAGE, purpose=events, at=AT - timedelta(days=1))
    reply = write(MAYBE)
    assert judge(reply) == 1
    assert _permitted() == {"offers"}
    reopened = someone.consents.open().get()
    assert (reopened.method, reopened.given_at) == (Method.RESTORED, LATER)
    assert str(reply.pk) in reopened.evidence
    reply.refresh_from_db()
    assert (reply.verdict, reply.judged_by, reply.judged_at) == ("undone", clerk, LATER)


def test_an_undo_is_on_record_with_its_reason(person, judge, clerk):
    someone = person()
    judge(write(MAYBE))
    told = Entry.objects.get(verb="refusal.undone")
    assert (told.actor, told.subject) == (f"operator:{clerk.pk}", f"subscriber:{someone.pk}")
    assert told.facts["lifted"] == 1
    assert told.facts["consents"] == [someone.consents.open().get().pk.hex]
    assert Detail.objects.get(entry=told).text == WHY


def test_the_trail_of_the_reply_itself_tells_of_the_undo(person, judge):
    person()
    reply = write(MAYBE)
    judge(reply)
    assert len(verbs(f"reply:{reply.pk}")) == 2


def test_an_undo_confirms_nobody(person, judge):
    person(confirmed=False)
    assert judge(write(MAYBE)) == 0
    assert _permitted() == set()


def test_an_undo_tells_the_person_nothing(person, judge):
    person()
    judge(write(MAYBE))
    assert len(_texts()) == 1


def test_an_undo_lifts_nobody_elses_refusal(person, judge):
    person()
    withdraw(person(new_york(1)[0]))
    judge(write(MAYBE))
    assert Suppression.objects.standing().count() == 1


@pytest.mark.parametrize("channel", [Channel.STAFF, Channel.PAGE, Channel.PROVIDER, Channel.FORM])
@pytest.mark.parametrize("at", [AT - timedelta(days=1), AT, SOON])
def test_an_undo_touches_no_refusal_that_came_another_way(person, judge, channel, at):
    someone = person()
    if at <= AT:
        withdraw(someone, channel=channel, at=at)
    reply = write(MAYBE)
    if at > AT:
        withdraw(someone, channel=channel, at=at)
    judge(reply)
    assert Suppression.objects.standing().get().channel == channel
    assert _permitted() == set()


def test_an_undo_leaves_a_stop_that_came_before(person, judge):
    person()
    write("STOP", at=AT - timedelta(days=1))
    assert judge(write(MAYBE)) == 0
    assert _permitted() == set()
    assert Suppression.objects.standing().count() == 1


@pytest.mark.parametrize("text", ["STOP", "not interested"])
def test_an_undo_is_refused_after_another_stop(person, judge, text):
    person()
    reply = write(MAYBE)
    write(text, at=SOON)
    with pytest.raises(ReviewRefused, match="asked to stop again"):
        judge(reply)
    assert _permitted() == set()
    reply.refresh_from_db()
    assert reply.judged_at is None


def test_another_persons_stop_stands_in_no_way(person, judge):
    person()
    reply = write(MAYBE)
    write("STOP", number=new_york(1)[0], at=SOON)
    assert judge(reply) == 1


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_stop_that_comes_while_it_is_undone_is_not_lost(person, judge):
    person()
    reply = write(MAYBE)
    with ExitStack() as after_commit, transaction.atomic():
        write("STOP", at=SOON)
        after_commit.enter_context(meanwhile(lambda: judge(reply)))
        wait_until_somebody_waits_for_a_lock()
    assert _permitted() == set()


@pytest.mark.parametrize("verb", [conversation.keep, conversation.undo])
@pytest.mark.parametrize("first", [conversation.keep, conversation.undo])
def test_what_was_judged_is_judged_for_good(person, judge, first, verb):
    person()
    reply = write(MAYBE)
    judge(reply, first, at=SOON)
    allowed = _permitted()
    with pytest.raises(ReviewRefused, match="judged already"):
        judge(reply, verb)
    assert _permitted() == allowed


@pytest.mark.parametrize("text", ["STOP", "hello", "HELP", "START"])
@pytest.mark.parametrize("verb", [conversation.keep, conversation.undo])
def test_nothing_else_is_judged(person, judge, verb, text):
    person()
    with pytest.raises(ReviewRefused):
        judge(write(text), verb)
    assert Entry.objects.filter(verb__in=["reply.kept", "refusal.undone"]).count() == 0


def test_an_undo_after_the_persons_own_start_gives_nothing_twice(person, judge):
    someone = person()
    reply = write(MAYBE)
    write("START", at=SOON)
    assert judge(reply) == 0
    assert someone.consents.open().count() == 1


# --- the page ----------------------------------------------------------------------------------


def _page_of(reply):
    return f"/admin/campaigns/reply/{reply.pk}/judge/"


def _words(answer):
    return " ".join(answer.content.decode().split())


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("role", JUDGES)
def test_those_who_may_find_it_in_the_queue_and_judge_it(person, signed_in, role):
    person()
    reply, browser = write(MAYBE), signed_in(role)
    assert f"/admin/campaigns/reply/{reply.pk}/change/" in _words(browser.get(QUEUE))
    page = _words(browser.get(_page_of(reply)))
    assert MAYBE in page
    assert "may be asking to stop, as in “too many texts”" in page
    assert NEW_YORK[2:] not in page
    told = browser.post(_page_of(reply), {"verdict": "undo", "note": WHY}, follow=True)
    assert "Your word is on record." in _words(told)
    assert _permitted() == {"offers"}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    "answer", [{"verdict": "undo"}, {"note": WHY}, {"verdict": "x", "note": "y"}]
)
def test_a_word_needs_a_verdict_and_a_reason(person, signed_in, answer):
    person()
    reply, browser = write(MAYBE), signed_in(roles.SUBSCRIBER_MANAGER)
    page = browser.post(_page_of(reply), answer)
    assert page.context["form"].errors
    assert Reply.objects.unjudged().exists()


@pytest.mark.usefixtures("clock")
def test_the_page_says_why_a_word_is_refused(person, signed_in):
    person()
    reply, browser = write(MAYBE), signed_in(roles.SUBSCRIBER_MANAGER)
    write("STOP", at=SOON)
    told = browser.post(_page_of(reply), {"verdict": "undo", "note": WHY}, follow=True)
    assert "This person has asked to stop again since; the refusal stands." in _words(told)
    assert _permitted() == set()


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("role", sorted(set(roles.ROLES) - set(JUDGES)))
@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_else_judges(person, signed_in, role, method):
    person()
    reply, browser = write(MAYBE), signed_in(role)
    answer = getattr(browser, method)(_page_of(reply), {"verdict": "undo", "note": WHY})
    assert answer.status_code == 403
    assert _permitted() == set()


def test_who_is_not_signed_in_is_sent_away(person):
    person()
    answer = Client().post(_page_of(write(MAYBE)), {"verdict": "undo", "note": WHY})
    assert answer.status_code == 302
    assert _permitted() == set()
