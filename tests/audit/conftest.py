"""What tests of the trail share: telling, sealing, and changing rows behind the triggers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Max

from audit import checkpoints, trail
from audit.models import Checkpoint, Entry
from tests import services

LONG_AGO = 10**12  # a transaction of a server that had run for years
GUARDED = ("audit_entry", "audit_leaf", "audit_checkpoint")

Tell = Callable[..., Entry]
Settle = Callable[[], None]
Seal = Callable[[], Checkpoint | None]
Tamper = Callable[..., None]


@pytest.fixture
def tell(at: datetime) -> Tell:
    """Writes an entry in a transaction of its own; what is not said has a usual value."""

    def told(verb: str = "campaign.approved", **more: Any) -> Entry:
        act = {"subject": "campaign:1", "by": "worker", "at": at, **more}
        with transaction.atomic():
            trail.record(verb=verb, **act)
        return Entry.objects.latest("id")

    return told


@pytest.fixture
def settle() -> Settle:
    """Waits until nothing older runs on the server, not even a test of another worker.

    Entries whose `written` is that of another server's transaction do not count.
    """

    def settled() -> None:
        told = Entry.objects.filter(written__lt=LONG_AGO)
        newest = told.aggregate(newest=Max("written"))["newest"] or 0
        services.wait_until(
            lambda: checkpoints.horizon() > newest, seconds=60, what="older transactions are over"
        )

    return settled


@pytest.fixture
def seal(settle: Settle, at: datetime) -> Seal:
    """Seals everything that has been told."""

    def sealed() -> Checkpoint | None:
        settle()
        return checkpoints.seal(at=at)

    return sealed


def _lay_triggers_off() -> list[str]:
    if connection.vendor == "postgresql":
        return [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in GUARDED]
    events = ("update", "delete")
    return [f"DROP TRIGGER IF EXISTS refuse_{event}_of_{t}" for t in GUARDED for event in events]


@pytest.fixture
def tamper() -> Tamper:
    """Runs SQL as someone who owns the database and has put the triggers out of action."""

    def behind_the_triggers(*statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in [*_lay_triggers_off(), *statements]:
                cursor.execute(statement)

    return behind_the_triggers
