"""The app of consent: whom we may write to, for what purpose, and how we know."""

from django.apps import AppConfig
from django.db.models import Field

from consent.among import Among


class ConsentConfig(AppConfig):
    name = "consent"

    def ready(self) -> None:
        Field.register_lookup(Among)
