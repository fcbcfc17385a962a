"""What people write to us."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.senders import Sender
from config.encryption import blind_index
from config.encryption.fields import EncryptedText
from consent import numbers
from consent.replies import Intent


class ReplyQuerySet(models.QuerySet["Reply"]):
    def unjudged(self) -> Self:
        """What may have been a STOP and waits for an operator's word."""
        return self.filter(intent=Intent.LIKELY_STOP, judged_at=None)


class Reply(models.Model):
    """What a person wrote to us."""

    class Verdict(models.TextChoices):
        KEPT = "kept", _("it was a STOP")
        UNDONE = "undone", _("it was none")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider_id = models.CharField(max_length=64, unique=True)
    sender = models.ForeignKey(Sender, null=True, on_delete=models.PROTECT)
    number = EncryptedText()
    number_index = models.CharField(max_length=blind_index.LENGTH, db_index=True, editable=False)
    text = EncryptedText(blank=True)
    intent = models.CharField(max_length=12)
    reason = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=8, blank=True)
    topics = models.JSONField(null=True, help_text=_("Purposes that the person may keep."))
    received_at = models.DateTimeField()
    judged_at = models.DateTimeField(null=True)
    judged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    verdict = models.CharField(max_length=6, choices=Verdict, blank=True)

    objects: ClassVar[ReplyQuerySet] = ReplyQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "replies"
        permissions = [("judge_reply", "Can judge what may have been a STOP")]
        indexes = [
            models.Index(
                fields=["received_at"],
                condition=Q(intent="likely_stop", judged_at=None),
                name="review_finds_the_unjudged",
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="", judged_at=None)
                | Q(judged_at__isnull=False, judged_by__isnull=False) & ~Q(verdict=""),
                name="no_verdict_without_who_and_when",
            )
        ]

    def __str__(self) -> str:
        return f"reply {self.intent}"

    @property
    def masked_number(self) -> str:
        return numbers.masked(self.number)
