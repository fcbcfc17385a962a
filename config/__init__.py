"""The frame: settings, addresses, the back office's site, Celery, encryption."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
