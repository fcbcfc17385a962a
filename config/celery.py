"""Celery: it turns the crank; the table decides what is done."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("volens")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def refuse_wrong_keys(**_: Any) -> None:
    """No worker and no beat starts under keys that are not the database's."""
    from config.encryption import canary  # noqa: PLC0415 - models exist only after Celery's set-up

    canary.verify_or_exit()


worker_init.connect(refuse_wrong_keys)
beat_init.connect(refuse_wrong_keys)
