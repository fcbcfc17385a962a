"""The database itself keeps consents, notices and refusals as they were written."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction

from config.encryption import blind_index
from consent.models import (
    Consent,
    ImportRow,
    ListImport,
    ListPart,
    ListShare,
    Method,
    Notice,
    Purpose,
    SharePiece,
    Subscriber,
    Suppression,
)
from tests.conftest import Enrol
from tests.consent.conftest import ADA, BOB, Withdraw

DAY = timedelta(days=1)
DATED = datetime(2026, 11, 1, tzinfo=UTC)
ONCE = "a consent is opened, confirmed and closed once"
KEPT = "a consent is never deleted"
FIXED = "a published notice never changes"
STANDS = "a refusal is never deleted"


def refused(saying: str) -> Any:
    return pytest.raises(IntegrityError, match=saying)


def run(statement: str) -> None:
    """One statement past the ORM, in a savepoint so that the test can go on after a refusal."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def change(row: models.Model, **fields: Any) -> None:
    """An UPDATE past the model's own methods."""
    with transaction.atomic():
        assert type(row)._default_manager.filter(pk=row.pk).update(**fields) == 1


def only_on(vendor: str) -> None:
    if connection.vendor != vendor:
        pytest.skip(f"{connection.vendor} has no such statement")


@pytest.fixture
def consent(person: Enrol) -> Consent:
    """Open and confirmed."""
    person()
    return Consent.objects.get()


@pytest.fixture
def refusal(withdraw: Withdraw) -> Suppression:
    withdraw()
    return Suppression.objects.get()


def another(consent: Consent, **changes: Any) -> Consent:
    """A consent like this one."""
    fields = ("subscriber", "purpose", "notice", "given_at", "recorded_at", "confirmed_at")
    copied = {name: getattr(consent, name) for name in fields}
    with transaction.atomic():
        return Consent.objects.create(**{**copied, "method": Method.PAPER_FORM, **changes})


# --- consents ----------------------------------------------------------------------------------

EDITS: dict[str, Callable[[Consent], Any]] = {
    "purpose_id": lambda consent: consent.purpose_id + 1,
    "notice_id": lambda consent: consent.notice_id + 1,
    "method": lambda consent: Method.PAPER_FORM,
    "source": lambda consent: "elsewhere",
    "commitment": lambda consent: "0" * 64,
    "opened_in": lambda consent: uuid.uuid4(),
    "confirmation_due_at": lambda consent: consent.recorded_at + DAY,
    "given_at": lambda consent: consent.given_at - DAY,
    "recorded_at": lambda consent: consent.recorded_at + DAY,
    "confirmed_at": lambda consent: consent.given_at + DAY,
    "id": lambda consent: consent.subscriber_id,
}


@pytest.mark.parametrize("column", EDITS)
def test_no_column_of_a_consent_is_edited(consent: Consent, column: str) -> None:
    with refused(ONCE):
        change(consent, **{column: EDITS[column](consent)})


def test_a_consent_is_not_moved_to_another_person(consent: Consent, person: Enrol) -> None:
    with refused(ONCE):
        change(consent, subscriber_id=person(BOB).pk)


def test_the_end_of_a_consent_may_be_brought_forward_and_never_put_off(
    consent: Consent, at: datetime
) -> None:
    change(consent, expires_at=at + 9 * DAY)
    change(consent, expires_at=at + 8 * DAY)
    with refused(ONCE):
        change(consent, expires_at=at + 9 * DAY)
    with refused(ONCE):
        change(consent, expires_at=None)


def test_a_consent_is_not_unconfirmed(consent: Consent) -> None:
    with refused(ONCE):
        change(consent, confirmed_at=None)


def test_a_consent_is_confirmed_once(person: Enrol, at: datetime) -> None:
    person(confirmed=False)
    consent = Consent.objects.get()
    change(consent, confirmed_at=at)
    with refused(ONCE):
        change(consent, confirmed_at=at + DAY)


