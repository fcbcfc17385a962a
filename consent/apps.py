"""The app of consent: whom we may write to, for what purpose, and how we know."""

from django.apps import AppConfig
from django.db.models import Field
from django.db.models.fields.related import ForeignObject

from consent.among import Among


class ConsentConfig(AppConfig):
    name = "consent"

    def ready(self) -> None:
        Field.register_lookup(Among)
        ForeignObject.register_lookup(Among)  # which does not take it over from Field
