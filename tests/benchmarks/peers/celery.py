"""The Celery application of the peers' project."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.peers.settings")

app = Celery("peers")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
if not settings.POOL:
    app.conf.CELERY_DB_REUSE_MAX = 1_000_000  # else it closes the connection after each task
