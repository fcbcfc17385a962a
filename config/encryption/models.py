"""The canary: one row that tells whether the configured keys are this database's keys."""

import uuid

from django.db import models

from config.encryption.fields import EncryptedText


class Canary(models.Model):
    """Text written under the keys of this database when it was made."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    song = EncryptedText()
    index = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "canaries"

    def __str__(self) -> str:
        return "canary"
