"""Tells Django of the encrypted ORM."""

from django.apps import AppConfig


class EncryptionConfig(AppConfig):
    name = "config.encryption"
    label = "encryption"
    verbose_name = "Encryption"
