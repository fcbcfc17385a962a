"""Opt-ins become consents, once each, and never against a refusal."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from threading import Event

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import Entry
from audit.trail import NotRecorded, instant
from consent import ledger
from consent.admission import CONFIRMED, MERGED, SUPPRESSED, WITHDRAWN, Fate
from consent.models import Area, Consent, Method, Notice, Purpose, Subscriber, Suppression
from tests.consent.conftest import ADA, BOB, Draft, Enrolling, Permitted, Restore, Withdraw

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
# Other workers of this test run have databases of their own on the same server.
WAITING = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database()
"""


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
    assert [entry.facts["confirmed_at"] for entry in entries] == [None, instant(at)]
    assert {(entry.actor, entry.at) for entry in entries} == {("command", at)}
    numbers = (ADA[1:], BOB[1:])
    assert not any(n in str(entry.facts) + entry.subject for entry in entries for n in numbers)


def test_the_trail_fixes_every_column_that_proves_a_consent(
    enrol: Enrolling, draft: Draft, at: datetime
) -> None:
    enrol(draft(evidence="seen", confirmed_at=at - DAY))
    consent = Consent.objects.get()
    assert Entry.objects.get(verb="consent.opened").facts == {
        "consent": consent.pk.hex,
        "subscriber": consent.subscriber_id.hex,
        "purpose": consent.purpose_id,
        "notice": consent.notice_id,
        "method": "web_form",
        "given_at": instant(at - 30 * DAY),
        "confirmed_at": instant(at - DAY),
        "evidence": hashlib.sha256(b"seen").hexdigest(),
    }


def test_a_consent_without_evidence_commits_to_none(enrol: Enrolling, draft: Draft) -> None:
    enrol(draft())
    consent = Consent.objects.get()
    assert (consent.evidence, consent.commitment, consent.opened_in) == ("", "", None)


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
    assert "2026-10-25 by web_form" in printed
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
    assert Entry.objects.get(verb="consent.confirmed").facts["confirmed_at"]
    assert permitted()


def test_a_confirmation_in_the_same_batch_needs_no_entry_of_its_own(
    enrol: Enrolling, draft: Draft, at: datetime
) -> None:
    outcomes = enrol(draft(), draft(confirmed_at=at - DAY))
    assert outcomes[1].reason == CONFIRMED.reason
    assert Consent.objects.get().confirmed_at == at - DAY
    assert Entry.objects.get(verb="consent.opened").facts["confirmed_at"] == instant(at - DAY)
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
    assert (outcome.fate, outcome.reason) == (Fate.SUPPRESSED, SUPPRESSED.reason)
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
    assert outcome.reason == (WITHDRAWN.reason if fate == Fate.REFUSED else "")
    assert Consent.objects.open().exists() == (fate == Fate.ACCEPTED)


def test_of_several_withdrawals_the_last_one_counts(
    enrol: Enrolling, draft: Draft, withdraw: Withdraw, at: datetime
) -> None:
    for days in (30, 20, 10):
        enrol(draft(given_at=at - days * DAY))
        withdraw(at=at - (days - 5) * DAY)
        lifted(at)
    [outcome] = enrol(draft(given_at=at - 8 * DAY))
    assert outcome.reason == WITHDRAWN.reason


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


# --- what nobody confirmed in time -------------------------------------------------------------


def test_an_opt_in_opens_a_new_consent_where_the_old_one_was_over(
    enrol: Enrolling, draft: Draft, purpose: Purpose, at: datetime
) -> None:
    enrol(draft())
    late = at + purpose.confirm_within * DAY
    fresh = draft(given_at=late - DAY, confirmed_at=late)
    [outcome] = ledger.enrol(opt_ins=[fresh], purpose=purpose, by="command", at=late)
    assert outcome.fate == Fate.ACCEPTED
    lapsed, opened = Consent.objects.order_by("recorded_at")
    assert (lapsed.lapsed_at, opened.lapsed_at) == (late, None)
    assert Subscriber.objects.reachable(purpose, at=late).exists()


def test_an_opt_in_joins_the_old_one_until_the_last_moment(
    enrol: Enrolling, draft: Draft, purpose: Purpose, at: datetime
) -> None:
    enrol(draft())
    late = at + purpose.confirm_within * DAY - SECOND
    [outcome] = ledger.enrol(opt_ins=[draft()], purpose=purpose, by="command", at=late)
    assert (outcome.fate, Consent.objects.get().lapsed_at) == (Fate.MERGED, None)


@pytest.mark.django_db(transaction=True)
def test_an_opt_in_and_a_stop_of_someone_whose_time_is_over_do_not_lock_each_other_out(
    enrol: Enrolling, draft: Draft, withdraw: Withdraw, purpose: Purpose, at: datetime
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer and locks no rows")
    enrol(draft())
    late = at + 2 * purpose.confirm_within * DAY

    def opt_in() -> None:
        with closing(connection):
            ledger.enrol(opt_ins=[draft()], purpose=purpose, by="command", at=late)

    with ThreadPoolExecutor(1) as workers:
        with transaction.atomic():
            list(Subscriber.objects.with_number(ADA).in_lock_order())
            done = workers.submit(opt_in)
            _wait_until_someone_waits()
            withdraw(at=late)
        done.result(timeout=20)
    assert not Consent.objects.open().exists()


def _wait_until_someone_waits() -> None:
    for _time in range(200):
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return
        Event().wait(0.05)
    pytest.fail("the other worker never came to wait")
