"""Celery: it turns the crank; the table decides what is done."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("volens")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def refuse_wrong_keys(**_: Any) -> None:
    """No worker and no beat starts under keys that are not the database's."""
    from config.encryption import canary  # noqa: PLC0415 - models exist only after Celery's set-up

    canary.verify_or_exit()


def spare_the_collector(**_: Any) -> None:
    """What is loaded stays, and a batch is tens of thousands of objects that go by themselves.

    With Python's own thresholds a worker spends a fifth of its time looking for garbage in them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


worker_init.connect(refuse_wrong_keys)
beat_init.connect(refuse_wrong_keys)
worker_process_init.connect(spare_the_collector)
