"""An opt-out closes what is open and refuses from now on, whoever it comes from."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from audit import roles
from audit.models import Detail, Entry
from audit.trail import NotRecorded
from config.encryption import blind_index
from consent.admission import Fate
from consent.models import Consent, Notice, Purpose, Subscriber, Suppression
from tests.conftest import Enrol
from tests.consent.conftest import ADA, BOB, Draft, Enrolling, Permitted, Withdraw

DAY = timedelta(days=1)
HEAD_START = 0.3  # seconds in which the second of two threads comes to wait for the first
SMS, STAFF, PROVIDER = (Suppression.Channel[name] for name in ("SMS", "STAFF", "PROVIDER"))


def test_an_opt_out_closes_every_consent_and_refuses_all(
    withdraw: Withdraw,
    person: Enrol,
    permitted: Permitted,
    news: Purpose,
    news_notice: Notice,
    at: datetime,
) -> None:
    person()
    person(notice=news_notice)
    assert permitted()
    assert permitted(about=news)
    withdraw(channel=STAFF, reason="told to staff")
    assert {consent.withdrawn_at for consent in Consent.objects.all()} == {at}
    refusal = Suppression.objects.get()
    assert (refusal.number_index, refusal.purpose) == (blind_index.of(ADA), None)
    assert (refusal.channel, refusal.reason, refusal.at) == (STAFF, "told to staff", at)
    assert not permitted()
    assert not permitted(about=news)


def test_an_opt_out_of_one_purpose_leaves_the_others(
    withdraw: Withdraw, person: Enrol, permitted: Permitted, news: Purpose, news_notice: Notice
) -> None:
    person()
    person(notice=news_notice)
    withdraw(purpose=news)
    assert permitted()
    assert not permitted(about=news)
    assert Consent.objects.open().get().purpose != news


def test_an_opt_out_is_one_persons(withdraw: Withdraw, person: Enrol, permitted: Permitted) -> None:
    person()
    person(BOB)
    withdraw(BOB)
    assert permitted()


def test_a_number_that_never_subscribed_is_refused_all_the_same(
    withdraw: Withdraw, enrol: Enrolling, draft: Draft
) -> None:
    assert withdraw()
    assert [outcome.fate for outcome in enrol(draft())] == [Fate.SUPPRESSED]
    assert not Subscriber.objects.exists()


def test_only_the_first_opt_out_is_new(withdraw: Withdraw, person: Enrol, purpose: Purpose) -> None:
    person()
    assert withdraw(purpose=purpose)
    assert not withdraw(purpose=purpose)
    assert withdraw()  # wider than before
    assert not withdraw()
    assert not withdraw(purpose=purpose)
    assert not withdraw(channel=PROVIDER)


def test_an_opt_out_again_moves_no_date(withdraw: Withdraw, person: Enrol, at: datetime) -> None:
    person()
    withdraw(at=at - DAY)
    withdraw()
    assert Consent.objects.get().withdrawn_at == at - DAY
    assert Suppression.objects.get().at == at - DAY


def test_each_channel_has_its_own_refusal(withdraw: Withdraw) -> None:
    for channel in (*Suppression.Channel, STAFF):
        withdraw(channel=channel)
    channels = Suppression.objects.standing().values_list("channel", flat=True)
    assert sorted(channels) == sorted(Suppression.Channel)


def test_the_trail_tells_of_every_opt_out(withdraw: Withdraw, person: Enrol, at: datetime) -> None:
    ada = person()
    withdraw(by="gateway", channel=PROVIDER, reason="the provider says opted out")
    withdraw()
    first, second = Entry.objects.filter(verb="consent.withdrawn").order_by("pk")
    assert (first.subject, first.actor, first.at) == (f"subscriber:{ada.pk}", "gateway", at)
    assert first.facts == {
        "channel": "provider",
        "reason": "the provider says opted out",
        "closed": 1,
        "new": True,
    }
    assert (second.facts["closed"], second.facts["new"]) == (0, False)


def test_the_trail_names_a_stranger_by_the_beginning_of_the_index(withdraw: Withdraw) -> None:
    withdraw()
    assert Entry.objects.get().subject == f"index:{blind_index.of(ADA)[:16]}"


def test_a_note_stands_encrypted_beside_the_entry(
    withdraw: Withdraw, person: Enrol, operators: Callable[..., Any]
) -> None:
    person()
    clerk = operators(roles.SUBSCRIBER_MANAGER)
    withdraw(channel=STAFF, note="Ada called from +12125550123", by=clerk)
    entry = Entry.objects.get(verb="consent.withdrawn")
    assert entry.actor == f"operator:{clerk.pk}"
    assert len(entry.commitment) == 64
    assert Detail.objects.get(entry=entry).text == "Ada called from +12125550123"
    assert "Ada" not in str(Entry.objects.filter(pk=entry.pk).values().get())


@pytest.mark.parametrize("broken", [{"reason": "wrote from +12125550123"}, {"by": "somebody"}])
def test_an_opt_out_that_cannot_be_recorded_changes_nothing(
    withdraw: Withdraw, person: Enrol, permitted: Permitted, broken: dict[str, str]
) -> None:
    person()
    with pytest.raises(NotRecorded):
        withdraw(**broken)
    assert permitted()
    assert not Suppression.objects.exists()


# --- two at once -------------------------------------------------------------------------------


@contextmanager
def during(act: Callable[[], Any]) -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    """Does `act` in a transaction of another thread that is committed when the block ends.

    What the block hands to the function it is given is done meanwhile, in a third thread.
    """
    acted, commit = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(connection), transaction.atomic():
            act()
            acted.set()
            assert commit.wait(timeout=20)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(hold)
        try:
            assert acted.wait(timeout=20), first.result()
            yield lambda then: _beside(threads, then)
        finally:
            commit.set()
        first.result(timeout=20)


def _beside(threads: ThreadPoolExecutor, act: Callable[[], Any]) -> Future[Any]:
    def run() -> Any:
        with closing(connection):
            return act()

    second = threads.submit(run)
    threading.Event().wait(HEAD_START)
    return second


@pytest.mark.django_db(transaction=True)
def test_an_opt_out_waits_for_an_opt_in_that_is_being_written(
    withdraw: Withdraw, enrol: Enrolling, draft: Draft, person: Enrol, news_notice: Notice
) -> None:
    person(notice=news_notice)  # so that there is a row to wait for
    opt_in = draft()
    with during(lambda: enrol(opt_in)) as meanwhile:
        told = meanwhile(withdraw)
    assert told.result()
    assert not Consent.objects.open().exists()


@pytest.mark.django_db(transaction=True)
def test_an_opt_in_waits_for_an_opt_out_that_is_being_written(
    withdraw: Withdraw, enrol: Enrolling, draft: Draft, person: Enrol
) -> None:
    person()
    opt_in = draft()
    with during(withdraw) as meanwhile:
        outcomes = meanwhile(lambda: enrol(opt_in))
    assert [outcome.fate for outcome in outcomes.result()] == [Fate.SUPPRESSED]
    assert not Consent.objects.open().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["opt-in", "opt-out"])
def test_a_new_number_that_opts_in_and_out_at_once_is_not_messaged(
    withdraw: Withdraw,
    enrol: Enrolling,
    draft: Draft,
    permitted: Permitted,
    at: datetime,
    first: str,
) -> None:
    opt_in = draft(confirmed_at=at)
    acts: list[Callable[[], Any]] = [lambda: enrol(opt_in), withdraw]
    one, other = acts if first == "opt-in" else reversed(acts)
    with during(one) as meanwhile:
        done = meanwhile(other)
    done.result()
    assert Suppression.objects.standing().count() == 1
    assert not permitted()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False])
def test_many_opt_outs_of_one_number_at_once_are_one_refusal_and_new_once(
    withdraw: Withdraw, person: Enrol, known: bool
) -> None:
    person(ADA if known else BOB)
    together = threading.Barrier(4, timeout=20)

    def act() -> bool:
        with closing(connection):
            together.wait()
            return withdraw()

    with ThreadPoolExecutor(4) as threads:
        new = list(threads.map(lambda _turn: act(), range(4)))
    assert sorted(new) == [False, False, False, True]
    assert Suppression.objects.count() == 1
    assert Entry.objects.filter(verb="consent.withdrawn").count() == 4
