"""Launches to ten thousand, a hundred thousand and a million people, every decision included.

The limit is what the database takes for the same rows alone: an INSERT of a table that holds them
into another of the same columns, checks and indexes, with nothing decided.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from audit import operators, roles
from audit.models import Operator
from campaigns import dispatch, enrolment, senders
from campaigns.models import Campaign, Message, Sender
from consent import places
from consent.intake import area_keys
from consent.models import Notice, Purpose
from tests.benchmarks.import_of_lists import notice, purpose

__all__ = ["notice", "purpose"]

PEOPLE = int(os.environ.get("ROWS", "1000000"))
AREAS = [201, 212, 305, 312, 404, 407, 415, 503, 512, 602, 617, 689, 702, 713, 801, 808, 907, 919]
EXCHANGES = range(200, 220)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)

# Of a hundred people twelve have withdrawn, ten never confirmed and five refused everything: 73 are
# left. Numbers and evidence are made up, and so are their tokens: nothing here decrypts or sends.
MADE = """
CREATE UNLOGGED TABLE made AS
SELECT n, md5(n::text || 'p')::uuid AS person, (%s::int[])[1 + n %% %s] AS area
FROM generate_series(1, %s) n
"""
PEOPLE_OF = """
INSERT INTO consent_subscriber (id, pseudonym, number, number_index, area_id, language, first_name)
SELECT person, 'P-' || lpad(n::text, 9, '0'), '0a1b2c3d.gAAAA' || repeat('x', 120),
    md5(n::text) || md5('i' || n), area, 'en', '' FROM made
"""
CONSENTS_OF = """
INSERT INTO consent_consent (id, subscriber_id, purpose_id, notice_id, method, source, evidence,
    commitment, given_at, recorded_at, confirmed_at, withdrawn_at, confirmed_with)
SELECT md5(n::text || 'c')::uuid, person, %s, %s, 'web_form', 'list', '', '', %s, %s,
    CASE WHEN n %% 100 BETWEEN 12 AND 21 THEN NULL ELSE %s::timestamptz END,
    CASE WHEN n %% 100 < 12 THEN %s::timestamptz END, ''
FROM made
"""
REFUSALS_OF = """
INSERT INTO consent_suppression (number_index, channel, reason, at)
SELECT md5(n::text) || md5('i' || n), 'sms', 'STOP', %s FROM made WHERE n %% 100 BETWEEN 22 AND 26
"""


@pytest.fixture
def sender(purpose: Purpose) -> Sender:
    made = senders.register(
        address="+18885550100", gateway=Sender.Gateway.TWILIO, countries="US", by="command", at=AT
    )
    senders.verify(sender=made, by="command", at=AT)
    return made


def _engage(name: str, role: str) -> Operator:
    username = f"{name}-{role.replace(' ', '-')}"
    return operators.engage(
        username=username, password="a long pass phrase", roles=[role], by="command", at=AT
    )


def approved(purpose: Purpose, sender: Sender, name: str) -> Campaign:
    author, approver = _engage(name, roles.CAMPAIGN_AUTHOR), _engage(name, roles.CAMPAIGN_APPROVER)
    campaign = dispatch.draft(
        name=name,
        purpose=purpose,
        sender=sender,
        text="Harbor Coffee: new beans. Reply STOP to cancel.",
        starts_at=AT,
        deadline=AT + timedelta(hours=12),
        by=author,
        at=AT,
    )
    dispatch.check(campaign=campaign, by=author, at=AT)
    dispatch.approve(campaign=campaign, by=approver, at=AT)
    return campaign


def _populate(purpose: Purpose, notice: Notice, people: int) -> None:
    found = {places.of(f"+1{area}{exchange}0100") for area in AREAS for exchange in EXCHANGES}
    keys = sorted(area_keys(found).values())
    with connection.cursor() as cursor:
        cursor.execute(MADE, [keys, len(keys), people])
        cursor.execute(PEOPLE_OF)
        cursor.execute(CONSENTS_OF, [purpose.pk, notice.pk, SINCE, SINCE, SINCE, SINCE])
        cursor.execute(REFUSALS_OF, [SINCE])
        cursor.execute("ANALYZE")


def _empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table in ("campaigns_message", "consent_suppression", "consent_consent"):
            _truncate_for_good(cursor, table)
        _truncate_for_good(cursor, "consent_subscriber")
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("DROP TABLE made")


def _truncate_for_good(cursor: object, table: str) -> None:
    cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # type: ignore[attr-defined]
    cursor.execute(f"TRUNCATE {table} CASCADE")  # type: ignore[attr-defined]
    cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")  # type: ignore[attr-defined]


def seconds(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def _bare() -> float:
    """The same rows once more, into a table like theirs, with nothing decided."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare (LIKE campaigns_message INCLUDING ALL)")
        spent = seconds(lambda: cursor.execute("INSERT INTO bare SELECT * FROM campaigns_message"))
        transaction.set_rollback(True)
    return spent


def test_a_launch(
    purpose: Purpose, notice: Notice, sender: Sender, capsys: pytest.CaptureFixture[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        cursor.execute("SELECT pg_reload_conf()")
    for people in (PEOPLE // 100, PEOPLE // 10, PEOPLE):
        _populate(purpose, notice, people)
        campaign = approved(purpose, sender, f"to-{people}")
        foreseeing = seconds(lambda one=campaign: enrolment.foresee(one, AT))  # type: ignore[misc]
        launching = seconds(
            lambda one=campaign: dispatch.launch(campaign=one, by="worker", at=AT)  # type: ignore[misc]
        )
        messages = Message.objects.count()
        limit = messages / _bare()
        reached = messages / launching
        areas = campaign.openings.count()
        with capsys.disabled():
            print(f"\n{people:>9,} people, {messages:,} of them get a message, in {areas} areas")
            print(f"  dry run   {foreseeing:6.1f} s {people / foreseeing:>10,.0f} people a second")
            print(f"  launch    {launching:6.1f} s {reached:>10,.0f} a second   wanted: 60,000")
            print(f"  the limit          {limit:>10,.0f} a second   ours is {reached / limit:.2f}")
        _empty()
