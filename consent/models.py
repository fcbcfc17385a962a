"""Subscribers, purposes, notices, consents, suppressions, and the lists they came from."""

import secrets
import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from config.encryption import blind_index
from config.encryption.fields import EncryptedText
from consent import numbers, wording

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no signs that are read as another
SIGNS = (ALPHABET * 8).ljust(256).encode()  # eight bytes for each sign, so that none is likelier
UNUSED = bytes(range(len(ALPHABET) * 8, 256))


def new_pseudonym() -> str:
    """A name for a person that says nothing of them, such as P-7K3MQ2XDRT.

    Ten signs of thirty: among a million people two get the same once in a thousand such lists.
    """
    return "P-" + secrets.token_bytes(40).translate(SIGNS, UNUSED)[:10].decode()


LANGUAGES = RegexValidator(r"\A[a-z]{2}( [a-z]{2})*\Z", _("Two small letters each: en es."))
KEYWORDS = RegexValidator(
    r"\A[A-Z0-9]{2,20}( [A-Z0-9]{2,20})*\Z", _("Capitals and digits, one word each: SALE DEALS.")
)


class Method(models.TextChoices):
    """How an opt-in was given."""

    WEB_FORM = "web_form", _("web form")
    KEYWORD = "keyword", _("keyword")
    PAPER_FORM = "paper_form", _("paper or in-store form")
    RESTORED = "restored", _("START after STOP")


class Purpose(models.Model):
    """What messages are about, and how often they come at most."""

    class Period(models.TextChoices):
        WEEK = "week", _("week")
        MONTH = "month", _("month")

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    promise = models.TextField(help_text=_("What will be sent, as the person is told."))
    frequency = models.PositiveSmallIntegerField(
        validators=[MaxValueValidator(100)], help_text=_("At most so many messages a period.")
    )
    period = models.CharField(max_length=5, choices=Period)
    languages = models.CharField(
        max_length=60,
        default="en",
        validators=[LANGUAGES],
        help_text=_("In which people may opt in, two letters each: en es."),
    )
    keywords = models.CharField(
        max_length=120,
        blank=True,
        validators=[KEYWORDS],
        help_text=_("Words by which people join in a text, besides JOIN: SALE DEALS."),
    )
    least_age = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(120)],
        help_text=_("Years that a person must be old; 0 if the topic needs no age."),
    )
    double_opt_in = models.BooleanField(
        default=True, help_text=_("Nobody is messaged who did not confirm.")
    )
    confirm_within = models.PositiveSmallIntegerField(
        default=30,
        validators=[MaxValueValidator(365)],
        help_text=_("Days after which an opt-in that nobody confirmed lapses."),
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(frequency__gt=0),
                name="a_promise_has_a_frequency",
                violation_error_message=_("Promise at least one message a period."),
            ),
            models.CheckConstraint(
                condition=Q(confirm_within__gt=0),
                name="there_is_time_to_confirm",
                violation_error_message=_("Give people at least a day to confirm."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def span(self) -> timedelta:
        """The time over which `frequency` counts; a month counts as 30 days."""
        return timedelta(days=7 if self.period == self.Period.WEEK else 30)


class NoticeQuerySet(models.QuerySet["Notice"]):
    def shown(self, *, channel: str, language: str, at: datetime) -> "Notice | None":
        """The wording that people were shown there, in that language, at that time."""
        known = self.filter(channel=channel, language=language, shown_from__lte=at)
        return known.order_by("-shown_from", "-number").first()


class Notice(models.Model):
    """One exact wording that people were shown; never changed, never deleted."""

    class Channel(models.TextChoices):
        WEB = "web", _("page with a form")
        KEYWORD = "keyword", _("call to text a word (poster, advertisement)")
        PAPER = "paper", _("paper or in-store form")

    # Where people see the wording that each way of opting in rests on.
    CHANNEL_OF: ClassVar[dict[str, str]] = {
        Method.WEB_FORM: Channel.WEB,
        Method.KEYWORD: Channel.KEYWORD,
        Method.PAPER_FORM: Channel.PAPER,
    }

    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="notices")
    channel = models.CharField(max_length=7, choices=Channel, default=Channel.WEB)
    language = models.CharField(
        max_length=2, validators=[RegexValidator(r"\A[a-z]{2}\Z", _("Two small letters: en."))]
    )
    number = models.PositiveIntegerField()
    wording = models.TextField()
    fingerprint = models.CharField(max_length=64, editable=False)
    shown_from = models.DateTimeField()
    published_at = models.DateTimeField()

    objects: ClassVar[NoticeQuerySet] = NoticeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purpose", "channel", "language", "number"], name="notices_are_numbered"
            ),
            models.UniqueConstraint(
                fields=["purpose", "channel", "fingerprint"], name="one_notice_per_wording"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose.code} {self.channel} {self.language} {self.number}"

    @property
    def missing(self) -> tuple[str, ...]:
        """What the law and the carriers want said, and this wording leaves out; in words."""
        return wording.missing(
            self.wording,
            business=settings.BUSINESS_NAME,
            about=f"{self.purpose.name} {self.purpose.promise}",
            least_age=self.purpose.least_age,
        )

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
    pseudonym = models.CharField(max_length=12, default=new_pseudonym, editable=False)
    number = EncryptedText()
    number_index = models.CharField(max_length=blind_index.LENGTH, editable=False)
    area = models.ForeignKey(Area, on_delete=models.PROTECT, db_index=False)
    language = models.CharField(max_length=8)
    first_name = EncryptedText(blank=True)

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


