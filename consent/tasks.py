"""Celery turns the crank of lists, closes what nobody confirmed, and forgets what was counted."""

import time

from celery import shared_task

from audit import clock
from consent import ledger, limits, list_work
from consent.models import Purpose

PATIENCE = 20.0  # seconds after which a task makes room for others


@shared_task
def take_lists() -> None:
    until = time.monotonic() + PATIENCE
    while list_work.turn(by="worker", at=clock.now()) and time.monotonic() < until:
        pass


@shared_task
def lapse() -> None:
    for purpose in Purpose.objects.order_by("pk"):
        ledger.lapse(purpose=purpose, by="worker", at=clock.now())


@shared_task
def forget() -> None:
    limits.forget(before=clock.now() - limits.KEPT)
