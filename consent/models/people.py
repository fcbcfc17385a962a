"""Subscribers by pseudonym, where they may be, and the consents they gave with their evidence."""

import secrets
import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from config.encryption import blind_index
from config.encryption.fields import EncryptedText
from consent import numbers
from consent.models.refusals import Suppression
from consent.models.wordings import Method, Notice, Purpose

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no signs that are read as another
SIGNS = (ALPHABET * 8).ljust(256).encode()  # eight bytes for each sign, so that none is likelier
UNUSED = bytes(range(len(ALPHABET) * 8, 256))


def new_pseudonym() -> str:
    """A name for a person that says nothing of them, such as P-7K3MQ2XDRT.

    Ten signs of thirty: among a million people two get the same once in a thousand such lists.
    """
    return "P-" + secrets.token_bytes(40).translate(SIGNS, UNUSED)[:10].decode()


class Area(models.Model):
    """Where a group of people may be: the states and time zones that their numbers allow."""

    country = models.CharField(max_length=2)
    region = models.CharField(max_length=3, blank=True, help_text=_("State of the address."))
    states = models.CharField(max_length=40, blank=True)
    zones = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["country", "region", "states", "zones"], name="one_row_per_area"
            )
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.states or self.region}".strip()

    def covers(self, other: "Area") -> bool:
        """Whether everywhere that `other` may be is also in here."""
        return set(other.candidate_states) <= set(self.candidate_states) and set(
            other.candidate_zones
        ) <= set(self.candidate_zones)

    @property
    def candidate_states(self) -> tuple[str, ...]:
        return tuple(self.states.split())

    @property
    def candidate_zones(self) -> tuple[str, ...]:
        return tuple(self.zones.split())


class Label(models.Model):
    """A word of the business for some people, such as “regulars”; it names a group, nobody."""

    name = models.CharField(max_length=40, unique=True)

    class Meta:
        permissions = [("give_label", "Can define a label, give it to people and take it")]

    def __str__(self) -> str:
        return self.name


class SubscriberQuerySet(models.QuerySet["Subscriber"]):
    def with_number(self, e164: str) -> Self:
        return self.filter(number_index=blind_index.of(e164))

    def reachable(self, purpose: Purpose, *, at: datetime) -> Self:
        """Everyone whom we may message for this purpose at that time."""
        permission = Consent.objects.permitting(at).filter(purpose=purpose)
        return self.filter(Exists(permission.filter(subscriber=OuterRef("pk"))))

    def in_lock_order(self) -> Self:
        """Locked against a change of permission; always in this order, so that none deadlocks."""
        return self.order_by("pk").select_for_update(no_key=True)


class Subscriber(models.Model):
    """A person by pseudonym; what identifies them is encrypted, and there is nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pseudonym = models.CharField(max_length=12, default=new_pseudonym, editable=False)
    number = EncryptedText()
    number_index = models.CharField(max_length=blind_index.LENGTH, editable=False)
    area = models.ForeignKey(Area, on_delete=models.PROTECT, db_index=False)
    language = models.CharField(max_length=8)
    first_name = EncryptedText(blank=True)
    labels = models.ManyToManyField(Label, blank=True, related_name="people")

    objects: ClassVar[SubscriberQuerySet] = SubscriberQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        permissions = [
            ("withdraw_subscriber", "Can record an opt-out"),
            ("erase_subscriber", "Can erase a person"),
        ]
        # Constraints, not `unique=True`, which would lay a second index for each on PostgreSQL.
        constraints = [
            models.UniqueConstraint(fields=["pseudonym"], name="a_pseudonym_is_of_one_person"),
            models.UniqueConstraint(fields=["number_index"], name="a_number_is_of_one_person"),
        ]

    def __str__(self) -> str:
        return self.pseudonym

    @property
    def masked_number(self) -> str:
        return numbers.masked(self.number) if self.number else ""


class ConsentQuerySet(models.QuerySet["Consent"]):
    """Consents, by whether they are open, confirmed, or allow a message."""

    def open(self) -> Self:
        return self.filter(withdrawn_at=None, lapsed_at=None)

    def unconfirmed(self) -> Self:
        """Of a purpose that asks for a confirmation, and without one."""
        return self.filter(purpose__double_opt_in=True, confirmed_at=None)

    def lapsing(self, purpose: Purpose, at: datetime) -> Self:
        """Open but over: not confirmed in the purpose's time, or granted only until now."""
        until = at - timedelta(days=purpose.confirm_within)
        late = Q(confirmed_at=None, recorded_at__lte=until) if purpose.double_opt_in else Q()
        over = Q(expires_at__lte=at) | late if late else Q(expires_at__lte=at)
        return self.open().filter(over, purpose=purpose)

    def confirmed(self) -> Self:
        """Confirmed, or of a purpose that asks for no confirmation."""
        return self.filter(Q(purpose__double_opt_in=False) | Q(confirmed_at__isnull=False))

    def unrefused(self) -> Self:
        """Not under a suppression of the whole business or of the purpose."""
        refused = Suppression.objects.standing().filter(
            Q(purpose=None) | Q(purpose=OuterRef("purpose")),
            number_index=OuterRef("subscriber__number_index"),
        )
        return self.filter(~Exists(refused))

    def awaiting_confirmation(self, at: datetime) -> Self:
        """Those to whom the one text may go that asks to confirm, or tells of the opt-in."""
        told = Q(purpose__double_opt_in=False) | Q(confirmed_at=None)
        running = self.open().filter(Q(expires_at=None) | Q(expires_at__gt=at), given_at__lte=at)
        return running.filter(told, confirmation_due_at__isnull=False).unrefused()

    def permitting(self, at: datetime) -> Self:
        """Consents that allow a message at that time: one rule for enrolment and fence."""
        running = self.open().filter(Q(expires_at=None) | Q(expires_at__gt=at), given_at__lte=at)
        return running.confirmed().unrefused()


