"""Campaigns, what releases them, and what is kept of each as a whole."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Q
from django.utils.translation import gettext_lazy as _

from audit.models import Entry
from campaigns.models.senders import Sender
from consent.models import Area, Purpose


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def sending(self) -> Self:
        return self.filter(status=Campaign.Status.SENDING)

    def due(self, at: datetime) -> Self:
        return self.filter(status=Campaign.Status.SCHEDULED, starts_at__lte=at)

    def claimable(self) -> Self:
        """Those of which a worker takes messages up: to hand them over, or to put them down."""
        return self.filter(status__in=Campaign.CLAIMABLE)

    def with_some_of(self, messages: models.QuerySet[Any]) -> Self:
        return self.alias(some=_one_of(messages)).filter(some__isnull=False)

    def with_none_of(self, messages: models.QuerySet[Any]) -> Self:
        return self.alias(none=_one_of(messages)).filter(none__isnull=True)


def _one_of(messages: models.QuerySet[Any]) -> models.Subquery:
    """One of these messages of each campaign, or nothing: an index is asked once a campaign.

    Asked whether one exists, PostgreSQL may rather read a million of them.
    """
    return models.Subquery(messages.filter(campaign=OuterRef("pk")).values("pk")[:1])


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
    # What was withheld from a campaign that is cancelled now is put down at the fence.
    CLAIMABLE: ClassVar = [Status.SENDING, Status.CANCELLED]

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
