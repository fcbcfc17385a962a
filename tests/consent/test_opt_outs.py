"""An opt-out told to staff: kept as it came, in effect with its number, and late or not by law."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from audit import roles, trail
from audit.models import Detail, Entry, Operator
from config.encryption import blind_index
from consent import numbers, opt_outs
from consent.models import Consent, Notice, OptOutRequest, Purpose, StopScope, Suppression
from tests.conftest import Enrol
from tests.consent.conftest import ADA, BOB, Permitted

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
SAID = "Ada called: no more texts, please."
DUE = datetime(2026, 12, 10, tzinfo=UTC)  # ten business days after 24 November, past Thanksgiving
Record = Callable[..., OptOutRequest]
Honour = Callable[..., None]


@pytest.fixture
def clerk(operators: Callable[..., Operator]) -> Operator:
    return operators(roles.SUBSCRIBER_MANAGER)


@pytest.fixture
def record(clerk: Operator, at: datetime) -> Record:
    """A telephone call of today; without a number unless one is given."""

    def recorded(number: str = "", **more: Any) -> OptOutRequest:
        usual = {"channel": OptOutRequest.Channel.PHONE, "received_at": at, "note": SAID}
        parsed = numbers.parse(number) if number else None
        return opt_outs.record(**{**usual, "number": parsed, "by": clerk, "at": at, **more})

    return recorded


@pytest.fixture
def honour(clerk: Operator, at: datetime) -> Honour:
    def honoured(request: OptOutRequest, number: str = ADA, *, at: datetime = at) -> None:
        opt_outs.honour(request=request, number=numbers.parse(number), by=clerk, at=at)

    return honoured


def verbs(request: OptOutRequest) -> list[str]:
    told = Entry.objects.filter(subject=f"opt_out:{request.pk}").order_by("pk")
    return list(told.values_list("verb", flat=True))


# --- with a number -----------------------------------------------------------------------------


def test_with_a_number_it_takes_effect_at_once(
    record: Record, person: Enrol, permitted: Permitted, at: datetime
) -> None:
    person()
    person(BOB)
    request = record(ADA)
    assert (request.number_index, request.honoured_at) == (blind_index.of(ADA), at)
    assert not permitted()
    assert permitted(BOB)
    refusal = Suppression.objects.get()
    assert (refusal.channel, refusal.purpose) == (Suppression.Channel.STAFF, None)
    assert (refusal.reason, refusal.at) == ("told to staff by telephone call", at)


def test_a_number_that_nobody_knows_is_refused_all_the_same(record: Record) -> None:
    record(ADA)
    assert Suppression.objects.against(blind_index.of(ADA)).exists()


def test_it_may_be_of_one_purpose(
    record: Record, person: Enrol, permitted: Permitted, news: Purpose, news_notice: Notice
) -> None:
    person()
    person(notice=news_notice)
    record(ADA, purpose=news)
    assert permitted()
    assert not permitted(about=news)


@pytest.mark.parametrize("channel", OptOutRequest.Channel)
def test_every_channel_is_kept_and_named_in_the_refusal(
    record: Record, channel: OptOutRequest.Channel
) -> None:
    assert record(ADA, channel=channel).channel == channel
    assert Suppression.objects.get().reason == f"told to staff by {channel.label}"


def test_if_it_cannot_take_effect_nothing_is_kept(
    record: Record, person: Enrol, permitted: Permitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    person()
    before, write = Entry.objects.count(), trail.record

    def broken(*, verb: str, **more: Any) -> None:
        if verb == "opt_out.honoured":
            raise RuntimeError("the power failed")
        write(verb=verb, **more)

    monkeypatch.setattr(trail, "record", broken)
    with pytest.raises(RuntimeError):
        record(ADA)
    assert not OptOutRequest.objects.exists()
    assert not Suppression.objects.exists()
    assert Entry.objects.count() == before
    assert permitted()


# --- without one -------------------------------------------------------------------------------


def test_without_a_number_it_is_kept_and_nothing_is_stopped(
    record: Record, person: Enrol, permitted: Permitted
) -> None:
    person()
    request = record()
    assert (request.number_index, request.honoured_at) == ("", None)
    assert permitted()
    assert list(OptOutRequest.objects.waiting()) == [request]


def test_it_takes_effect_when_its_number_is_found_out(
    record: Record, honour: Honour, person: Enrol, permitted: Permitted, at: datetime
) -> None:
    person()
    request = record()
    honour(request, at=at + DAY)
    request.refresh_from_db()
    assert (request.number_index, request.honoured_at) == (blind_index.of(ADA), at + DAY)
    assert Consent.objects.get().withdrawn_at == at + DAY
    assert not permitted()
    assert not OptOutRequest.objects.waiting().exists()


def test_it_stays_of_its_purpose_when_its_number_is_found_out(
    record: Record, honour: Honour, person: Enrol, permitted: Permitted, news: Purpose
) -> None:
    person()
    honour(record(purpose=news))
    assert Suppression.objects.get().purpose == news
    assert permitted()


def test_it_takes_effect_once(record: Record, honour: Honour) -> None:
    request = record(ADA)
    with pytest.raises(opt_outs.AlreadyHonoured):
        honour(request, BOB)
    assert Suppression.objects.get().number_index == blind_index.of(ADA)


def test_a_copy_that_was_read_before_cannot_put_it_into_effect_again(
    record: Record, honour: Honour
) -> None:
    request = record()
    stale = OptOutRequest.objects.get()
    honour(request)
    with pytest.raises(opt_outs.AlreadyHonoured):
        honour(stale, BOB)


@pytest.mark.django_db(transaction=True)
def test_two_clerks_at_once_put_it_into_effect_once(record: Record, honour: Honour) -> None:
    request, together = record(), Barrier(2, timeout=20)

    def act(number: str) -> str:
        with closing(connection):
            mine = OptOutRequest.objects.get(pk=request.pk)
            together.wait()
            try:
                honour(mine, number)
            except opt_outs.AlreadyHonoured:
                return "refused"
            return "done"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(act, [ADA, BOB])) == ["done", "refused"]
    assert Suppression.objects.count() == 1


# --- the clock of the law ----------------------------------------------------------------------


def test_it_is_due_ten_business_days_after_receipt(record: Record, at: datetime) -> None:
    assert record().due_by == DUE
    assert record(received_at=at - 4 * DAY).due_by == datetime(2026, 12, 8, tzinfo=UTC)


def test_it_is_due_by_the_days_of_the_business(record: Record, settings: Any) -> None:
    settings.TIME_ZONE = "America/New_York"
    assert record().due_by == DUE + timedelta(hours=5)


@pytest.mark.parametrize(("when", "late"), [(DUE, False), (DUE + SECOND, True)])
def test_it_is_late_or_not(record: Record, honour: Honour, when: datetime, late: bool) -> None:
    request = record()
    honour(request, at=when)
    request.refresh_from_db()
    assert request.was_late is late
    assert Entry.objects.get(verb="opt_out.honoured").facts == {"late": late}


def test_what_waits_is_not_late_yet_but_overdue(record: Record) -> None:
    request = record()
    assert not request.was_late
    assert not OptOutRequest.objects.overdue(DUE).exists()
    assert list(OptOutRequest.objects.overdue(DUE + SECOND)) == [request]


def test_what_took_effect_is_never_overdue(record: Record) -> None:
    record(ADA)
    assert not OptOutRequest.objects.overdue(DUE + 99 * DAY).exists()


def test_it_cannot_have_been_received_in_the_future(record: Record, at: datetime) -> None:
    with pytest.raises(ValidationError, match="in the future"):
        record(ADA, received_at=at + SECOND)
    assert not OptOutRequest.objects.exists()
    assert not Suppression.objects.exists()
    assert not Entry.objects.filter(verb="opt_out.told").exists()


# --- what is told of it ------------------------------------------------------------------------


def test_the_trail_tells_that_it_came_and_that_it_took_effect(
    record: Record, clerk: Operator, at: datetime
) -> None:
    request = record(ADA, received_at=at - DAY)
    assert verbs(request) == ["opt_out.told", "opt_out.honoured"]
    told = Entry.objects.get(verb="opt_out.told")
    assert (told.actor, told.at) == (f"operator:{clerk.pk}", at)
    assert told.facts == {"channel": "phone", "received_at": trail.instant(at - DAY)}
    assert Detail.objects.get(entry=told).text == SAID


def test_what_was_said_is_encrypted_and_the_number_is_kept_nowhere(record: Record) -> None:
    record(ADA, note=f"{SAID} {ADA}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM consent_optoutrequest")
        stored = str(cursor.fetchall())
    assert ".gAAAA" in stored
    assert not [secret for secret in (SAID[:10], ADA[-7:]) if secret in stored]
    assert OptOutRequest.objects.get().note == f"{SAID} {ADA}"


def test_the_database_puts_nothing_into_effect_without_a_number(record: Record) -> None:
    request = record()
    with pytest.raises(IntegrityError, match="nothing_is_honoured"), transaction.atomic():
        OptOutRequest.objects.filter(pk=request.pk).update(honoured_at=DUE)


# --- what a STOP covers ------------------------------------------------------------------------


@pytest.fixture
def set_scope(operators: Callable[..., Operator], at: datetime) -> Callable[..., StopScope]:
    """Set from a time on; asked for by the privacy officer at `at`."""
    officer = operators(roles.PRIVACY_OFFICER)

    def scoped(scope: StopScope.Scope, effective_from: datetime) -> StopScope:
        return opt_outs.set_scope(scope=scope, effective_from=effective_from, by=officer, at=at)

    return scoped


ASK, EVERYTHING = StopScope.Scope.ASK, StopScope.Scope.EVERYTHING


def test_a_stop_covers_everything_before_anybody_says_otherwise(db: None, at: datetime) -> None:
    assert StopScope.of(at) == EVERYTHING


def test_a_scope_holds_from_its_time_until_the_next(
    set_scope: Callable[..., StopScope], at: datetime
) -> None:
    set_scope(EVERYTHING, at + 2 * DAY)
    set_scope(ASK, at + DAY)
    times = (at, at + DAY - SECOND, at + DAY, at + 2 * DAY - SECOND, at + 2 * DAY)
    held = [StopScope.of(time) for time in times]
    assert held == [EVERYTHING, EVERYTHING, ASK, ASK, EVERYTHING]


def test_the_past_is_not_set_anew(set_scope: Callable[..., StopScope], at: datetime) -> None:
    with pytest.raises(ValidationError, match="has not passed"):
        set_scope(ASK, at - SECOND)
    assert not StopScope.objects.exists()
    assert set_scope(ASK, at).effective_from == at


def test_one_time_has_one_scope(set_scope: Callable[..., StopScope], at: datetime) -> None:
    set_scope(ASK, at + DAY)
    with pytest.raises(ValidationError):
        set_scope(EVERYTHING, at + DAY)
    assert StopScope.objects.get().scope == ASK


def test_the_trail_tells_what_a_stop_covers_from_when_on(
    set_scope: Callable[..., StopScope], at: datetime, operators: Callable[..., Operator]
) -> None:
    row = set_scope(ASK, at + DAY)
    entry = Entry.objects.get(verb="stop.scoped")
    officer = operators(roles.PRIVACY_OFFICER)
    assert (entry.subject, entry.actor) == (f"stop:{row.pk}", f"operator:{officer.pk}")
    assert entry.facts == {"scope": "ask", "effective_from": trail.instant(at + DAY)}
