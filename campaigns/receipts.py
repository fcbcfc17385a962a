"""Reads providers' receipts in batches and moves messages to what they tell."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef

from campaigns.gateways.directory import GATEWAYS
from campaigns.gateways.told import Delivery
from campaigns.models import Attempt, Message, Receipt, Sender, Tally

Status = Message.Status
BATCH = 1_000

# What a receipt may change, and into what: a receipt never takes back what a later one told.
MOVES = {
    Delivery.ON_ITS_WAY: (Status.ACCEPTED, [Status.UNKNOWN]),
    Delivery.DELIVERED: (
        Status.DELIVERED,
        [Status.UNKNOWN, Status.ACCEPTED, Status.UNDELIVERED],
    ),
    Delivery.UNDELIVERED: (Status.UNDELIVERED, [Status.UNKNOWN, Status.ACCEPTED]),
}


KEEP = """
INSERT INTO campaigns_receipt (attempt, gateway, provider_id, status, code, received_at)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (provider_id, status) DO NOTHING
"""


def keep(
    *,
    attempt: str,
    provider_id: str,
    status: str,
    code: str,
    at: datetime,
    gateway: str = Sender.Gateway.TWILIO,
) -> None:
    """Put a receipt into the inbox; told twice, it is kept once. Raises ValueError if malformed.

    One statement that commits by itself: providers tell as many receipts as there are messages.
    """
    told = [
        Receipt._meta.get_field("attempt").get_db_prep_value(uuid.UUID(attempt), connection),
        *(gateway, provider_id[:64], status[:20], code[:20]),
        connection.ops.adapt_datetimefield_value(at),
    ]
    with connection.cursor() as cursor:
        cursor.execute(KEEP, told)


@transaction.atomic
def reconcile(*, at: datetime) -> int:
    """Read a batch of the inbox; returns how many receipts were read.

    A receipt that overtook our own commit stays in the inbox until its attempt is settled.
    """
    pending = Attempt.objects.filter(pk=OuterRef("attempt"), outcome=Attempt.Outcome.PENDING)
    inbox = Receipt.objects.unread().filter(~Exists(pending)).order_by("id")
    receipts = list(inbox.select_for_update(skip_locked=True)[:BATCH])
    attempts = Attempt.objects.in_bulk({receipt.attempt for receipt in receipts})
    _move_messages(receipts, attempts)
    _believe(receipts, attempts)
    _tally_filtered(receipts, attempts, at)
    Receipt.objects.filter(pk__in=[receipt.pk for receipt in receipts]).update(read_at=at)
    return len(receipts)


def _move_messages(receipts: Iterable[Receipt], attempts: dict[uuid.UUID, Attempt]) -> None:
    by_meaning: dict[Delivery, list[int]] = defaultdict(list)
    for receipt in receipts:
        meaning = GATEWAYS[receipt.gateway].RECEIPTS.get(receipt.status)
        if meaning and receipt.attempt in attempts:
            by_meaning[meaning].append(attempts[receipt.attempt].message_id)
    for meaning, (status, movable) in MOVES.items():
        Message.objects.filter(pk__in=by_meaning[meaning], status__in=movable).update(
            status=status, reason=""
        )


def _tally_filtered(
    receipts: Iterable[Receipt], attempts: dict[uuid.UUID, Attempt], at: datetime
) -> None:
    """What a carrier filtered counts for its campaign as refused, though late."""
    filtered = [
        attempts[receipt.attempt].message_id
        for receipt in receipts
        if receipt.code in GATEWAYS[receipt.gateway].FILTERED and receipt.attempt in attempts
    ]
    if filtered:
        by_campaign = Message.objects.filter(pk__in=filtered, campaign__isnull=False)
        counted = by_campaign.order_by().values_list("campaign_id").annotate(Count("pk"))
        Tally.objects.bulk_create(
            Tally(campaign_id=key, at=at, refused=count) for key, count in counted
        )


def _believe(receipts: Sequence[Receipt], attempts: dict[uuid.UUID, Attempt]) -> None:
    """A receipt for an attempt whose outcome was unknown proves that the provider took it."""
    proved = {r.attempt: r.provider_id for r in receipts if _was_unknown(attempts.get(r.attempt))}
    for attempt, provider_id in proved.items():
        Attempt.objects.filter(pk=attempt).update(
            outcome=Attempt.Outcome.ACCEPTED, provider_id=provider_id
        )


def _was_unknown(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.outcome == Attempt.Outcome.UNKNOWN
