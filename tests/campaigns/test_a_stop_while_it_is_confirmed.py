"""A STOP and the text that asks to confirm, at the same instant: none leaves after the STOP."""

import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from random import Random

import pytest
from django.db import transaction

from campaigns import conversation, verdicts
from campaigns.models import Attempt, Message
from consent import numbers, signup
from consent.models import Consent, Method, Subscriber
from tests.campaigns.conftest import (
    NEW_YORK,
    at_once,
    fenced,
    meanwhile,
    new_york,
    on_postgresql,
    wait_until_somebody_waits_for_a_lock,
    write,
)
from tests.conftest import AT

ROUNDS, SPREAD = 30, 0.01  # races, each begun within so many seconds
SOON = AT + timedelta(seconds=1)
Status = Message.Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _a_sender(purpose, sender):
    sender.purposes.set([purpose])


@pytest.fixture
def asked(notice):
    """So many people who filled in the form, and whose text waits in the queue."""

    def ask(count):
        for number in new_york(count):
            signup.sign_up(
                number=numbers.parse(number),
                notice=notice,
                method=Method.WEB_FORM,
                source="/join/",
                facts={"ip_address": "192.0.2.7", "user_agent": "Firefox"},
                given_at=AT,
                by="web",
                at=AT,
            )
        assert conversation.confirm_opt_ins(at=AT) == count

    return ask


def test_no_question_is_committed_after_a_stop_was(settings, asked):
    settings.CLAIM_SIZE = 1
    asked(ROUNDS)
    due = Message.objects.order_by("due_at", "id").select_related("subscriber")
    races = [message.subscriber for message in due]
    together, random = threading.Barrier(2, timeout=30), Random(1)
    starts = [(random.uniform(0, SPREAD), random.uniform(0, SPREAD)) for _round in races]
    seen_after_stop = {}

    def stop():
        for person, (pause, _other) in zip(races, starts, strict=True):
            together.wait()
            time.sleep(pause)
            write("STOP", number=person.number, at=SOON)
            asked = Attempt.objects.filter(message__confirms__subscriber=person)
            seen_after_stop[person.pk] = asked.exists()

    def let_pass():
        for _other, pause in starts:
            together.wait()
            time.sleep(pause)
            fenced()

    assert at_once(stop, let_pass) == [None, None]
    attempted = set(Attempt.objects.values_list("message__confirms__subscriber", flat=True))
    assert [person for person in attempted if not seen_after_stop[person]] == []
    assert not Consent.objects.open().exists()


@on_postgresql
def test_a_question_waits_for_a_stop_that_is_being_taken_in(asked):
    asked(1)
    person = Subscriber.objects.get()
    with ExitStack() as after_commit, transaction.atomic():
        write("STOP", number=person.number, at=SOON)
        passing = after_commit.enter_context(meanwhile(fenced))
        wait_until_somebody_waits_for_a_lock()
    assert passing.result() == []
    question = Message.objects.get(confirms__isnull=False)
    assert (question.status, question.reason) == (Status.BLOCKED, verdicts.NOT_TO_BE_CONFIRMED)


@on_postgresql
def test_a_yes_waits_for_a_stop_that_is_being_taken_in(asked):
    asked(1)
    fenced()
    number = Subscriber.objects.get().number
    with ExitStack() as after_commit, transaction.atomic():
        write("STOP", number=number, at=SOON)
        after_commit.enter_context(meanwhile(lambda: write("YES", number=number, at=SOON)))
        wait_until_somebody_waits_for_a_lock()
    assert Consent.objects.get().confirmed_at is None
    assert not Consent.objects.permitting(SOON).exists()


def test_two_who_fill_the_queue_at_once_ask_once(asked, notice):
    signup.sign_up(
        number=numbers.parse(NEW_YORK),
        notice=notice,
        method=Method.WEB_FORM,
        source="/join/",
        facts={"ip_address": "192.0.2.7", "user_agent": "Firefox"},
        given_at=AT,
        by="web",
        at=AT,
    )
    filled = at_once(*[lambda: conversation.confirm_opt_ins(at=AT)] * 3)
    assert sorted(filled) == [0, 0, 1]
    assert Message.objects.count() == 1
