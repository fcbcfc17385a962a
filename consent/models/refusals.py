"""Refusals, the opt-outs that reach staff, and what a STOP covers."""

import uuid
from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from config.encryption import blind_index
from config.encryption.fields import EncryptedText
from consent.models.wordings import Purpose


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    """Refusals, by whether they stand, and against what."""

    def standing(self) -> Self:
        return self.filter(lifted_at=None)

    def against(self, number_index: str, purpose: Purpose | None = None) -> Self:
        """Standing refusals of everything, or of this purpose."""
        return self.standing().filter(
            Q(purpose=None) | Q(purpose=purpose), number_index=number_index
        )


class Suppression(models.Model):
    """A refusal; it holds no person, so it outlives them."""

    class Channel(models.TextChoices):
        SMS = "sms", _("reply")
        PAGE = "page", _("preference page")
        STAFF = "staff", _("told to staff")
        FORM = "form", _("form of another system")
        PROVIDER = "provider", _("provider's list or error")

    number_index = models.CharField(max_length=blind_index.LENGTH, editable=False)
    purpose = models.ForeignKey(Purpose, null=True, on_delete=models.PROTECT)
    channel = models.CharField(max_length=8, choices=Channel)
    reason = models.CharField(max_length=80)
    at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)

    objects: ClassVar[SuppressionQuerySet] = SuppressionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(
                fields=["number_index"],
                condition=Q(lifted_at=None),
                name="permission_looks_for_refusals",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["number_index", "channel"],
                condition=Q(lifted_at=None, purpose=None),
                name="one_refusal_of_everything_per_channel",
            ),
            models.UniqueConstraint(
                fields=["number_index", "purpose", "channel"],
                condition=Q(lifted_at=None),
                name="one_refusal_of_a_purpose_per_channel",
            ),
        ]

    def __str__(self) -> str:
        return f"refusal {self.pk}"


class OptOutRequestQuerySet(models.QuerySet["OptOutRequest"]):
    def waiting(self) -> Self:
        return self.filter(honoured_at=None)

    def overdue(self, at: datetime) -> Self:
        return self.waiting().filter(due_by__lt=at)


class OptOutRequest(models.Model):
    """A refusal that reached staff by telephone, letter, mail or in person, with its legal clock.

    It takes effect as soon as the number is known; one without a number waits to be honoured.
    """

    class Channel(models.TextChoices):
        PHONE = "phone", _("telephone call")
        LETTER = "letter", _("letter")
        MAIL = "mail", _("e-mail")
        IN_PERSON = "in_person", _("in person")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.CharField(max_length=9, choices=Channel)
    purpose = models.ForeignKey(Purpose, null=True, blank=True, on_delete=models.PROTECT)
    number_index = models.CharField(max_length=blind_index.LENGTH, blank=True, editable=False)
    note = EncryptedText(blank=True)
    received_at = models.DateTimeField()
    due_by = models.DateTimeField(editable=False)
    recorded_at = models.DateTimeField(editable=False)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", editable=False
    )
    honoured_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[OptOutRequestQuerySet] = OptOutRequestQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("opt-out told to staff")
        verbose_name_plural = _("opt-outs told to staff")
        constraints = [
            models.CheckConstraint(
                condition=Q(received_at__lte=F("recorded_at")),
                name="no_request_from_the_future",
                violation_error_message=_("It cannot have been received in the future."),
            ),
            models.CheckConstraint(
                condition=Q(honoured_at=None) | ~Q(number_index=""),
                name="nothing_is_honoured_without_a_number",
            ),
        ]

    def __str__(self) -> str:
        return f"opt-out of {self.received_at:%Y-%m-%d}"

    @property
    def was_late(self) -> bool:
        return self.honoured_at is not None and self.honoured_at > self.due_by


class StopScope(models.Model):
    """What a STOP covers, from a day on; before the first row it is the whole business."""

    class Scope(models.TextChoices):
        EVERYTHING = "everything", _("everything, without a question")
        ASK = "ask", _("everything, and one question which topic the person would keep")

    scope = models.CharField(max_length=10, choices=Scope)
    effective_from = models.DateTimeField()
    set_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = _("scope of STOP")
        verbose_name_plural = _("scope of STOP")
        constraints = [
            models.UniqueConstraint(fields=["effective_from"], name="one_scope_of_stop_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} from {self.effective_from:%Y-%m-%d}"

    @classmethod
    def of(cls, at: datetime) -> str:
        """The scope in force at that time."""
        rows = cls.objects.filter(effective_from__lte=at).order_by("-effective_from")
        return rows.values_list("scope", flat=True).first() or cls.Scope.EVERYTHING
