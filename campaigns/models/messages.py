"""Messages, each attempt to hand one over, and what providers tell of it."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from campaigns.models.campaigns import Campaign, Opening
from campaigns.models.replies import Reply
from campaigns.models.senders import Sender
from consent.models import Consent, Subscriber


class MessageQuerySet(models.QuerySet["Message"]):
    def due(self, at: datetime) -> Self:
        """Waiting, with its time come."""
        return self.filter(status=Message.Status.WAITING, due_at__lte=at)

    def undecided(self) -> Self:
        """Those of which some may still go."""
        return self.filter(status__in=Message.UNDECIDED)

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
            # Included, not a key: with old statistics it would lure batches into reading all sent.
            models.Index(fields=["campaign"], include=["status"], name="campaign_page_counts"),
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
