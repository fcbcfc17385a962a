"""Subscribers, purposes, notices, consents, suppressions, and the lists they came from."""

import secrets
import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from config.encryption import blind_index
from config.encryption.fields import EncryptedText
from consent import numbers, wording

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no signs that are read as another


def new_pseudonym() -> str:
    """A name for a person that says nothing of them, such as P-7K3MQ2XD."""
    return "P-" + "".join(secrets.choice(ALPHABET) for _sign in range(8))


class Method(models.TextChoices):
    """How an opt-in was given."""

    WEB_FORM = "web_form", _("web form")
    KEYWORD = "keyword", _("keyword")
    PAPER_FORM = "paper_form", _("paper form")
    RESTORED = "restored", _("START after STOP")


class Purpose(models.Model):
    """What messages are about, and how often they come at most."""

    class Period(models.TextChoices):
        WEEK = "week", _("week")
        MONTH = "month", _("month")

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    promise = models.TextField(help_text=_("What will be sent, as the person is told."))
    frequency = models.PositiveSmallIntegerField(help_text=_("At most so many messages a period."))
    period = models.CharField(max_length=5, choices=Period)
    double_opt_in = models.BooleanField(
        default=True, help_text=_("Nobody is messaged who did not confirm.")
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(frequency__gt=0), name="a_promise_has_a_frequency")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def span(self) -> timedelta:
        """The time over which `frequency` counts; a month counts as 30 days."""
        return timedelta(days=7 if self.period == self.Period.WEEK else 30)


class Notice(models.Model):
    """One exact wording that people were shown; never changed, never deleted."""

    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="notices")
    language = models.CharField(max_length=8)
    number = models.PositiveIntegerField()
    wording = models.TextField()
    fingerprint = models.CharField(max_length=64, editable=False)
    shown_from = models.DateTimeField()
    published_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purpose", "language", "number"], name="notices_are_numbered"
            ),
            models.UniqueConstraint(
                fields=["purpose", "fingerprint"], name="one_notice_per_wording"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose.code} {self.language} {self.number}"

    @property
    def missing(self) -> tuple[str, ...]:
        return wording.missing(self.wording, business=settings.BUSINESS_NAME)

    @property
    def missing_essentials(self) -> tuple[str, ...]:
        """What keeps this wording from being evidence at all."""
        return tuple(element for element in self.missing if element in wording.ESSENTIAL)


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
    pseudonym = models.CharField(max_length=12, unique=True, default=new_pseudonym, editable=False)
    number = EncryptedText()
    number_index = models.CharField(max_length=blind_index.LENGTH, unique=True, editable=False)
    area = models.ForeignKey(Area, on_delete=models.PROTECT)
    language = models.CharField(max_length=8)
    first_name = EncryptedText(blank=True)

    objects: ClassVar[SubscriberQuerySet] = SubscriberQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        permissions = [("withdraw_subscriber", "Can record an opt-out")]

    def __str__(self) -> str:
        return self.pseudonym

    @property
    def masked_number(self) -> str:
        return numbers.masked(self.number) if self.number else ""


class ConsentQuerySet(models.QuerySet["Consent"]):
    def open(self) -> Self:
        return self.filter(withdrawn_at=None)

    def expired(self, at: datetime) -> Self:
        return self.filter(expires_at__lte=at)

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

    def permitting(self, at: datetime) -> Self:
        """Consents that allow a message at that time: one rule for enrolment and fence."""
        running = self.open().filter(Q(expires_at=None) | Q(expires_at__gt=at), given_at__lte=at)
        return running.confirmed().unrefused()


class Consent(models.Model):
    """A period in which a person wanted messages of one purpose; opened and closed once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscriber = models.ForeignKey(Subscriber, on_delete=models.PROTECT, related_name="consents")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT)
    method = models.CharField(max_length=12, choices=Method)
    source = models.CharField(max_length=200)
    evidence = EncryptedText(blank=True)
    given_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    objects: ClassVar[ConsentQuerySet] = ConsentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscriber", "purpose"],
                condition=Q(withdrawn_at=None),
                name="one_open_consent_per_purpose",
            ),
            models.CheckConstraint(
                condition=Q(given_at__lte=F("recorded_at")), name="no_consent_from_the_future"
            ),
        ]

    def __str__(self) -> str:
        return f"consent of {self.given_at:%Y-%m-%d}"


class SuppressionQuerySet(models.QuerySet["Suppression"]):
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
        STAFF = "staff", _("told to staff")
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


class ListImportQuerySet(models.QuerySet["ListImport"]):
    def unfinished(self) -> Self:
        return self.filter(finished_at=None)


class ListImport(models.Model):
    """A list that someone brought, and how far it has been taken in."""

    class Kind(models.TextChoices):
        OPT_INS = "opt_ins", _("people who opted in")
        OPT_OUTS = "opt_outs", _("people who opted out")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.OPT_INS)
    purpose = models.ForeignKey(Purpose, null=True, blank=True, on_delete=models.PROTECT)
    label = models.CharField(
        max_length=80, help_text=_("Where the list comes from, such as: shop export of May.")
    )
    method = models.CharField(
        max_length=12,
        choices=Method,
        default=Method.WEB_FORM,
        help_text=_("How these people opted in, where the list does not say it itself."),
    )
    country = models.CharField(
        max_length=2,
        default="US",
        help_text=_("Where numbers without a country code are, where the list does not say it."),
    )
    content = EncryptedText(blank=True)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    lines = models.PositiveIntegerField(default=0)
    taken = models.PositiveIntegerField(default=0)
    columns_left_out = models.JSONField(default=list)

    objects: ClassVar[ListImportQuerySet] = ListImportQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("list")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="opt_outs") | Q(purpose__isnull=False),
                name="opt_ins_are_for_a_purpose",
                violation_error_message=_("Say what these people opted in to."),
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None) | Q(taken=F("lines")),
                name="no_list_is_finished_before_its_last_line",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def counts(self) -> dict[str, int]:
        """How many rows met which fate."""
        fates = self.rows.values_list("fate").annotate(models.Count("pk")).order_by("fate")
        return dict(fates)


class ImportRow(models.Model):
    """What became of one row of a list."""

    class Fate(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        MERGED = "merged", _("merged")
        REFUSED = "refused", _("refused")
        SUPPRESSED = "suppressed", _("suppressed")

    list_import = models.ForeignKey(ListImport, on_delete=models.CASCADE, related_name="rows")
    line = models.PositiveIntegerField()
    fate = models.CharField(max_length=10, choices=Fate)
    reason = models.CharField(max_length=200)
    shown_as = models.CharField(max_length=30, blank=True)

    class Meta:
        verbose_name = _("row of a list")
        verbose_name_plural = _("rows of lists")
        constraints = [
            models.UniqueConstraint(fields=["list_import", "line"], name="every_line_has_one_fate")
        ]

    def __str__(self) -> str:
        return f"line {self.line}: {self.fate}"
