"""Before a table is compared with others, PostgreSQL is shown how much of it is new."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from campaigns import dispatch
from campaigns.models import Sender
from config.postgresql import planner
from consent.models import Purpose

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _on_postgresql():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite plans without statistics")


def _ask(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()[0]


def _believed(table):
    """How many rows the planner believes there are."""
    return _ask("SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", table)


def _looks(table):
    """How often it was made to look."""
    return _ask("SELECT analyze_count FROM pg_stat_user_tables WHERE relname = %s", table)


def _many(count):
    fields = {"promise": "x", "frequency": 6, "period": "month"}
    Purpose.objects.bulk_create(
        Purpose(code=f"{count}-{n}", name=f"{count} {n}", **fields) for n in range(count)
    )
    _ask("SELECT pg_stat_force_next_flush()::text")
    _ask("SELECT 1")  # what was counted is told when the next statement has ended


def test_what_was_just_written_is_looked_at():
    _many(500)
    with transaction.atomic():
        planner.show("consent_purpose")
    assert _believed("consent_purpose") >= 500


def test_what_has_hardly_changed_is_not_looked_at_again():
    _many(500)
    with transaction.atomic():
        planner.show("consent_purpose")
    looks = _looks("consent_purpose")
    _many(20)
    with transaction.atomic():
        planner.show("consent_purpose")
    assert _looks("consent_purpose") == looks


def test_tables_are_looked_at_in_one_order_so_that_nobody_waits_for_each_other():
    Sender.objects.bulk_create(
        Sender(address=f"+12125550{n}", countries="US") for n in range(100, 200)
    )
    _many(500)
    with transaction.atomic(), CaptureQueriesContext(connection) as asked:
        planner.show("consent_purpose", "campaigns_sender")
    looks = [query["sql"] for query in asked if query["sql"].startswith("ANALYZE")]
    assert looks == ['ANALYZE "campaigns_sender"', 'ANALYZE "consent_purpose"']


@pytest.mark.parametrize("act", ["dry run", "launch"])
def test_a_dry_run_and_a_launch_look_before_they_compare(approved_campaign, person, at, act):
    for number in range(100, 170):
        person(f"+12125550{number}")
    _ask("SELECT pg_stat_force_next_flush()::text")
    _ask("SELECT 1")
    if act == "launch":
        dispatch.launch(campaign=approved_campaign, by="worker", at=at)
    else:
        dispatch.dry_run(campaign=approved_campaign, at=at)
    assert _believed("consent_subscriber") == _believed("consent_consent") == 70