def test_it_is_fixed_once_which_entry_tells_of_a_confirmation(consent: Consent) -> None:
    change(consent, confirmed_in=uuid.uuid4())
    with refused(ONCE):
        change(consent, confirmed_in=uuid.uuid4())
    with refused(ONCE):
        change(consent, confirmed_in=None)


def test_a_confirmation_is_asked_for_once_and_only_if_it_is_due(
    person: Enrol, at: datetime
) -> None:
    person(confirmed=False, confirmation_due_at=at)
    consent = Consent.objects.get()
    change(consent, confirmation_queued_at=at)
    with refused(ONCE):
        change(consent, confirmation_queued_at=at + DAY)
    person(BOB, confirmed=False)
    with refused("no_confirmation_is_sent_that_is_not_due"):
        change(Consent.objects.get(confirmation_due_at=None), confirmation_queued_at=at)


def test_a_consent_lapses_once_and_is_not_withdrawn_as_well(consent: Consent, at: datetime) -> None:
    change(consent, lapsed_at=at)
    with refused(ONCE):
        change(consent, lapsed_at=at + DAY)
    with refused(ONCE):
        change(consent, lapsed_at=None)
    with refused("a_consent_ends_in_one_way"):
        change(consent, withdrawn_at=at)


def test_a_consent_that_lapsed_makes_room_for_another(consent: Consent, at: datetime) -> None:
    change(consent, lapsed_at=at)
    another(consent)
    assert Consent.objects.open().count() == 1


def test_a_consent_is_closed_once(consent: Consent, at: datetime) -> None:
    change(consent, withdrawn_at=at)
    with refused(ONCE):
        change(consent, withdrawn_at=at + DAY)
    with refused(ONCE):
        change(consent, withdrawn_at=None)


def test_a_consent_may_be_written_again_as_it_is(consent: Consent) -> None:
    consent.save()
    assert Consent.objects.get().source == consent.source


def test_a_consent_is_not_deleted(consent: Consent) -> None:
    with refused(KEPT), transaction.atomic():
        consent.delete()
    with refused(KEPT):
        run("DELETE FROM consent_consent")
    assert Consent.objects.count() == 1


def test_a_person_with_a_consent_is_not_deleted(consent: Consent) -> None:
    with pytest.raises(models.ProtectedError):
        consent.subscriber.delete()