class Consent(models.Model):
    """A period in which a person wanted messages of one purpose; opened and closed once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscriber = models.ForeignKey(Subscriber, on_delete=models.PROTECT, related_name="consents")
    # No index on either: each has few values, and an import of a million rows would pay for both.
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, db_index=False)
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, db_index=False)
    method = models.CharField(max_length=12, choices=Method)
    source = models.CharField(max_length=200)
    evidence = EncryptedText(blank=True)
    commitment = models.CharField(
        max_length=64, blank=True, help_text=_("Hash that fixes the evidence, which holds a salt.")
    )
    given_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    opened_in = models.UUIDField(null=True, help_text=_("With whom one entry of the trail tells."))
    confirmed_at = models.DateTimeField(null=True)
    confirmed_in = models.UUIDField(null=True)
    confirmed_with = EncryptedText(blank=True)
    confirmation_due_at = models.DateTimeField(null=True)
    confirmation_queued_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    lapsed_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    objects: ClassVar[ConsentQuerySet] = ConsentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscriber", "purpose"],
                condition=Q(withdrawn_at=None, lapsed_at=None),
                name="one_open_consent_per_purpose",
            ),
            models.CheckConstraint(
                condition=Q(lapsed_at=None) | Q(withdrawn_at=None),
                name="a_consent_ends_in_one_way",
            ),
            models.CheckConstraint(
                condition=Q(confirmation_queued_at=None) | Q(confirmation_due_at__isnull=False),
                name="no_confirmation_is_sent_that_is_not_due",
            ),
            models.CheckConstraint(
                condition=Q(given_at__lte=F("recorded_at")), name="no_consent_from_the_future"
            ),
        ]

        indexes = [
            models.Index(
                fields=["confirmation_due_at"],
                condition=Q(confirmation_due_at__isnull=False, confirmation_queued_at=None),
                name="confirmations_are_found_by_due",
            ),
            models.Index(
                fields=["recorded_at"],
                condition=Q(confirmed_at=None, withdrawn_at=None, lapsed_at=None),
                name="lapsing_finds_the_unconfirmed",
            ),
        ]

    def __str__(self) -> str:
        return f"consent of {self.given_at:%Y-%m-%d}"


class Scan(models.Model):
    """The picture of a signed form, encrypted; it belongs to the consent that it proves."""

    class Kind(models.TextChoices):
        PDF = "application/pdf", "PDF"
        PNG = "image/png", "PNG"
        JPEG = "image/jpeg", "JPEG"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.OneToOneField(
        Consent, null=True, on_delete=models.PROTECT, related_name="scan"
    )
    kind = models.CharField(max_length=15, choices=Kind)
    content = EncryptedText()
    fingerprint = models.CharField(max_length=64)
    uploaded_at = models.DateTimeField()

    class Meta:
        permissions = [("open_scan", "Can open the scan of a signed form")]

    def __str__(self) -> str:
        return f"scan of {self.uploaded_at:%Y-%m-%d}"
