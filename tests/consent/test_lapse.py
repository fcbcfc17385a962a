"""An opt-in that nobody confirmed in time lapses, and so does one for a time; neither refuses."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from audit.models import Entry
from consent import ledger, tasks
from consent.admission import Fate
from consent.models import Consent, Notice, Purpose, Suppression
from tests.conftest import Clock, Enrol
from tests.consent.conftest import ADA, BOB, Draft, Permitted, Withdraw

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
Lapse = Callable[[datetime], int]


@pytest.fixture
def lapse(purpose: Purpose) -> Lapse:
    def lapsed(at: datetime) -> int:
        return ledger.lapse(purpose=purpose, by="worker", at=at)

    return lapsed


@pytest.fixture
def over(purpose: Purpose, at: datetime) -> datetime:
    """When an opt-in of now that nobody confirms is over."""
    return at + purpose.confirm_within * DAY


def expire(when: datetime) -> None:
    Consent.objects.update(expires_at=when)


# --- what is not confirmed ---------------------------------------------------------------------


def test_what_nobody_confirmed_lapses_after_the_days_of_its_purpose(
    person: Enrol, lapse: Lapse, over: datetime
) -> None:
    person(confirmed=False)
    assert lapse(over - SECOND) == 0
    assert lapse(over) == 1
    assert Consent.objects.get().lapsed_at == over


def test_each_purpose_has_its_own_days(
    person: Enrol, lapse: Lapse, purpose: Purpose, at: datetime
) -> None:
    Purpose.objects.update(confirm_within=3)
    purpose.refresh_from_db()
    person(confirmed=False)
    assert (lapse(at + 3 * DAY - SECOND), lapse(at + 3 * DAY)) == (0, 1)


def test_the_days_count_from_when_it_was_recorded(
    person: Enrol, lapse: Lapse, over: datetime, at: datetime
) -> None:
    """A list may tell of an opt-in of last year; its person gets as long to answer."""
    person(confirmed=False, given_at=at - 300 * DAY)
    assert lapse(over - SECOND) == 0


def test_what_was_confirmed_stays(
    person: Enrol, lapse: Lapse, permitted: Permitted, over: datetime
) -> None:
    person()
    assert lapse(over + 999 * DAY) == 0
    assert permitted()


def test_a_purpose_that_asks_for_no_confirmation_loses_nobody(
    person: Enrol, news: Purpose, news_notice: Notice, over: datetime
) -> None:
    person(confirmed=False, notice=news_notice)
    assert ledger.lapse(purpose=news, by="worker", at=over + 999 * DAY) == 0


def test_what_lapses_is_of_one_purpose(person: Enrol, news: Purpose, over: datetime) -> None:
    person(confirmed=False)
    assert ledger.lapse(purpose=news, by="worker", at=over) == 0
    assert Consent.objects.open().count() == 1


def test_what_was_withdrawn_does_not_lapse_as_well(
    person: Enrol, withdraw: Withdraw, lapse: Lapse, over: datetime
) -> None:
    person(confirmed=False)
    withdraw()
    assert lapse(over) == 0
    assert Consent.objects.get().lapsed_at is None


# --- what was granted for a time ---------------------------------------------------------------


@pytest.mark.parametrize("confirmed", [True, False])
def test_what_was_granted_until_a_time_lapses_then(
    person: Enrol, lapse: Lapse, at: datetime, confirmed: bool
) -> None:
    person(confirmed=confirmed)
    expire(at + DAY)
    assert lapse(at + DAY - SECOND) == 0
    assert lapse(at + DAY) == 1


def test_what_was_granted_until_a_time_lapses_without_a_confirmation_too(
    person: Enrol, news: Purpose, news_notice: Notice, at: datetime
) -> None:
    person(confirmed=False, notice=news_notice)
    person(BOB, confirmed=False, notice=news_notice)
    Consent.objects.filter(subscriber=person(BOB, notice=news_notice)).update(expires_at=at + DAY)
    assert ledger.lapse(purpose=news, by="worker", at=at + DAY) == 1


# --- what a lapse is ---------------------------------------------------------------------------


def test_a_lapse_is_no_withdrawal_and_refuses_nothing(
    person: Enrol, lapse: Lapse, permitted: Permitted, over: datetime
) -> None:
    person(confirmed=False)
    lapse(over)
    consent = Consent.objects.get()
    assert (consent.withdrawn_at, consent.lapsed_at) == (None, over)
    assert not Suppression.objects.exists()
    assert not permitted()


def test_who_lapsed_may_opt_in_again(
    person: Enrol, lapse: Lapse, draft: Draft, purpose: Purpose, over: datetime
) -> None:
    person(confirmed=False)
    lapse(over)
    anew = draft(given_at=over + DAY, confirmed_at=over + DAY)
    [outcome] = ledger.enrol(opt_ins=[anew], purpose=purpose, by="web", at=over + DAY)
    assert outcome.fate == Fate.ACCEPTED
    assert Consent.objects.count() == 2
    assert Consent.objects.open().get().given_at == over + DAY


def test_what_lapsed_is_not_confirmed_any_more(
    person: Enrol, lapse: Lapse, permitted: Permitted, over: datetime
) -> None:
    person(confirmed=False)
    lapse(over)
    consent = Consent.objects.get()
    assert not ledger.confirm(consent=consent, evidence="YES", by="person", at=over)
    assert not permitted()


def test_what_is_over_is_not_confirmed_even_if_no_task_came_by(
    person: Enrol, over: datetime
) -> None:
    person(confirmed=False)
    consent = Consent.objects.get()
    assert not ledger.confirm(consent=consent, evidence="YES", by="person", at=over)
    assert Consent.objects.get().lapsed_at == over


def test_it_lapses_once_and_the_trail_tells_how_many(
    person: Enrol, lapse: Lapse, purpose: Purpose, over: datetime
) -> None:
    person(ADA, confirmed=False)
    person(BOB, confirmed=False)
    assert (lapse(over), lapse(over + DAY)) == (2, 0)
    entry = Entry.objects.get(verb="consents.lapsed")
    assert (entry.subject, entry.actor, entry.at) == (f"purpose:{purpose.pk}", "worker", over)
    assert entry.facts == {"consents": 2}
    assert {consent.lapsed_at for consent in Consent.objects.all()} == {over}


def test_the_trail_says_nothing_if_nothing_lapsed(
    person: Enrol, lapse: Lapse, at: datetime
) -> None:
    person(confirmed=False)
    before = Entry.objects.count()
    lapse(at)
    assert Entry.objects.count() == before


def test_if_the_trail_cannot_be_told_nothing_lapses(
    person: Enrol, purpose: Purpose, over: datetime
) -> None:
    person(confirmed=False)
    with pytest.raises(ValueError, match="an actor is"):
        ledger.lapse(purpose=purpose, by="somebody", at=over)
    assert Consent.objects.open().count() == 1


def test_the_task_closes_what_is_over_in_every_purpose(
    person: Enrol, news: Purpose, news_notice: Notice, clock: Clock, over: datetime
) -> None:
    person(confirmed=False)
    person(notice=news_notice)
    Consent.objects.filter(purpose=news).update(expires_at=over)
    tasks.lapse()
    assert Consent.objects.open().count() == 2
    clock.at = over
    tasks.lapse()
    assert not Consent.objects.open().exists()
    subjects = Entry.objects.filter(verb="consents.lapsed").values_list("subject", flat=True)
    assert len(set(subjects)) == 2
