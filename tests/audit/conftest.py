"""What tests of the trail share: telling, sealing, and changing rows behind the triggers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction

from audit import trail
from audit.models import Checkpoint, Entry
from tests import settling

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
    return settling.settle


@pytest.fixture
def seal(at: datetime) -> Seal:
    """Seals everything that has been told."""
    return lambda: settling.seal(at=at)


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
