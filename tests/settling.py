"""Sealing the trail in a test, once no transaction of another test holds its entries back."""

from datetime import datetime

from django.db.models import Max

from audit import checkpoints
from audit.models import Checkpoint, Entry
from tests import services

LONG_AGO = 10**12  # a transaction of a server that had run for years


def settle() -> None:
    """Wait until nothing older runs on the server, not even a test of another worker.

    Entries whose `written` is that of another server's transaction do not count.
    """
    told = Entry.objects.filter(written__lt=LONG_AGO)
    newest = told.aggregate(newest=Max("written"))["newest"] or 0
    services.wait_until(
        lambda: checkpoints.horizon() > newest, seconds=60, what="older transactions are over"
    )


def seal(*, at: datetime) -> Checkpoint | None:
    """Seal everything that has been told."""
    settle()
    return checkpoints.seal(at=at)
