"""Senders, campaigns and their approvals, messages and their attempts, receipts, replies."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from audit.models import Entry
from campaigns import quiet_hours
from campaigns.gateways.directory import GATEWAYS
from config.encryption import blind_index
from config.encryption.fields import EncryptedText
from consent import numbers, places
from consent.models import Area, Consent, Purpose, Subscriber
from consent.replies import Intent

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

    def on_try(self, number: int, *, country: str) -> "Sender":
        """Who hands over the attempt of that number: itself, or every second time its stand-in.

        What is tried again was certainly not sent, so nobody gets it from both.
        """
        stand_in: Sender | None = getattr(self, "stand_in", None)
        if number % 2 == 0 and stand_in is not None and stand_in.may_reach(country):
            return stand_in
        return self


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def sending(self) -> Self:
        return self.filter(status=Campaign.Status.SENDING)

    def due(self, at: datetime) -> Self:
        return self.filter(status=Campaign.Status.SCHEDULED, starts_at__lte=at)

    def with_due_messages(self, at: datetime) -> Self:
        """Those of which a worker may take something up now."""
        due = Message.objects.due(at).order_by("due_at")
        return self.filter(status__in=Message.CLAIMABLE)._finding(due).filter(one__isnull=False)

    def exhausted(self) -> Self:
        """Being sent, with nothing left that could still go."""
        undecided = Message.objects.filter(status__in=Message.UNDECIDED).order_by("status")
        return self.sending()._finding(undecided).filter(one__isnull=True)

    def _finding(self, messages: "MessageQuerySet") -> Self:
        """With `one` of these messages of each, or none: an index is asked once a campaign.

        Asked whether one exists, PostgreSQL may rather read a million of them.
        """
        theirs = messages.filter(campaign=OuterRef("pk"))
        return self.annotate(one=models.Subquery(theirs.values("pk")[:1]))


class Campaign(models.Model):
    """One text to the people of one purpose, released by a second person."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        CHECKED = "checked", _("checked")
        APPROVED = "approved", _("approved")
        SCHEDULED = "scheduled", _("scheduled")
        SENDING = "sending", _("sending")
        PAUSED = "paused", _("paused")
        FINISHED = "finished", _("finished")
        CANCELLED = "cancelled", _("cancelled")

    # The only steps there are; `dispatch` takes them and nothing else writes a status.
    STEPS: ClassVar[dict[str, frozenset[str]]] = {
        Status.DRAFT: frozenset({Status.CHECKED, Status.CANCELLED}),
        Status.CHECKED: frozenset({Status.DRAFT, Status.APPROVED, Status.CANCELLED}),
        Status.APPROVED: frozenset(
            {Status.DRAFT, Status.SCHEDULED, Status.SENDING, Status.CANCELLED}
        ),
        Status.SCHEDULED: frozenset(
            {Status.DRAFT, Status.APPROVED, Status.SENDING, Status.CANCELLED}
        ),
        Status.SENDING: frozenset({Status.PAUSED, Status.FINISHED, Status.CANCELLED}),
        Status.PAUSED: frozenset({Status.SENDING, Status.CANCELLED}),
        Status.FINISHED: frozenset(),
        Status.CANCELLED: frozenset(),
    }
    EDITABLE: ClassVar = frozenset(
        {Status.DRAFT, Status.CHECKED, Status.APPROVED, Status.SCHEDULED}
    )

    name = models.CharField(max_length=80)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    sender = models.ForeignKey(Sender, on_delete=models.PROTECT)
    text = models.TextField(
        help_text=_("May hold {first_name|there}: the name, or the words after the bar.")
    )
    translations = models.JSONField(
        default=dict, blank=True, help_text=_("The text in other languages, by their two letters.")
    )
    audience = models.JSONField(
        default=dict, blank=True, help_text=_("Filters on the people of the purpose.")
    )
    trial = models.BooleanField(
        default=False, help_text=_("Only to people with the label “guests”.")
    )
    segment_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("At most so many billed segments; empty: no limit."),
    )
    starts_at = models.DateTimeField(help_text=_("Nothing is sent before."))
    deadline = models.DateTimeField(help_text=_("Nothing is sent after."))
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", editable=False
    )
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", editable=False
    )
    edited_at = models.DateTimeField(editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    counted = models.PositiveIntegerField(
        null=True, editable=False, help_text=_("How many people it was checked and approved for.")
    )
    most_segments = models.PositiveSmallIntegerField(
        null=True, editable=False, help_text=_("Of the longest text, with the names there are.")
    )
    approved_at = models.DateTimeField(null=True, editable=False)
    scheduled_at = models.DateTimeField(null=True, editable=False)
    launched_at = models.DateTimeField(null=True, editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, editable=False)
    watched_from = models.DateTimeField(
        null=True, editable=False, help_text=_("Since when its refusals and opt-outs are judged.")
    )
    because = models.CharField(
        max_length=200, blank=True, editable=False, help_text=_("Why it was stopped or held.")
    )

    objects: ClassVar[CampaignQuerySet] = CampaignQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        permissions = [
            ("check_campaign", "Can have a campaign checked"),
            ("approve_campaign", "Can approve a campaign of another person"),
            ("launch_campaign", "Can launch a campaign"),
            ("halt_campaign", "Can pause, resume and cancel a campaign"),
            ("override_campaign", "Can override what a list of words found in a campaign"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(deadline__gt=models.F("starts_at")),
                name="no_campaign_ends_before_it_starts",
                violation_error_message=_("The deadline must be after the start."),
            ),
            *(
                models.CheckConstraint(
                    condition=~Q(status__in=statuses) | Q(**{f"{stamp}__isnull": False}),
                    name=f"no_{statuses[0]}_campaign_without_{stamp}",
                )
                for stamp, statuses in {
                    "checked_at": ["checked"],
                    "approved_at": ["approved", "scheduled"],
                    "scheduled_at": ["scheduled"],
                    "launched_at": ["sending", "paused", "finished"],
                    "paused_at": ["paused"],
                    "finished_at": ["finished"],
                    "cancelled_at": ["cancelled"],
                }.items()
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def may_become(self, status: str) -> bool:
        return status in self.STEPS[self.status]

    @property
    def content_hash(self) -> str:
        """What an approval binds to: everything that decides what is sent, to whom and when."""
        content = [
            self.text,
            self.translations,
            self.audience,
            self.trial,
            self.counted,
            self.segment_limit,
            self.purpose_id,
            self.sender_id,
            self.starts_at.astimezone(UTC).isoformat(),
            self.deadline.astimezone(UTC).isoformat(),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def texts(self) -> list[str]:
        """Every version of its text, the first before its translations."""
        return [self.text, *self.translations.values()]

    def version_for(self, language: str) -> str:
        """Which version a person of that language gets: a key of `translations`, "" the first."""
        return language if language in self.translations else ""

    def text_in(self, version: str) -> str:
        """The words of one version."""
        return str(self.translations.get(version, self.text))

    @property
    def standing_approval(self) -> "Approval | None":
        """The approval of exactly this content by someone who did not write it, if there is one."""
        given = self.approvals.filter(content_hash=self.content_hash)
        return given.exclude(by__in=self.writers()).first()

    def writers(self) -> set[int]:
        """Everyone who ever wrote or edited it, by the trail; none of them may approve it."""
        told = Entry.objects.filter(
            subject=f"campaign:{self.pk}", verb__in=["campaign.drafted", "campaign.edited"]
        )
        actors = told.values_list("actor", flat=True)
        return {int(actor.removeprefix("operator:")) for actor in actors}

    def counts(self) -> dict[str, int]:
        """How many messages stand in which status."""
        rows = self.messages.values_list("status").annotate(models.Count("pk")).order_by("status")
        return dict(rows)


class Approval(models.Model):
    """A second person's word for one content of a campaign."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="approvals")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    at = models.DateTimeField()
    content_hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "by", "content_hash"], name="one_word_per_person_and_content"
            )
        ]

    def __str__(self) -> str:
        return f"approval of {self.campaign_id}"


class Override(models.Model):
    """A privacy officer's word that a finding in these texts, from a list of words, is none."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="overrides")
    code = models.CharField(max_length=20)
    texts = models.CharField(max_length=64, help_text=_("Hash of the texts it holds for."))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "code", "texts"], name="a_finding_is_overridden_once"
            )
        ]

    def __str__(self) -> str:
        return f"override of {self.code}"


DAYS: tuple[str, str, str] = ("weekday", "saturday", "sunday")  # as the shipped table has them


def _closed_or_in_order(day: str) -> Q:
    start, end = f"{day}_start", f"{day}_end"
    closed = Q(**{start: None, end: None})
    said = Q(**{f"{start}__isnull": False, f"{end}__isnull": False})
    return closed | said & Q(**{f"{end}__gt": models.F(start), f"{end}__lte": 1440})


class OwnRuleQuerySet(models.QuerySet["OwnRule"]):
    def in_force(self, at: datetime) -> Self:
        return self.filter(Q(ended_at=None) | Q(ended_at__gt=at), in_force_from__lte=at)

    def not_ended(self) -> Self:
        """In force, or to be so one day."""
        return self.filter(ended_at=None)


class OwnRule(models.Model):
    """Quiet hours of the business's own, on top of those that are shipped; ended, never edited.

    Times are minutes since local midnight; a day without them is closed, 0 to 1440 says nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True, editable=False)
    jurisdiction = models.CharField(max_length=5, help_text=_("Such as US, US-FL, FR; * is all."))
    weekday_start = models.PositiveSmallIntegerField(null=True, blank=True)
    weekday_end = models.PositiveSmallIntegerField(null=True, blank=True)
    saturday_start = models.PositiveSmallIntegerField(null=True, blank=True)
    saturday_end = models.PositiveSmallIntegerField(null=True, blank=True)
    sunday_start = models.PositiveSmallIntegerField(null=True, blank=True)
    sunday_end = models.PositiveSmallIntegerField(null=True, blank=True)
    closed_on_holidays = models.BooleanField(
        default=False, help_text=_("Those of the country, and of the state if it is for one.")
    )
    daily_cap = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("At most so many messages to one person in 24 hours; empty: says nothing."),
    )
    in_force_from = models.DateTimeField()
    reason = EncryptedText(help_text=_("Why; no names and no numbers of people."))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )

    objects: ClassVar[OwnRuleQuerySet] = OwnRuleQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("stricter rule")
        verbose_name_plural = _("quiet hours")
        permissions = [("end_ownrule", "Can end a stricter rule of quiet hours")]
        constraints = [
            *(
                models.CheckConstraint(
                    condition=_closed_or_in_order(day),
                    name=f"own_hours_of_a_{day}_are_closed_or_in_order",
                    violation_error_message=_("The end must be later than the start."),
                )
                for day in DAYS
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by=None)
                | Q(ended_at__isnull=False, ended_by__isnull=False),
                name="no_end_of_a_rule_without_who_and_when",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.jurisdiction} own rule {self.number}"

    def as_rule(self) -> quiet_hours.Rule:
        """What it says, as quiet hours are reckoned; its reason is not among that."""
        return quiet_hours.Rule(
            jurisdiction=self.jurisdiction,
            hours=(
                _hours(self.weekday_start, self.weekday_end),
                _hours(self.saturday_start, self.saturday_end),
                _hours(self.sunday_start, self.sunday_end),
            ),
            holidays="closed" if self.closed_on_holidays else "none",
            daily_cap=self.daily_cap,
            note="",
            source="the business's own",
            confidence="own",
            own=self.number,
        )


def _hours(start: int | None, end: int | None) -> quiet_hours.Hours | None:
    if start is None or end is None:
        return None
    return quiet_hours.Hours(timedelta(minutes=start), timedelta(minutes=end))


class StopQuerySet(models.QuerySet["Stop"]):
    def standing(self) -> Self:
        """Not lifted: whoever asks under the fence goes by this and by no clock."""
        return self.filter(lifted_at=None)

    def in_force(self, at: datetime) -> Self:
        return self.filter(Q(lifted_at=None) | Q(lifted_at__gt=at), at__lte=at)


class Stop(models.Model):
    """An emergency stop: until it is lifted nothing leaves for people who may be in that place."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    jurisdiction = models.CharField(max_length=5, help_text=_("Such as US, US-FL, FR; * is all."))
    reason = EncryptedText(help_text=_("Why; no names and no numbers of people."))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True, editable=False)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )

    objects: ClassVar[StopQuerySet] = StopQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("emergency stop")
        permissions = [("lift_stop", "Can lift an emergency stop")]
        constraints = [
            models.UniqueConstraint(
                fields=["jurisdiction"],
                condition=Q(lifted_at=None),
                name="one_emergency_stop_per_place_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by=None)
                | Q(lifted_at__isnull=False, lifted_by__isnull=False),
                name="no_lifting_of_a_stop_without_who_and_when",
            ),
        ]

    def __str__(self) -> str:
        return f"emergency stop {self.jurisdiction}"

    @property
    def place(self) -> str:
        """Where it holds, in words that end a sentence."""
        if self.jurisdiction == quiet_hours.ANY_COUNTRY:
            return str(_("all places"))
        return places.called(self.jurisdiction)


