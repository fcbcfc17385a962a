"""Celery turns the crank: each task looks at the table and does what is due there.

Losing a task, or all of Redis, costs seconds: the next ring of beat looks again.
"""

import time

from celery import shared_task

from audit import clock
from campaigns import conversation, delivery, dispatch, receipts

PATIENCE = 20.0  # seconds after which a task makes room for others


@shared_task
def turn() -> None:
    """Carry batches out until nothing is due, or others should have their turn."""
    delivery.turns(now=clock.now, until=time.monotonic() + PATIENCE)


@shared_task
def confirm_opt_ins() -> None:
    while conversation.confirm_opt_ins(at=clock.now()):
        pass


@shared_task
def reconcile() -> None:
    receipts.reconcile(at=clock.now())


@shared_task
def sweep() -> None:
    delivery.sweep(at=clock.now())


@shared_task
def keep_time() -> None:
    dispatch.keep_time(at=clock.now())
