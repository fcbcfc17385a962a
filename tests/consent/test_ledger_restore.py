"""A person's own START gives back what their STOP took, and nothing else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection

from audit.models import Entry
from config.encryption import blind_index
from consent.models import Consent, Method, Notice, Purpose, Subscriber, Suppression
from tests.conftest import Enrol
from tests.consent.conftest import ADA, BOB, Permitted, Restore, Withdraw

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
OTHERS = sorted(set(Suppression.Channel) - {Suppression.Channel.SMS})
STAFF = Suppression.Channel.STAFF


@pytest.fixture
def limited(person: Enrol, notice: Notice, at: datetime) -> Callable[[datetime], Consent]:
    """A confirmed consent that ends by itself."""

    def consent(ends: datetime) -> Consent:
        given = at - 30 * DAY
        return Consent.objects.create(
            subscriber=Subscriber.objects.create(
                number=ADA, number_index=blind_index.of(ADA), area=person(BOB).area, language="en"
            ),
            purpose=notice.purpose,
            notice=notice,
            method=Method.WEB_FORM,
            given_at=given,
            recorded_at=given,
            confirmed_at=given,
            expires_at=ends,
        )

    return consent


def test_a_start_gives_back_what_the_stop_took(
    person: Enrol, withdraw: Withdraw, restore: Restore, permitted: Permitted, at: datetime
) -> None:
    person()
    withdraw(at=at - DAY)
    assert not permitted()
    assert restore() == 1
    assert permitted()
    assert Suppression.objects.get().lifted_at == at


def test_what_comes_back_is_a_new_period_that_names_the_old_one(
    person: Enrol, withdraw: Withdraw, restore: Restore, notice: Notice, at: datetime
) -> None:
    ada = person()
    withdraw(at=at - DAY)
    old = Consent.objects.get()
    restore()
    new = Consent.objects.open().get()
    assert (new.subscriber, new.purpose, new.notice) == (ada, notice.purpose, notice)
    assert (new.method, new.source) == (Method.RESTORED, f"consent {old.pk.hex}")
    assert (new.evidence, new.given_at, new.recorded_at, new.confirmed_at) == (
        "reply 7",
        at,
        at,
        at,
    )
    old.refresh_from_db()
    assert old.withdrawn_at == at - DAY


def test_every_purpose_that_the_stop_took_comes_back(
    person: Enrol,
    withdraw: Withdraw,
    restore: Restore,
    permitted: Permitted,
    news: Purpose,
    news_notice: Notice,
) -> None:
    person()
    person(notice=news_notice, confirmed=False)
    withdraw()
    assert restore() == 2
    assert permitted()
    assert permitted(about=news)


def test_the_trail_tells_what_came_back(
    person: Enrol, withdraw: Withdraw, restore: Restore, at: datetime
) -> None:
    ada = person()
    withdraw()
    restore()
    entry = Entry.objects.get(verb="consent.restored")
    new = Consent.objects.open().get()
    assert (entry.subject, entry.actor, entry.at) == (f"subscriber:{ada.pk}", "person", at)
    assert entry.facts == {"consents": [new.pk.hex], "evidence": new.commitment}


def test_a_start_without_a_stop_changes_nothing(person: Enrol, restore: Restore) -> None:
    person()
    before = Entry.objects.count()
    assert restore() == 0
    assert Consent.objects.count() == 1
    assert Entry.objects.count() == before


def test_a_start_from_a_stranger_lifts_the_stop_and_creates_nobody(
    withdraw: Withdraw, restore: Restore
) -> None:
    withdraw()
    assert restore() == 0
    assert not Suppression.objects.standing().exists()
    assert not Subscriber.objects.exists()
    assert Entry.objects.get(verb="consent.restored").subject.startswith("index:")


@pytest.mark.parametrize("channel", OTHERS)
def test_a_start_lifts_no_refusal_of_another_channel(
    person: Enrol,
    withdraw: Withdraw,
    restore: Restore,
    permitted: Permitted,
    channel: Suppression.Channel,
) -> None:
    person()
    withdraw(channel=channel)
    assert restore() == 0
    assert Suppression.objects.standing().get().channel == channel
    assert not permitted()


@pytest.mark.parametrize("channel", OTHERS)
def test_nothing_comes_back_while_another_channel_refuses(
    person: Enrol,
    withdraw: Withdraw,
    restore: Restore,
    permitted: Permitted,
    channel: Suppression.Channel,
) -> None:
    person()
    withdraw()
    withdraw(channel=channel)
    assert restore() == 0  # or the person is told that they are subscribed again
    assert not permitted()
    assert Suppression.objects.standing().get().channel == channel


def test_a_start_is_one_persons(
    person: Enrol, withdraw: Withdraw, restore: Restore, permitted: Permitted
) -> None:
    for number in (ADA, BOB):
        person(number)
        withdraw(number)
    restore(BOB)
    assert permitted(BOB)
    assert not permitted(ADA)


def test_what_was_withdrawn_before_the_stop_stays_closed(
    person: Enrol,
    withdraw: Withdraw,
    restore: Restore,
    permitted: Permitted,
    purpose: Purpose,
    news: Purpose,
    news_notice: Notice,
    at: datetime,
) -> None:
    person()
    person(notice=news_notice)
    withdraw(purpose=news, channel=STAFF, at=at - DAY)
    Suppression.objects.update(lifted_at=at)
    withdraw(at=at - MINUTE)
    assert restore() == 1
    assert permitted()
    assert not Consent.objects.open().filter(purpose=news).exists()


def test_what_was_never_confirmed_does_not_come_back_confirmed(
    person: Enrol, withdraw: Withdraw, restore: Restore, permitted: Permitted
) -> None:
    person(confirmed=False)
    withdraw()
    assert restore() == 0
    assert not permitted()


def test_what_had_expired_before_the_stop_does_not_come_back(
    limited: Callable[[datetime], Consent], withdraw: Withdraw, restore: Restore, at: datetime
) -> None:
    limited(at - 2 * DAY)
    withdraw(at=at - DAY)
    assert restore() == 0
    assert not Consent.objects.open().filter(subscriber__number_index=blind_index.of(ADA)).exists()


def test_what_comes_back_ends_when_it_would_have_ended(
    limited: Callable[[datetime], Consent], withdraw: Withdraw, restore: Restore, at: datetime
) -> None:
    consent = limited(at + DAY)
    withdraw(at=at - DAY)
    assert restore() == 1
    back = Consent.objects.open().get(subscriber=consent.subscriber)
    assert back.expires_at == at + DAY


def test_stop_and_start_may_follow_each_other_for_ever(
    person: Enrol, withdraw: Withdraw, restore: Restore, permitted: Permitted, at: datetime
) -> None:
    person()
    for turn in range(3):
        assert withdraw(at=at - DAY + 2 * turn * MINUTE)
        assert not permitted()
        assert restore(at=at - DAY + (2 * turn + 1) * MINUTE) == 1
        assert permitted()
    assert Consent.objects.count() == 4
    assert Suppression.objects.filter(lifted_at__isnull=False).count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_starts_at_once_give_back_once(
    person: Enrol, withdraw: Withdraw, restore: Restore
) -> None:
    person()
    withdraw()
    together = Barrier(3, timeout=20)

    def act() -> int:
        with closing(connection):
            together.wait()
            return restore()

    with ThreadPoolExecutor(3) as threads:
        counts = list(threads.map(lambda _turn: act(), range(3)))
    assert sorted(counts) == [0, 0, 1]
    assert Consent.objects.open().count() == 1