class Opening(models.Model):
    """What the quiet hours said for one area when a campaign was launched."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="openings")
    area = models.ForeignKey(Area, on_delete=models.PROTECT, related_name="openings")
    due_at = models.DateTimeField(null=True)
    reachable = models.BooleanField(default=True, help_text=_("By the sender of the campaign."))
    daily_cap = models.PositiveSmallIntegerField(null=True)
    decision = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "area"], name="one_opening_per_campaign_and_area"
            )
        ]

    def __str__(self) -> str:
        return f"opening of {self.area}"


class Tally(models.Model):
    """What came of one batch of a campaign, so that nobody has to count its messages again."""

    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, related_name="tallies", db_index=False
    )
    at = models.DateTimeField()
    handed_over = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0, help_text=_("For good, or filtered later."))

    class Meta:
        indexes = [models.Index(fields=["campaign", "at"], name="watch_reads_the_latest")]

    def __str__(self) -> str:
        return f"tally of {self.campaign_id}"


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


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self, at: datetime) -> Self:
        """Waiting, with its time come."""
        return self.filter(status=Message.Status.WAITING, due_at__lte=at)

    def abandoned(self) -> Self:
        """In the hands of a worker whose lease is over, by the database's clock."""
        return self.filter(status=Message.Status.CALLING, lease_until__lt=Now())

    def counted(self) -> Self:
        """Those that count as sent for caps: what may have reached the person."""
        return self.filter(status__in=Message.MAY_HAVE_ARRIVED)