@pytest.mark.parametrize(
    ("table", "saying"),
    [("consent_consent", KEPT), ("consent_notice", FIXED), ("consent_suppression", STANDS)],
)
def test_no_table_is_emptied(
    consent: Consent, refusal: Suppression, table: str, saying: str
) -> None:
    only_on("postgresql")
    run("SET CONSTRAINTS ALL IMMEDIATE")  # what is pending would forbid it for another reason
    with refused(saying):
        run(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize(
    ("statement", "saying"),
    [
        ("UPDATE consent_consent SET source = 'elsewhere'", ONCE),
        ("DELETE FROM consent_consent", KEPT),
        ("UPDATE consent_notice SET wording = 'Yes to all'", FIXED),
        ("DELETE FROM consent_suppression", STANDS),
    ],
)
def test_a_session_that_turns_triggers_off_is_refused_too(
    consent: Consent, refusal: Suppression, statement: str, saying: str
) -> None:
    only_on("postgresql")
    run("SET LOCAL session_replication_role = replica")
    with refused(saying):
        run(statement)


@pytest.mark.parametrize(
    ("table", "saying"),
    [("consent_consent", KEPT), ("consent_notice", FIXED), ("consent_suppression", STANDS)],
)
def test_no_row_is_replaced_by_another(
    consent: Consent, refusal: Suppression, table: str, saying: str
) -> None:
    only_on("sqlite")
    with refused(saying):
        run(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


def test_one_consent_per_purpose_is_open(consent: Consent, at: datetime) -> None:
    with refused("one_open_consent_per_purpose|consent_consent.subscriber_id"):
        another(consent)
    change(consent, withdrawn_at=at)
    another(consent)
    assert Consent.objects.open().count() == 1


def test_another_purpose_may_be_open_beside_it(consent: Consent, news_notice: Notice) -> None:
    another(consent, purpose=news_notice.purpose, notice=news_notice)
    assert Consent.objects.open().count() == 2


def test_no_consent_is_from_the_future(consent: Consent, at: datetime) -> None:
    change(consent, withdrawn_at=at)
    another(consent, given_at=at, recorded_at=at, withdrawn_at=at)
    with refused("no_consent_from_the_future"):
        another(consent, given_at=at + timedelta(microseconds=1), recorded_at=at)


def stranger(consent: Consent, **changes: Any) -> Subscriber:
    """A person whom nobody enrolled, living where the one of this consent does."""
    usual = {"number": BOB, "number_index": blind_index.of(BOB), "language": "en"}
    with transaction.atomic():
        return Subscriber.objects.create(area=consent.subscriber.area, **{**usual, **changes})


def test_a_number_is_one_person(consent: Consent) -> None:
    with refused("a_number_is_of_one_person|number_index"):
        stranger(consent, number_index=blind_index.of(ADA))
    stranger(consent)


def test_a_pseudonym_is_one_person(consent: Consent) -> None:
    with refused("a_pseudonym_is_of_one_person|pseudonym"):
        stranger(consent, pseudonym=consent.subscriber.pseudonym)


# --- notices and purposes ----------------------------------------------------------------------

NOTICE_EDITS = {
    "purpose_id": 99,
    "language": "fr",
    "number": 2,
    "wording": "Yes to all",
    "fingerprint": "0" * 64,
    "shown_from": datetime(2020, 1, 1, tzinfo=UTC),
    "published_at": datetime(2020, 1, 1, tzinfo=UTC),
}


@pytest.mark.parametrize("column", NOTICE_EDITS)
def test_no_column_of_a_notice_is_edited(notice: Notice, column: str) -> None:
    with refused(FIXED):
        change(notice, **{column: NOTICE_EDITS[column]})


def test_a_notice_is_not_deleted(notice: Notice) -> None:
    with refused(FIXED):
        run("DELETE FROM consent_notice")
    with refused(FIXED), transaction.atomic():
        notice.delete()


def copy_of(notice: Notice, **changes: Any) -> Notice:
    fields = ("purpose", "language", "number", "wording", "fingerprint", "shown_from")
    copied = {name: getattr(notice, name) for name in fields}
    with transaction.atomic():
        return Notice.objects.create(published_at=notice.published_at, **{**copied, **changes})


def test_a_wording_is_one_notice_of_a_purpose(notice: Notice) -> None:
    with refused("one_notice_per_wording|fingerprint"):
        copy_of(notice, number=2)
    copy_of(notice, number=2, fingerprint="0" * 64)


def test_two_notices_have_two_numbers(notice: Notice) -> None:
    with refused("notices_are_numbered|number"):
        copy_of(notice, fingerprint="0" * 64)


def test_a_purpose_that_people_were_told_of_is_not_deleted(notice: Notice) -> None:
    with pytest.raises(models.ProtectedError):
        notice.purpose.delete()


def test_a_promise_has_a_frequency(purpose: Purpose) -> None:
    with refused("a_promise_has_a_frequency"):
        change(purpose, frequency=0)


# --- refusals ----------------------------------------------------------------------------------


def test_a_refusal_is_not_deleted(refusal: Suppression) -> None:
    with refused(STANDS), transaction.atomic():
        refusal.delete()
    with refused(STANDS):
        run("DELETE FROM consent_suppression")


@pytest.mark.parametrize(
    "change_to",
    [
        {"number_index": "0" * 64},
        {"channel": Suppression.Channel.STAFF},
        {"reason": "a mistake"},
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_refusal_is_not_edited(refusal: Suppression, change_to: dict[str, Any]) -> None:
    with refused("refusal"):
        change(refusal, **change_to)


def test_a_refusal_is_not_narrowed_to_a_purpose(refusal: Suppression, purpose: Purpose) -> None:
    with refused("refusal"):
        change(refusal, purpose_id=purpose.pk)


def test_a_refusal_is_lifted_once(refusal: Suppression, at: datetime) -> None:
    change(refusal, lifted_at=at)
    with refused("refusal"):
        change(refusal, lifted_at=None)


def again(refusal: Suppression, **changes: Any) -> Suppression:
    """A refusal by the same number."""
    fields = ("number_index", "purpose", "channel", "at")
    copied = {name: getattr(refusal, name) for name in fields}
    with transaction.atomic():
        return Suppression.objects.create(**{**copied, **changes})


def test_one_refusal_of_everything_stands_per_channel(refusal: Suppression, at: datetime) -> None:
    with refused("one_refusal_of_everything_per_channel|number_index"):
        again(refusal)
    again(refusal, channel=Suppression.Channel.STAFF)
    again(refusal, number_index="0" * 64)
    change(refusal, lifted_at=at)
    again(refusal)
    assert Suppression.objects.standing().count() == 3


def test_one_refusal_of_a_purpose_stands_per_channel(
    refusal: Suppression, purpose: Purpose, news: Purpose, at: datetime
) -> None:
    narrow = again(refusal, purpose=purpose)
    with refused("one_refusal_of_a_purpose_per_channel|number_index"):
        again(narrow)
    again(narrow, purpose=news)
    again(narrow, channel=Suppression.Channel.STAFF)
    change(narrow, lifted_at=at)
    again(narrow)
    assert Suppression.objects.standing().count() == 4


# --- lists -------------------------------------------------------------------------------------


def list_of(**fields: Any) -> ListImport:
    with transaction.atomic():
        return ListImport.objects.create(label="a list", created_at=DATED, **fields)


def test_a_list_of_opt_ins_is_for_a_purpose(purpose: Purpose) -> None:
    with refused("opt_ins_are_for_a_purpose"):
        list_of()
    list_of(purpose=purpose)
    list_of(kind=ListImport.Kind.OPT_OUTS)


def test_a_finished_list_says_when(purpose: Purpose) -> None:
    with refused("no_finished_list_without_finished_at"):
        list_of(purpose=purpose, stage=ListImport.Stage.FINISHED)
    list_of(purpose=purpose, stage=ListImport.Stage.FINISHED, finished_at=DATED)


def test_every_line_of_a_list_has_one_fate(purpose: Purpose) -> None:
    line = {"list_import": list_of(purpose=purpose), "line": 2, "fate": ImportRow.Fate.ACCEPTED}
    ImportRow.objects.create(**line)
    with refused("every_line_has_one_fate|line"), transaction.atomic():
        ImportRow.objects.create(**line)
    ImportRow.objects.create(**{**line, "list_import": list_of(purpose=purpose)})


def test_the_parts_and_shares_of_a_list_have_numbers_of_their_own(purpose: Purpose) -> None:
    brought = list_of(purpose=purpose)
    for model, name in [(ListPart, "parts"), (ListShare, "shares")]:
        model.objects.create(list_import=brought, number=0)
        with refused(f"the_{name}_of_a_list_are_numbered|number"), transaction.atomic():
            model.objects.create(list_import=brought, number=0)
        model.objects.create(list_import=brought, number=1)


def test_a_part_is_read_once_into_a_share(purpose: Purpose) -> None:
    share = ListShare.objects.create(list_import=list_of(purpose=purpose), number=0)
    SharePiece.objects.create(share=share, part=0)
    with refused("a_part_is_read_once|part"), transaction.atomic():
        SharePiece.objects.create(share=share, part=0)
