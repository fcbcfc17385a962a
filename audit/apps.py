"""Accountability: operators and roles, what they did, and proof that nobody changed the account."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"
