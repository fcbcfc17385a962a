"""A batch reads the rows of its own people, however many others there are or were written to."""

import pytest
from django.db import connection, models
from django.test import override_settings

from campaigns import delivery, dispatch, receipts
from campaigns.calling import Called
from campaigns.models import Attempt, Message, Sender
from consent.models import Consent, Subscriber

PEOPLE, WRITTEN_TO, BATCH = 20_000, 10_000, 400
Outcome = Attempt.Outcome
READ = "SELECT relname, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"


@pytest.fixture
def many_people(person):
    """Copies of one, who were told to the planner; what is encrypted in them nobody could read."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite looks rows up by their keys always, and counts no reads")
    person()
    of_their_own = {
        "id": "gen_random_uuid()",
        "pseudonym": "'P-' || n",
        "number_index": "md5(n::text) || md5((-n)::text)",
    }
    _copy(Subscriber, **of_their_own)
    consented = Consent.objects.get().subscriber_id
    people = f"SELECT id AS person FROM consent_subscriber WHERE id <> '{consented}'"
    _copy(Consent, source=people, id="gen_random_uuid()", subscriber_id="person")
    _analyze()


def _analyze():
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _copy(model: type[models.Model], *, source: str = "", **changed: str) -> None:
    columns = [field.column for field in model._meta.concrete_fields]
    values = [changed.get(column, f"original.{column}") for column in columns]
    many = source or f"SELECT n FROM generate_series(2, {PEOPLE}) n"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} FROM {model._meta.db_table} original, ({many}) many"
        )


@pytest.fixture
def half_sent(many_people, approved_campaign, at):
    """A campaign half of which was handed over since anybody looked what the table is like."""
    Sender.objects.update(segments_per_second=None)
    dispatch.launch(campaign=approved_campaign, by="worker", at=at)
    _analyze()
    written_to = Message.objects.order_by("pk").values("pk")[:WRITTEN_TO]
    Message.objects.filter(pk__in=written_to).update(status="accepted", fenced_at=at)


@pytest.fixture
def lavish():
    """Which tables an act read far more rows of than a batch has, in the planner's usual mood."""

    def read_by(act):
        before = _read()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL random_page_cost = DEFAULT")
        with override_settings(CLAIM_SIZE=BATCH):
            result = act()
        read = {table: rows - before.get(table, 0) for table, rows in _read().items()}
        return result, {table: rows for table, rows in read.items() if rows > 10 * BATCH}

    return read_by


def _read():
    with connection.cursor() as cursor:
        cursor.execute(READ)
        return dict(cursor.fetchall())


def test_a_batch_reads_no_rows_of_others_from_claim_to_receipts(half_sent, lavish, at):
    (size, attempts), read = lavish(lambda: delivery.claim(at=at))
    assert (size, len(attempts), read) == (BATCH, BATCH, {})

    called = [Called(one, Outcome.ACCEPTED, provider_id=f"SM{one.pk.hex}") for one in attempts]
    _nothing, read = lavish(lambda: delivery.settle(called=called, at=at))
    assert read == {}

    for one in attempts:
        told = {"provider_id": f"SM{one.pk.hex}", "status": "delivered", "code": ""}
        receipts.keep(attempt=one.pk.hex, at=at, **told)
    count, read = lavish(lambda: receipts.reconcile(at=at))
    assert (count, read) == (BATCH, {})
    assert Message.objects.filter(status="delivered").count() == BATCH
