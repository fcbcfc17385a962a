"""What messages come from: numbers and names of the business, each at one gateway."""

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.gateways.directory import GATEWAYS
from consent.models import Purpose

SAME_GATEWAY = _("It is at the same gateway; when that fails, both do. Choose one at another.")
NO_ACCOUNT = _("Volens has no credentials for this gateway; .env.example names what to set.")


class SenderQuerySet(models.QuerySet["Sender"]):
    def speaking(self, purpose: Purpose, country: str) -> "Sender | None":
        """The verified sender that this purpose uses in that country, if there is one."""
        used = self.filter(purposes=purpose, verified_at__isnull=False).order_by("pk")
        return next((sender for sender in used if sender.may_reach(country)), None)


class Sender(models.Model):
    """What a message comes from: a number or name of the business, at one gateway."""

    class Gateway(models.TextChoices):
        TWILIO = "twilio", "Twilio"
        TELNYX = "telnyx", "Telnyx"

    address = models.CharField(max_length=20, unique=True)
    gateway = models.CharField(max_length=10, choices=Gateway, default=Gateway.TWILIO)
    countries = models.CharField(
        max_length=200,
        default="US",
        validators=[RegexValidator(r"\A[A-Z]{2}( [A-Z]{2})*\Z", _("Two letters each: US CA."))],
        help_text=_("Where it may be used, two letters each: US CA."),
    )
    purposes = models.ManyToManyField(
        Purpose, blank=True, related_name="senders", help_text=_("What it is used for.")
    )
    segments_per_second = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        default=100,
        validators=[MinValueValidator(1)],
        help_text=_(
            "What the carriers take: a long code 1, a toll-free number 3, a short code 100. Empty: "
            "the provider paces by itself."
        ),
    )
    stands_in_for = models.OneToOneField(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="stand_in",
        help_text=_(
            "A sender at another gateway: what that one certainly did not take is tried by this "
            "one, in turns. People see this number then."
        ),
    )
    bucket_full_at = models.DateTimeField(null=True, editable=False)
    verified_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[SenderQuerySet] = SenderQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        permissions = [("verify_sender", "Can verify and retire a sender")]

    def __str__(self) -> str:
        return self.address

    def clean(self) -> None:
        """Raises ValidationError where we have no account with its gateway, or no second one."""
        gateway = GATEWAYS.get(self.gateway)
        if gateway is not None and not gateway.has_account():
            raise ValidationError({"gateway": NO_ACCOUNT})
        if self.stands_in_for is not None and self.stands_in_for.gateway == self.gateway:
            raise ValidationError({"stands_in_for": SAME_GATEWAY})

    def may_reach(self, country: str) -> bool:
        return self.verified_at is not None and country in self.countries.split()

    @property
    def replacement(self) -> "Sender | None":
        """The sender that stands in for it, if there is one."""
        return getattr(self, "stand_in", None)
