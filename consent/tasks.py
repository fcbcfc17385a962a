"""Celery turns the crank of list imports."""

from celery import shared_task

from audit import clock
from consent import lists
from consent.models import ListImport


@shared_task
def take_lists() -> None:
    """Opt-outs first: no refusal waits behind a long list of opt-ins."""
    for brought in ListImport.objects.unfinished().order_by("-kind", "created_at"):
        for _taken in lists.take(brought=brought, by="worker", at=clock.now()):
            pass
