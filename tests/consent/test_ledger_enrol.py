"""Opt-ins become consents, once each, and never against a refusal."""

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from audit.models import Entry
from audit.trail import NotRecorded
from consent import ledger
from consent.admission import CONFIRMED, MERGED, Fate
from consent.models import Area, Consent, Method, Notice, Purpose, Subscriber, Suppression
from tests.consent.conftest import ADA, BOB, Draft, Enrolling, Permitted, Restore, Withdraw

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def lifted(at: datetime) -> None:
    """All refusals lifted, as after the person's own START, without anything given back."""
    Suppression.objects.update(lifted_at=at)


# --- what is written ---------------------------------------------------------------------------


def test_an_opt_in_of_a_new_number_is_a_subscriber_with_an_open_consent(
    enrol: Enrolling, draft: Draft, purpose: Purpose, notice: Notice, at: datetime
) -> None:
    [outcome] = enrol(
        draft(evidence="seen", confirmed_at=at - DAY, first_name="Ada", language="fr")
    )
    consent = Consent.objects.select_related("subscriber").get()
    person = consent.subscriber
    assert (outcome.fate, outcome.reason) == (Fate.ACCEPTED, "")
    assert (person.number, person.first_name, person.language) == (ADA, "Ada", "fr")
    assert (consent.purpose, consent.notice, consent.method) == (purpose, notice, Method.WEB_FORM)
    assert (consent.source, consent.evidence) == ("till", "seen")
    assert (consent.given_at, consent.recorded_at) == (at - 30 * DAY, at)
    assert (consent.confirmed_at, consent.withdrawn_at) == (at - DAY, None)


def test_the_trail_tells_of_each_consent_without_the_number(
    enrol: Enrolling, draft: Draft, at: datetime
) -> None:
    enrol(draft(), draft(BOB, confirmed_at=at))
    people = {f"subscriber:{person.pk}" for person in Subscriber.objects.all()}
    entries = Entry.objects.filter(verb="consent.opened").order_by("pk")
    assert {entry.subject for entry in entries} == people
    assert [entry.facts["confirmed"] for entry in entries] == [False, True]
    assert {(entry.actor, entry.at) for entry in entries} == {("command", at)}
    assert not any("555" in str(entry.facts) + entry.subject for entry in entries)


def test_outcomes_stand_in_the_order_of_the_opt_ins(
    enrol: Enrolling, draft: Draft, withdraw: Withdraw
) -> None:
    withdraw(BOB)
    fates = [outcome.fate for outcome in enrol(draft(), draft(BOB), draft(), draft("+12125550125"))]
    assert fates == [Fate.ACCEPTED, Fate.SUPPRESSED, Fate.MERGED, Fate.ACCEPTED]


def test_a_person_is_wherever_the_number_or_the_address_may_be(
    enrol: Enrolling, draft: Draft
) -> None:
    enrol(draft("+12125550123", region="FL"))
    area = Subscriber.objects.get().area
    assert (area.country, area.region, area.candidate_states) == ("US", "FL", ("FL", "NY"))
    assert set(area.candidate_zones) >= {"America/New_York", "America/Chicago"}


def test_people_of_one_place_share_an_area(enrol: Enrolling, draft: Draft) -> None:
    enrol(draft(), draft(BOB))
    enrol(draft("+12125550125"))
    assert Area.objects.count() == 1


def test_nothing_is_written_if_one_of_many_cannot_be(
    enrol: Enrolling, draft: Draft, at: datetime
) -> None:
    before = Entry.objects.count()
    with pytest.raises(IntegrityError, match="no_consent_from_the_future"):
        enrol(draft(), draft(BOB, given_at=at + SECOND))
    assert (Subscriber.objects.count(), Entry.objects.count()) == (0, before)


def test_an_actor_whom_nobody_knows_enrols_nobody(enrol: Enrolling, draft: Draft) -> None:
    with pytest.raises(NotRecorded):
        enrol(draft(), by="somebody")
    assert not Subscriber.objects.exists()


def test_an_opt_in_shows_nothing_personal_when_printed(draft: Draft) -> None:
    printed = repr(draft(first_name="Ada", evidence="from 203.0.113.7"))
    assert "till" in printed
    assert not [secret for secret in ("5550123", "Ada", "203.0.113.7") if secret in printed]


def test_a_batch_costs_the_same_statements_for_three_as_for_thirty(
    enrol: Enrolling, draft: Draft
) -> None:
    enrol(draft("+12125550199"))
    taken = []
    for first, count in ((100, 3), (110, 30)):
        batch = [draft(f"+12125550{number}") for number in range(first, first + count)]
        with CaptureQueriesContext(connection) as statements:
            enrol(*batch)
        taken.append(len(statements))
    assert taken[0] == taken[1]


# --- people who are on record ------------------------------------------------------------------


def test_the_same_opt_in_again_changes_nothing(enrol: Enrolling, draft: Draft) -> None:
    enrol(draft(first_name="Ada"))
    before, entries = Consent.objects.values().get(), Entry.objects.count()
    [outcome] = enrol(draft(first_name="Eve", language="de", source="elsewhere"))
    assert (outcome.fate, outcome.reason) == (Fate.MERGED, MERGED.reason)
    assert Consent.objects.values().get() == before
    assert Subscriber.objects.get().first_name == "Ada"
    assert Entry.objects.count() == entries