class Message(models.Model):
    """One text to one person: of a campaign, an answer to a reply, or what confirms an opt-in."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CALLING = "calling", _("being handed over")
        ACCEPTED = "accepted", _("accepted by the provider")
        DELIVERED = "delivered", _("delivered")
        UNDELIVERED = "undelivered", _("not delivered")
        REFUSED = "refused", _("refused by the provider")
        UNKNOWN = "unknown", _("unknown")
        BLOCKED = "blocked", _("not allowed")
        EXPIRED = "expired", _("too late")
        CANCELLED = "cancelled", _("cancelled")

    # What was withheld from a campaign that is cancelled now is put down at the fence.
    CLAIMABLE: ClassVar = [Campaign.Status.SENDING, Campaign.Status.CANCELLED]
    UNDECIDED: ClassVar = [Status.WAITING, Status.CALLING]
    MAY_HAVE_ARRIVED: ClassVar = [
        Status.CALLING,
        Status.ACCEPTED,
        Status.DELIVERED,
        Status.UNDELIVERED,
        Status.UNKNOWN,
    ]

    # A launch writes a million rows at once and would pay for every index and key. So these have no
    # index of their own, and no key in the database where the row they point at can never be lost:
    # triggers refuse to delete it (docs/decisions/0007).
    campaign = models.ForeignKey(
        Campaign,
        null=True,
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,
        db_constraint=False,
    )
    subscriber = models.ForeignKey(
        Subscriber, null=True, on_delete=models.PROTECT, db_index=False, db_constraint=False
    )
    consent = models.ForeignKey(
        Consent, null=True, on_delete=models.PROTECT, db_index=False, db_constraint=False
    )
    opening = models.ForeignKey(
        Opening, null=True, on_delete=models.PROTECT, db_index=False, db_constraint=False
    )
    reply = models.OneToOneField(Reply, null=True, on_delete=models.PROTECT, related_name="answer")
    confirms = models.OneToOneField(
        Consent, null=True, on_delete=models.PROTECT, related_name="confirmation"
    )
    sender = models.ForeignKey(
        Sender,
        null=True,
        on_delete=models.PROTECT,
        db_index=False,
        help_text=_("Of what confirms an opt-in."),
    )
    body = models.TextField(blank=True, help_text=_("Of an answer; a campaign has its own."))
    status = models.CharField(max_length=11, choices=Status, default=Status.WAITING)
    reason = models.CharField(max_length=200, blank=True)
    due_at = models.DateTimeField(null=True)
    not_after = models.DateTimeField()
    stopped = models.JSONField(null=True, help_text=_("What the fence found that stopped it."))
    claim = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    fenced_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)

    objects: ClassVar[MessageQuerySet] = MessageQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        permissions = [
            ("pack_dispute", "Can make a dispute pack"),
            ("judge_message", "Can say what became of a message of unknown outcome"),
        ]
        indexes = [
            models.Index(
                fields=["campaign", "due_at", "id"],
                condition=Q(status="waiting"),
                name="claim_takes_what_is_due",
            ),
            models.Index(
                fields=["lease_until"],
                condition=Q(status="calling"),
                name="sweep_finds_the_abandoned",
            ),
            models.Index(
                fields=["subscriber", "fenced_at"],
                condition=Q(fenced_at__isnull=False),
                name="fence_counts_for_caps",
            ),
            models.Index(fields=["campaign", "status"], name="campaign_page_counts"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["subscriber", "campaign"], name="one_message_per_person_and_campaign"
            ),
            models.CheckConstraint(
                condition=Q(campaign__isnull=False, reply=None, confirms=None)
                & Q(consent__isnull=False)
                | Q(campaign=None, reply__isnull=False, confirms=None)
                | Q(campaign=None, reply=None, confirms__isnull=False, subscriber__isnull=False),
                name="a_message_is_of_a_campaign_or_an_answer_or_confirms",
            ),
            models.CheckConstraint(
                condition=~Q(status="calling") | Q(claim__isnull=False, lease_until__isnull=False),
                name="no_held_message_without_a_lease",
            ),
            models.CheckConstraint(
                condition=~Q(
                    status__in=["calling", "accepted", "delivered", "undelivered", "unknown"]
                )
                | Q(fenced_at__isnull=False),
                name="nothing_is_handed_over_that_was_not_fenced",
            ),
            models.CheckConstraint(
                condition=~Q(status="waiting") | Q(due_at__isnull=False),
                name="no_waiting_message_without_due_at",
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"

    @property
    def from_sender(self) -> Sender | None:
        """The sender that it has or would have, if there is one."""
        if self.campaign is not None:
            return self.campaign.sender
        return self.reply.sender if self.reply else self.sender


class Decision(models.Model):
    """What the fence found; kept once for all messages of a claim of which it found the same."""

    told = models.JSONField()

    def __str__(self) -> str:
        return f"decision {self.pk}"


class Attempt(models.Model):
    """One handing-over to a gateway, recorded and committed before any byte leaves."""

    class Outcome(models.TextChoices):
        PENDING = "pending", _("pending")
        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")
        UNKNOWN = "unknown", _("unknown")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # No keys in the database, as of its message; the constraint below is the index of the message.
    message = models.ForeignKey(
        Message,
        on_delete=models.PROTECT,
        related_name="attempts",
        db_index=False,
        db_constraint=False,
    )
    number = models.PositiveSmallIntegerField()
    claim = models.UUIDField(db_index=True)
    at = models.DateTimeField()
    decision = models.ForeignKey(
        Decision, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.PENDING)
    provider_id = models.CharField(max_length=64, blank=True)
    code = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["message", "number"], name="attempts_of_a_message_are_numbered"
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of message {self.message_id}"

    @property
    def found(self) -> dict[str, Any]:
        """What allowed it: the consent of its message, and what the fence found."""
        consent = self.message.consent_id or self.message.confirms_id
        return {**self.decision.told, **({"consent": str(consent)} if consent else {})}


class ReceiptQuerySet(models.QuerySet["Receipt"]):
    def unread(self) -> Self:
        return self.filter(read_at=None)


class Receipt(models.Model):
    """What a provider told of an attempt: kept as it came, read in batches.

    It may come before our own commit, twice, or out of order.
    """

    attempt = models.UUIDField()
    gateway = models.CharField(max_length=10, default=Sender.Gateway.TWILIO)
    provider_id = models.CharField(max_length=64)
    status = models.CharField(max_length=20)
    code = models.CharField(max_length=20, blank=True)
    received_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    objects: ClassVar[ReceiptQuerySet] = ReceiptQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=Q(read_at=None), name="reconcile_reads_the_inbox")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["provider_id", "status"], name="a_receipt_told_twice_is_one"
            )
        ]

    def __str__(self) -> str:
        return f"receipt {self.status}"
