"""What a STOP covers, from a day on: everything, or everything and one question about topics."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from audit import roles
from audit.models import Entry
from campaigns.models import Message
from consent import opt_outs
from consent.models import Consent, Method, Purpose, StopScope, Subscriber, Suppression
from tests.campaigns.conftest import (
    NEW_YORK,
    fenced,
    meanwhile,
    new_york,
    on_postgresql,
    wait_until_somebody_waits_for_a_lock,
    write,
)
from tests.conftest import AT

SOON, DAY = AT + timedelta(minutes=1), timedelta(days=1)
EVERYTHING, ASK = StopScope.Scope.EVERYTHING, StopScope.Scope.ASK
STOPPED = (
    "Harbor Coffee: you are unsubscribed and will get no more messages. Reply START to resume."
)
ASKED = (
    "Harbor Coffee: you are unsubscribed from everything and will get no more messages."
    " To keep one topic, reply its number: 1 Events, 2 Offers"
)


@pytest.fixture
def officer(operators):
    return operators(roles.PRIVACY_OFFICER)


@pytest.fixture
def scope(officer):
    """Sets what a STOP covers from a time on."""

    def scoped(scope, effective_from=AT, *, at=AT):
        return opt_outs.set_scope(scope=scope, effective_from=effective_from, by=officer, at=at)

    return scoped


@pytest.fixture
def subscribed(person, notice, sender):
    """Someone who wants the Offers, and so many other purposes."""

    def subscribe(*others, number=NEW_YORK, **more):
        someone = person(number)
        for name in others:
            purpose, _new = Purpose.objects.get_or_create(
                code=name.lower(),
                defaults={"name": name, "promise": "x", "frequency": 1, "period": "week"},
            )
            _consent(someone, purpose, notice, **more)
        return someone

    return subscribe


def _consent(someone, purpose, notice, *, confirmed=True, expires_at=None):
    given_at = AT - timedelta(days=10)
    Consent.objects.create(
        subscriber=someone,
        purpose=purpose,
        notice=notice,
        method=Method.PAPER_FORM,
        source="test",
        given_at=given_at,
        recorded_at=given_at,
        confirmed_at=given_at if confirmed else None,
        expires_at=expires_at,
    )


def _texts():
    return list(Message.objects.order_by("pk").values_list("body", flat=True))


def _permitted(at=AT + 3 * DAY, number=NEW_YORK):
    ours = Consent.objects.permitting(at).filter(
        subscriber__in=Subscriber.objects.with_number(number)
    )
    return set(ours.values_list("purpose__code", flat=True))


# --- from when ---------------------------------------------------------------------------------


def test_a_stop_asks_nothing_unless_someone_says_that_it_should(subscribed):
    subscribed("Events")
    write("STOP")
    assert _texts() == [STOPPED]


def test_a_scope_holds_from_its_time_on(scope, subscribed):
    scope(ASK, AT + DAY)
    scope(EVERYTHING, AT + 2 * DAY)
    subscribed("Events")
    numbers = [NEW_YORK, *new_york(2)]
    for number in numbers[1:]:
        subscribed("Events", number=number)
    for number, at in zip(
        numbers, [AT + DAY - SOON.resolution, AT + DAY, AT + 2 * DAY], strict=True
    ):
        write("STOP", number=number, at=at)
    assert _texts() == [STOPPED, ASKED, STOPPED]


def test_the_past_is_not_set_anew(scope):
    with pytest.raises(ValidationError, match="not passed"):
        scope(ASK, AT - SOON.resolution)
    assert not StopScope.objects.exists()


def test_one_scope_holds_at_a_time(scope):
    scope(ASK)
    with pytest.raises(ValidationError):
        scope(EVERYTHING)


def test_the_trail_tells_who_set_it(scope, officer):
    scope(ASK)
    told = Entry.objects.get(verb="stop.scoped")
    assert told.actor == f"operator:{officer.pk}"
    assert told.facts["scope"] == "ask"


# --- the question ------------------------------------------------------------------------------


def test_everything_is_stopped_while_the_question_is_open(scope, subscribed):
    scope(ASK)
    someone = subscribed("Events")
    write("STOP")
    assert _texts() == [ASKED]
    assert _permitted() == set()
    assert not someone.consents.open().exists()
    assert Suppression.objects.standing().get().purpose is None
    assert len(fenced()) == 1


@pytest.mark.parametrize("others", [0, 1, 8, 9])
def test_it_is_asked_where_there_are_two_to_nine_topics(scope, subscribed, others):
    scope(ASK)
    subscribed(*(f"Topic {n}" for n in range(others)))
    write("STOP")
    [answer] = _texts()
    assert ("reply its number" in answer) == (1 <= others <= 8)


def test_only_what_the_person_really_gets_is_a_topic(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    subscribed("Unconfirmed", confirmed=False)
    subscribed("Over", expires_at=AT)
    write("STOP")
    assert _texts() == [ASKED]


def test_who_stops_again_is_not_asked_again(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("STOP", at=SOON)
    assert len(_texts()) == 1


def test_what_may_be_a_stop_is_not_asked_about_topics(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("too many messages")
    assert "reply START" in _texts()[0]


# --- the answer --------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "kept"), [("1", "events"), ("2", "offers"), (" 2 ", "offers")])
def test_a_number_keeps_one_topic(scope, subscribed, text, kept):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write(text, at=SOON)
    assert _permitted() == {kept}
    assert _texts()[1] == (
        f"Harbor Coffee: you keep {kept.title()} and get nothing else. Reply STOP to end it too."
    )


def test_what_was_not_kept_is_refused(scope, subscribed):
    scope(ASK)
    someone = subscribed("Events", "News")
    write("STOP")
    write("1", at=SOON)
    refused = Suppression.objects.standing().filter(number_index=someone.number_index)
    assert set(refused.values_list("purpose__code", "channel")) == {
        ("news", "sms"),
        ("offers", "sms"),
    }


def test_what_was_kept_is_a_new_period_with_its_evidence(scope, subscribed):
    scope(ASK)
    someone = subscribed("Events")
    write("STOP")
    chosen = write("1", at=SOON)
    kept = someone.consents.open().get()
    assert (kept.method, kept.given_at) == (Method.RESTORED, SOON)
    assert str(chosen.pk) in kept.evidence
    told = Entry.objects.get(verb="refusal.narrowed")
    assert told.facts == {
        "kept": kept.purpose_id,
        "consents": [kept.pk.hex],
        "evidence": kept.commitment,
    }


def test_the_answer_counts_within_a_day(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("1", at=AT + DAY)
    assert _permitted() == {"events"}


def test_a_late_answer_keeps_nothing(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("1", at=AT + DAY + SOON.resolution)
    assert _permitted() == set()
    assert len(_texts()) == 1


@pytest.mark.parametrize(
    "text", ["0", "3", "12", "10", "99999", "1st", "one", "1 2", "-1", "²", ""]
)
def test_what_is_no_number_of_a_topic_keeps_nothing(scope, subscribed, text):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write(text, at=SOON)
    assert _permitted() == set()
    assert len(_texts()) == 1


def test_silence_keeps_nothing(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    assert _permitted() == set()
    assert Suppression.objects.standing().get().purpose is None


def test_another_persons_number_keeps_nothing(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    other = new_york(1)[0]
    subscribed("Events", number=other)
    write("STOP")
    write("1", number=other, at=SOON)
    assert _permitted() == set()
    assert _permitted(number=other) == {"events", "offers"}
    assert len(_texts()) == 1


def test_a_second_answer_keeps_nothing_more(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("1", at=SOON)
    write("2", at=SOON + timedelta(minutes=1))
    assert _permitted() == {"events"}
    assert len(_texts()) == 2


def test_a_number_after_another_wish_keeps_nothing(scope, subscribed):
    """Only our last question is answered by a number."""
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("STOP", at=SOON)
    write("1", at=SOON + timedelta(minutes=1))
    assert _permitted() == set()


def test_a_number_that_nobody_asked_for_does_nothing(subscribed):
    subscribed("Events")
    write("STOP")
    write("1", at=SOON)
    assert _permitted() == set()


def test_a_stop_after_the_choice_stops_all(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("1", at=SOON)
    write("STOP", at=SOON + timedelta(minutes=1))
    assert _permitted() == set()
    assert _texts()[2] == STOPPED
    refused = Suppression.objects.standing().filter(purpose=None)
    assert refused.count() == 1


@pytest.mark.parametrize("channel", [Suppression.Channel.STAFF, Suppression.Channel.PROVIDER])
def test_a_choice_lifts_no_refusal_that_came_another_way(scope, subscribed, channel):
    scope(ASK)
    someone = subscribed("Events")
    write("STOP")
    Suppression.objects.create(
        number_index=someone.number_index, channel=channel, reason="test", at=SOON
    )
    write("1", at=SOON)
    assert _permitted() == set()
    assert len(_texts()) == 1


def test_a_start_after_the_choice_gives_the_rest_back(scope, subscribed):
    """A START gives back what the STOP took, of whatever was chosen between."""
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("1", at=SOON)
    write("START", at=SOON + timedelta(minutes=1))
    assert _permitted() == {"events", "offers"}


def test_a_choice_told_twice_is_one(scope, subscribed):
    scope(ASK)
    subscribed("Events")
    write("STOP")
    write("1", sid="SM1", at=SOON)
    write("1", sid="SM1", at=SOON)
    assert len(_texts()) == 2


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("text", "seconds"), [("1", 0), ("1", 2), ("START", 2)])
def test_a_stop_that_comes_beside_an_answer_is_not_lost(scope, subscribed, text, seconds):
    """Two texts of one person, so many seconds apart, are taken in at the same time."""
    scope(ASK)
    subscribed("Events")
    write("STOP")
    with ExitStack() as after_commit, transaction.atomic():
        write("STOP", at=SOON + timedelta(seconds=seconds))
        taking_in = meanwhile(lambda: write(text, at=SOON + timedelta(seconds=1)))
        after_commit.enter_context(taking_in)
        wait_until_somebody_waits_for_a_lock()
    assert _permitted() == set()
