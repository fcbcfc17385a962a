"""Reads providers' receipts in batches and moves messages to what they tell."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count

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


class Heard(NamedTuple):
    """A receipt out of the inbox, as its gateway means it."""

    pk: int
    attempt: uuid.UUID
    provider_id: str
    meaning: Delivery | None
    filtered: bool


class Ours(NamedTuple):
    """What a receipt is about: the message of an attempt, and what we know of that."""

    message: int
    outcome: str


def reconcile(*, at: datetime) -> int:
    """Read the inbox to its end, batch by batch; returns how many receipts were read.

    A receipt that overtook our own commit stays in the inbox until its attempt is settled.
    """
    read, last = 0, 0
    while (first := _first_unread(after=last)) is not None:
        last = first + BATCH - 1
        read += _read_batch(first, last, at)
    return read


def _first_unread(*, after: int) -> int | None:
    unread = Receipt.objects.unread().filter(pk__gt=after)
    return unread.order_by("pk").values_list("pk", flat=True).first()


@transaction.atomic
def _read_batch(first: int, last: int, at: datetime) -> int:
    """Read between two keys, so that a batch costs the same however long the inbox is."""
    heard = _heard(first, last)
    ours = _ours(heard)
    settled = [one for one in heard if not _is_pending(ours.get(one.attempt))]
    _move_messages(settled, ours)
    _believe(settled, ours)
    _tally_filtered(settled, ours, at)
    Receipt.objects.filter(pk__among=[one.pk for one in settled]).update(read_at=at)
    return len(settled)


def _heard(first: int, last: int) -> list[Heard]:
    inbox = Receipt.objects.unread().filter(pk__range=(first, last)).order_by("pk")
    rows = inbox.select_for_update(skip_locked=True).values_list(
        "pk", "attempt", "provider_id", "gateway", "status", "code"
    )
    return [
        Heard(
            pk=pk,
            attempt=attempt,
            provider_id=provider_id,
            meaning=GATEWAYS[gateway].RECEIPTS.get(status),
            filtered=code in GATEWAYS[gateway].FILTERED,
        )
        for pk, attempt, provider_id, gateway, status, code in rows
    ]


def _ours(heard: Iterable[Heard]) -> dict[uuid.UUID, Ours]:
    known = Attempt.objects.filter(pk__among={one.attempt for one in heard})
    rows = known.values_list("pk", "message_id", "outcome")
    return {pk: Ours(message, outcome) for pk, message, outcome in rows}


def _is_pending(ours: Ours | None) -> bool:
    return ours is not None and ours.outcome == Attempt.Outcome.PENDING


def _move_messages(heard: Iterable[Heard], ours: Mapping[uuid.UUID, Ours]) -> None:
    by_meaning: dict[Delivery, list[int]] = defaultdict(list)
    for one in heard:
        if one.meaning and one.attempt in ours:
            by_meaning[one.meaning].append(ours[one.attempt].message)
    for meaning, (status, movable) in MOVES.items():
        if messages := by_meaning[meaning]:
            told = Message.objects.filter(pk__among=messages, status__in=movable)
            told.update(status=status, reason="")


def _believe(heard: Iterable[Heard], ours: Mapping[uuid.UUID, Ours]) -> None:
    """A receipt for an attempt whose outcome was unknown proves that the provider took it."""
    unknown = {pk for pk, one in ours.items() if one.outcome == Attempt.Outcome.UNKNOWN}
    proved = {one.attempt: one.provider_id for one in heard if one.attempt in unknown}
    for attempt, provider_id in proved.items():
        Attempt.objects.filter(pk=attempt).update(
            outcome=Attempt.Outcome.ACCEPTED, provider_id=provider_id
        )


def _tally_filtered(heard: Iterable[Heard], ours: Mapping[uuid.UUID, Ours], at: datetime) -> None:
    """What a carrier filtered counts for its campaign as refused, though late."""
    filtered = [ours[one.attempt].message for one in heard if one.filtered and one.attempt in ours]
    if filtered:
        by_campaign = Message.objects.filter(pk__in=filtered, campaign__isnull=False)
        counted = by_campaign.order_by().values_list("campaign_id").annotate(Count("pk"))
        Tally.objects.bulk_create(
            Tally(campaign_id=key, at=at, refused=count) for key, count in counted
        )