class Integration(models.Model):
    """Another system that may tell of opt-ins and opt-outs; its key is kept as a hash."""

    class Scope(models.TextChoices):
        CONSENTS = "consents:write", _("tell of opt-ins")
        WITHDRAWALS = "withdrawals:write", _("tell of opt-outs")
        STATUS = "status:read", _("ask whether a number may be messaged")

    name = models.CharField(max_length=60, unique=True)
    scopes = models.CharField(max_length=80)
    key_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        permissions = [("revoke_integration", "Can revoke an integration's key")]
        constraints = [
            models.UniqueConstraint(fields=["key_hash"], name="a_key_is_of_one_integration")
        ]

    def __str__(self) -> str:
        return self.name

    def may(self, scope: str) -> bool:
        return self.revoked_at is None and scope in self.scopes.split()


class ApiCall(models.Model):
    """What was answered to a call, so that the same call told again is answered the same."""

    integration = models.ForeignKey(Integration, on_delete=models.PROTECT, db_index=False)
    key = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    answer = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "key"], name="a_call_told_twice_is_one_call"
            )
        ]

    def __str__(self) -> str:
        return f"call {self.pk}"


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


class Allowance(models.Model):
    """How often somebody did something in a span of time; whom it counts is a keyed hash."""

    key = models.CharField(max_length=64)
    since = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "since"], name="an_allowance_is_counted_once")
        ]

    def __str__(self) -> str:
        return f"allowance {self.pk}"


class ListImportQuerySet(models.QuerySet["ListImport"]):
    def unfinished(self) -> Self:
        return self.exclude(stage__in=ListImport.OVER)

    def at_work(self) -> Self:
        """Those that a worker has something to do for."""
        return self.filter(stage__in=ListImport.AT_WORK)


