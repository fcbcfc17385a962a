"""Celery turns the crank of list imports."""

from celery import shared_task

from audit import clock
from consent import lists
from consent.models import ListImport


@shared_task
def take_lists() -> None:
    for brought in ListImport.objects.unfinished().order_by("created_at"):
        for _taken in lists.take(brought=brought, by="worker", at=clock.now()):
            pass