def test_a_number_twice_in_a_batch_is_one_person(enrol: Enrolling, draft: Draft) -> None:
    fates = [outcome.fate for outcome in enrol(draft(), draft())]
    assert fates == [Fate.ACCEPTED, Fate.MERGED]
    assert (Subscriber.objects.count(), Consent.objects.count()) == (1, 1)


def test_a_later_opt_in_may_bring_the_confirmation(
    enrol: Enrolling, draft: Draft, permitted: Permitted, at: datetime
) -> None:
    enrol(draft())
    assert not permitted()
    [outcome] = enrol(draft(confirmed_at=at - DAY))
    assert (outcome.fate, outcome.reason) == (Fate.MERGED, CONFIRMED.reason)
    assert Consent.objects.get().confirmed_at == at - DAY
    assert Entry.objects.get(verb="consent.confirmed").facts["confirmed"]
    assert permitted()


def test_a_confirmation_in_the_same_batch_needs_no_entry_of_its_own(
    enrol: Enrolling, draft: Draft, at: datetime
) -> None:
    outcomes = enrol(draft(), draft(confirmed_at=at - DAY))
    assert outcomes[1].reason == CONFIRMED.reason
    assert Consent.objects.get().confirmed_at == at - DAY
    assert Entry.objects.get(verb="consent.opened").facts["confirmed"]
    assert not Entry.objects.filter(verb="consent.confirmed").exists()


def test_nobody_confirms_before_they_opted_in(enrol: Enrolling, draft: Draft, at: datetime) -> None:
    enrol(draft())
    enrol(draft(confirmed_at=at - 60 * DAY))
    assert Consent.objects.get().confirmed_at == at - 30 * DAY


def test_a_confirmation_is_not_moved_by_another(
    enrol: Enrolling, draft: Draft, at: datetime
) -> None:
    enrol(draft(confirmed_at=at - 3 * DAY))
    [outcome] = enrol(draft(confirmed_at=at - DAY))
    assert outcome.reason == MERGED.reason
    assert Consent.objects.get().confirmed_at == at - 3 * DAY


# --- people who refused ------------------------------------------------------------------------


@pytest.mark.parametrize("channel", Suppression.Channel)
@pytest.mark.parametrize("narrow", [False, True])
def test_a_refusal_by_any_channel_stands_against_every_opt_in(
    enrol: Enrolling,
    draft: Draft,
    withdraw: Withdraw,
    purpose: Purpose,
    at: datetime,
    channel: Suppression.Channel,
    narrow: bool,
) -> None:
    withdraw(channel=channel, purpose=purpose if narrow else None, at=at - 90 * DAY)
    [outcome] = enrol(draft(given_at=at))
    assert (outcome.fate, outcome.reason) == (Fate.SUPPRESSED, ledger.SUPPRESSED)
    assert not Subscriber.objects.exists()
    assert Suppression.objects.standing().count() == 1


def test_a_refusal_of_another_purpose_stands_against_nothing_else(
    enrol: Enrolling, draft: Draft, withdraw: Withdraw, news: Purpose
) -> None:
    withdraw(purpose=news)
    assert [outcome.fate for outcome in enrol(draft())] == [Fate.ACCEPTED]


@pytest.mark.parametrize(
    ("later", "fate"),
    [(-DAY, Fate.REFUSED), (timedelta(), Fate.REFUSED), (SECOND, Fate.ACCEPTED)],
)
def test_only_an_opt_in_given_after_a_withdrawal_opens_a_consent_again(
    enrol: Enrolling,
    draft: Draft,
    withdraw: Withdraw,
    at: datetime,
    later: timedelta,
    fate: Fate,
) -> None:
    enrol(draft())
    withdraw(at=at - 10 * DAY)
    lifted(at)
    [outcome] = enrol(draft(given_at=at - 10 * DAY + later))
    assert outcome.fate == fate
    assert outcome.reason == (ledger.WITHDRAWN_SINCE if fate == Fate.REFUSED else "")
    assert Consent.objects.open().exists() == (fate == Fate.ACCEPTED)


def test_of_several_withdrawals_the_last_one_counts(
    enrol: Enrolling, draft: Draft, withdraw: Withdraw, at: datetime
) -> None:
    for days in (30, 20, 10):
        enrol(draft(given_at=at - days * DAY))
        withdraw(at=at - (days - 5) * DAY)
        lifted(at)
    [outcome] = enrol(draft(given_at=at - 8 * DAY))
    assert outcome.reason == ledger.WITHDRAWN_SINCE


def test_a_withdrawal_of_another_purpose_does_not_count(
    enrol: Enrolling,
    draft: Draft,
    withdraw: Withdraw,
    news: Purpose,
    news_notice: Notice,
    at: datetime,
) -> None:
    ledger.enrol(opt_ins=[draft(notice=news_notice)], purpose=news, by="command", at=at)
    withdraw(purpose=news)
    assert [outcome.fate for outcome in enrol(draft())] == [Fate.ACCEPTED]


def test_a_list_from_before_a_stop_and_a_start_gives_nothing_new(
    enrol: Enrolling, draft: Draft, withdraw: Withdraw, restore: Restore, at: datetime
) -> None:
    enrol(draft(confirmed_at=at - DAY))
    withdraw()
    restore()
    [outcome] = enrol(draft())
    assert outcome.fate == Fate.REFUSED
    assert Consent.objects.open().count() == 1