class ListImport(models.Model):
    """A list that someone brought, what its columns mean, and how far it has been taken in."""

    class Kind(models.TextChoices):
        OPT_INS = "opt_ins", _("people who opted in")
        OPT_OUTS = "opt_outs", _("people who opted out")

    class Stage(models.TextChoices):
        BROUGHT = "brought", _("waits for the meaning of its columns")
        READING = "reading", _("being read")
        TRYING = "trying", _("being tried out")
        FORESEEN = "foreseen", _("tried out; nothing is taken in yet")
        TAKING = "taking", _("being taken in")
        FINISHED = "finished", _("taken in")
        DISCARDED = "discarded", _("discarded")

    STEPS: ClassVar[dict[str, frozenset[str]]] = {
        Stage.BROUGHT: frozenset({Stage.READING, Stage.DISCARDED}),
        Stage.READING: frozenset({Stage.TRYING, Stage.DISCARDED}),
        Stage.TRYING: frozenset({Stage.FORESEEN, Stage.DISCARDED}),
        Stage.FORESEEN: frozenset({Stage.TAKING, Stage.DISCARDED}),
        Stage.TAKING: frozenset({Stage.FINISHED}),
        Stage.FINISHED: frozenset(),
        Stage.DISCARDED: frozenset(),
    }
    OVER: ClassVar = [Stage.FINISHED, Stage.DISCARDED]
    AT_WORK: ClassVar = [Stage.READING, Stage.TRYING, Stage.TAKING]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.OPT_INS)
    purpose = models.ForeignKey(Purpose, null=True, blank=True, on_delete=models.PROTECT)
    label = models.CharField(
        _("source"),
        max_length=80,
        help_text=_(
            "Where the list comes from, such as: shop export. Lists of the same source keep the "
            "meaning of their columns."
        ),
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
    stage = models.CharField(max_length=9, choices=Stage, default=Stage.BROUGHT, editable=False)
    form = models.CharField(_("read as"), max_length=120, editable=False)
    headings = models.JSONField(default=list, editable=False)
    columns = models.JSONField(default=list, editable=False)
    lines = models.PositiveIntegerField(default=0, editable=False)
    part_count = models.PositiveIntegerField(default=0, editable=False)
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, editable=False
    )
    created_at = models.DateTimeField(editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[ListImportQuerySet] = ListImportQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("list")
        permissions = [("take_listimport", "Can have a list that was tried out taken in")]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="opt_outs") | Q(purpose__isnull=False),
                name="opt_ins_are_for_a_purpose",
                violation_error_message=_("Say what these people opted in to."),
            ),
            models.CheckConstraint(
                condition=~Q(stage="finished") | Q(finished_at__isnull=False),
                name="no_finished_list_without_finished_at",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def may_become(self, stage: str) -> bool:
        return stage in self.STEPS[self.stage]

    @property
    def left_out(self) -> list[str]:
        """The headings of columns that mean nothing here; what they held was dropped."""
        named = zip(self.headings, self.columns, strict=False)
        return [heading for heading, meaning in named if not meaning]

    @property
    def done(self) -> float:
        """How much of the present stage's work is done, from 0 to 1."""
        if self.stage == self.Stage.READING:
            return 1 - self.parts.count() / max(self.part_count, 1)
        if self.stage in (self.Stage.TRYING, self.Stage.TAKING):
            left = (
                self.shares.untried() if self.stage == self.Stage.TRYING else self.shares.untaken()
            )
            return 1 - left.count() / max(self.shares.count(), 1)
        return 1.0 if self.stage in self.OVER else 0.0

    def counts(self) -> dict[str, int]:
        """How many rows met which fate so far."""
        fates = self.rows.values_list("fate").annotate(models.Count("pk")).order_by("fate")
        return dict(fates)


class ListPart(models.Model):
    """Some thousand rows of a list as they were brought; it goes when they were read."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    list_import = models.ForeignKey(
        ListImport, on_delete=models.CASCADE, related_name="parts", db_index=False
    )
    number = models.PositiveIntegerField()
    content = EncryptedText()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["list_import", "number"], name="the_parts_of_a_list_are_numbered"
            )
        ]

    def __str__(self) -> str:
        return f"part {self.number}"


class ListShareQuerySet(models.QuerySet["ListShare"]):
    def untried(self) -> Self:
        return self.filter(tried_at=None)

    def untaken(self) -> Self:
        return self.filter(taken_at=None)


class ListShare(models.Model):
    """A share of the people of a list, by blind index: all rows of one number are in one share."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    list_import = models.ForeignKey(
        ListImport, on_delete=models.CASCADE, related_name="shares", db_index=False
    )
    number = models.PositiveIntegerField()
    tried_at = models.DateTimeField(null=True)
    foreseen = models.CharField(max_length=64, blank=True, help_text=_("Hash of the outcomes."))
    taken_at = models.DateTimeField(null=True)

    objects: ClassVar[ListShareQuerySet] = ListShareQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["list_import", "number"], name="the_shares_of_a_list_are_numbered"
            )
        ]

    def __str__(self) -> str:
        return f"share {self.number}"


class SharePiece(models.Model):
    """What one part of a list held for one share of its people, read and in the part's order."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    share = models.ForeignKey(
        ListShare, on_delete=models.CASCADE, related_name="pieces", db_index=False
    )
    part = models.PositiveIntegerField()
    content = EncryptedText()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["share", "part"], name="a_part_is_read_once")
        ]

    def __str__(self) -> str:
        return f"piece {self.part}"


class ImportRow(models.Model):
    """What became of one row of a list."""

    class Fate(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        MERGED = "merged", _("merged")
        REFUSED = "refused", _("refused")
        SUPPRESSED = "suppressed", _("suppressed")

    # Its unique constraint begins with the list: an index of its own would be a second one.
    list_import = models.ForeignKey(
        ListImport, on_delete=models.CASCADE, related_name="rows", db_index=False
    )
    line = models.PositiveIntegerField()
    fate = models.CharField(max_length=10, choices=Fate)
    reason = models.CharField(max_length=300)
    shown_as = models.CharField(max_length=30, blank=True)

    class Meta:
        verbose_name = _("row of a list")
        verbose_name_plural = _("rows of lists")
        constraints = [
            models.UniqueConstraint(fields=["list_import", "line"], name="every_line_has_one_fate")
        ]

    def __str__(self) -> str:
        return f"line {self.line}: {self.fate}"
