"""Carries messages out: claim a batch, fence it, call the gateway, settle what it said.

Outbound is at most once. A worker may die anywhere: before the fence its messages wait again, after
the fence their outcome is unknown, and what is unknown is never sent again by a machine.
"""

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import aiohttp
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from audit import trail
from audit.models import Operator
from campaigns import answers, dispatch, fence, pacing, text
from campaigns.gateways import twilio
from campaigns.gateways.outcome import MaybeSent, NotSent, Outgoing
from campaigns.gateways.wire import wire
from campaigns.models import Attempt, Campaign, Message, Sender, Tally
from config.encryption.ring import CannotDecrypt
from consent import ledger
from consent.models import Subscriber, Suppression

Status = Message.Status
Outcome = Attempt.Outcome
GATEWAYS = {Sender.Gateway.TWILIO.value: twilio}
MOST_SEGMENTS = 255  # that one text may have: 3GPP TS 23.040, 9.2.3.24.1
BACKOFF = (timedelta(seconds=2), timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10))


class NotUnknown(Exception):
    """A message whose outcome is known; the text says so."""


def turn(*, at: datetime) -> int:
    """Carry one batch through, from claim to settlement; returns how many messages it took up."""
    claimed = claim(at=at)
    if claimed is None:
        return 0
    taken, by_claim = claimed
    since = time.monotonic()
    attempts = fence.pass_claim(claim=by_claim, at=at)
    called = call(attempts, since=since)
    settle(called=called, at=at)
    for campaign in {one.attempt.message.campaign for one in called} - {None}:
        assert campaign is not None  # what has none is an answer
        dispatch.watch(campaign=campaign, by="worker", at=at)
    return taken


# --- claim -------------------------------------------------------------------------------------


@transaction.atomic
def claim(*, at: datetime) -> tuple[int, uuid.UUID] | None:
    """Take a batch of what is due, answers first; its size and name, or None if nothing is due.

    The lease runs by the database's clock, whatever the worker's says.
    """
    ids = _answers(at) or _of_campaigns(at)
    if not ids:
        return None
    by_claim = uuid.uuid4()
    Message.objects.filter(pk__among=ids).update(
        status=Status.CLAIMED, claim=by_claim, lease_until=Now() + settings.LEASE
    )
    return len(ids), by_claim


def _answers(at: datetime) -> list[int]:
    """What people asked for waits for no pace, though it counts for its sender's."""
    due = Message.objects.due(at).filter(campaign=None).select_related("reply__sender", "sender")
    taken = _take(due, settings.CLAIM_SIZE)
    by_sender = Counter(one.reply.sender_id if one.reply else one.sender_id for one in taken)
    for sender in _held(key for key in by_sender if key):
        _spend(sender, by_sender[sender.pk], at)
    return [one.pk for one in taken]


def _of_campaigns(at: datetime) -> list[int]:
    """A fair share of each campaign that has something due, within the pace of its sender."""
    campaigns = list(Campaign.objects.with_due_messages(at).order_by("pk"))
    senders = {sender.pk: sender for sender in _held(one.sender_id for one in campaigns)}
    ids: list[int] = []
    for place, campaign in enumerate(campaigns):
        share = ceil((settings.CLAIM_SIZE - len(ids)) / (len(campaigns) - place))
        segments, sender = campaign.most_segments or 1, senders[campaign.sender_id]
        due = Message.objects.due(at).filter(campaign=campaign).only("pk")
        taken = _take(due, min(share, _room(sender, at) // segments))
        _spend(sender, len(taken) * segments, at)
        ids += [message.pk for message in taken]
    return ids


def _held(keys: Iterable[int]) -> list[Sender]:
    """These senders, locked until the claim commits: two claims at once would spend twice."""
    paced = Sender.objects.filter(pk__in=set(keys)).order_by("pk")
    return list(paced.select_for_update(no_key=True))


def _room(sender: Sender, at: datetime) -> int:
    if sender.segments_per_second is None:
        return settings.CLAIM_SIZE * MOST_SEGMENTS
    return pacing.room(rate=sender.segments_per_second, full_at=sender.bucket_full_at, at=at)


def _spend(sender: Sender, segments: int, at: datetime) -> None:
    if segments and sender.segments_per_second is not None:
        sender.bucket_full_at = pacing.spent(
            segments, rate=sender.segments_per_second, full_at=sender.bucket_full_at, at=at
        )
        sender.save(update_fields=["bucket_full_at"])


def _take(due: QuerySet[Message], most: int) -> list[Message]:
    """Free rows; those that another worker holds are passed over, not waited for."""
    free = due.order_by("due_at", "id").select_for_update(skip_locked=True, of=("self",))
    return list(free[:most]) if most > 0 else []


# --- call --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Called:
    """What came of handing one attempt over."""

    attempt: Attempt
    outcome: Attempt.Outcome
    provider_id: str = ""
    code: str = ""
    refusal: NotSent | None = None


def call(attempts: Sequence[Attempt], *, since: float | None = None) -> list[Called]:
    """Hand every attempt to its gateway, many at a time, with no database connection in use.

    `since` is the monotonic time, in seconds, at which their fence was asked. A worker that stood
    still since then hands nothing over: its messages may be another's by now.
    """
    fenced = time.monotonic() if since is None else since

    async def hand_over(client: aiohttp.ClientSession, attempt: Attempt) -> str:
        if time.monotonic() - fenced > settings.LEASE.total_seconds() / 2:
            raise NotSent("the worker stood still past half its lease")
        gateway = GATEWAYS[_sender(attempt.message).gateway]
        return str(await gateway.send(client, _outgoing(attempt)))

    answers = wire().gather(hand_over, attempts)
    return [_read(attempt, answer) for attempt, answer in zip(attempts, answers, strict=True)]


def _sender(message: Message) -> Sender:
    if message.campaign is not None:
        return message.campaign.sender
    sender = message.reply.sender if message.reply else message.sender
    assert sender is not None  # the fence lets none pass without
    return sender


def _outgoing(attempt: Attempt) -> Outgoing:
    message = attempt.message
    try:
        return Outgoing(
            to=_number(message),
            sender=_sender(message).address,
            body=_body(attempt),
            attempt=attempt.pk.hex,
            valid_for=_window_end(attempt) - attempt.at,
        )
    except CannotDecrypt:
        raise NotSent("its person cannot be decrypted", permanent=True) from None


def _number(message: Message) -> str:
    if message.subscriber is not None:
        return message.subscriber.number
    assert message.reply is not None  # the database says so
    return message.reply.number


def _body(attempt: Attempt) -> str:
    """The text that the fence let pass, filled in for this person."""
    message = attempt.message
    if message.campaign is None or message.subscriber is None:
        return answers.with_links(message.body)
    template = message.campaign.text_in(attempt.decision["text_in"])
    return text.render(template, {"first_name": message.subscriber.first_name})


def _window_end(attempt: Attempt) -> datetime:
    """When the provider must have given up: the end of the window or the message's own end."""
    closes_at = attempt.decision.get("closes_at")
    ends = [attempt.message.not_after]
    if closes_at:
        ends.append(datetime.fromisoformat(closes_at))
    return min(ends)


def _read(attempt: Attempt, answer: str | Exception) -> Called:
    if isinstance(answer, str):
        return Called(attempt, Outcome.ACCEPTED, provider_id=answer)
    if isinstance(answer, NotSent):
        return Called(attempt, Outcome.REFUSED, code=answer.code, refusal=answer)
    if isinstance(answer, MaybeSent):
        return Called(attempt, Outcome.UNKNOWN, code=answer.code)
    return Called(attempt, Outcome.UNKNOWN, code=type(answer).__name__)


# --- settle ------------------------------------------------------------------------------------

# A sweeper may have called the outcome unknown meanwhile; whoever made the call knows better.
SETTLE_MESSAGE = """
UPDATE campaigns_message
SET status = %s, reason = %s, due_at = %s, settled_at = %s, claim = NULL, lease_until = NULL
WHERE id = %s AND claim = %s AND status IN ('calling', 'unknown')
"""
SETTLE_ATTEMPT = """
UPDATE campaigns_attempt SET outcome = %s, provider_id = %s, code = %s
WHERE id = %s AND outcome IN ('pending', 'unknown')
"""


# The same of a whole batch, where the database takes columns as arrays.
MESSAGES_AT_ONCE = """
UPDATE campaigns_message ours
SET status = told.status, reason = told.reason, due_at = told.due_at,
    settled_at = told.settled_at, claim = NULL, lease_until = NULL
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::uuid[])
    AS told (status, reason, due_at, settled_at, id, claim)
WHERE ours.id = told.id AND ours.claim = told.claim AND ours.status IN ('calling', 'unknown')
"""
ATTEMPTS_AT_ONCE = """
UPDATE campaigns_attempt ours
SET outcome = told.outcome, provider_id = told.provider_id, code = told.code
FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[])
    AS told (outcome, provider_id, code, id)
WHERE ours.id = told.id AND ours.outcome IN ('pending', 'unknown')
"""


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a call leaves its message."""

    status: Message.Status
    reason: str = ""
    due_at: datetime | None = None


@transaction.atomic
def settle(*, called: Sequence[Called], at: datetime) -> None:
    """Write down what the gateway said of a batch."""
    if not called:
        return
    fates = [(one, _fate(one, at)) for one in called]
    _hold_opted_out(called)
    _write(SETTLE_MESSAGE, MESSAGES_AT_ONCE, [_message_row(one, fate, at) for one, fate in fates])
    _write(SETTLE_ATTEMPT, ATTEMPTS_AT_ONCE, [_attempt_row(one) for one in called])
    _believe_refusals(called, at)
    _tally(fates, at)
    trail.record(
        verb="messages.settled",
        subject=f"claim:{called[0].attempt.claim.hex}",
        by="worker",
        at=at,
        facts=dict(Counter(str(fate.status) for _one, fate in fates)),
    )


def _write(each: str, at_once: str, rows: Sequence[Sequence[Any]]) -> None:
    """Settle these rows by the fastest way that this database has."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(at_once, [list(column) for column in zip(*rows, strict=True)])
        else:
            cursor.executemany(each, rows)


def _tally(fates: Sequence[tuple[Called, Fate]], at: datetime) -> None:
    """One row for each campaign of the batch."""
    handed_over: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    for one, fate in fates:
        if (campaign := one.attempt.message.campaign_id) and fate.status != Status.WAITING:
            handed_over[campaign] += 1
            refused[campaign] += fate.status == Status.REFUSED
    Tally.objects.bulk_create(
        Tally(campaign_id=key, at=at, handed_over=count, refused=refused[key])
        for key, count in handed_over.items()
    )


def _fate(one: Called, at: datetime) -> Fate:
    if one.outcome == Outcome.ACCEPTED:
        return Fate(Status.ACCEPTED)
    if one.refusal is None:
        return Fate(Status.UNKNOWN, f"Nobody can tell whether it was sent ({one.code}).")
    return _fate_of_refusal(one.attempt, one.refusal, at)


def _fate_of_refusal(attempt: Attempt, refusal: NotSent, at: datetime) -> Fate:
    reason = f"The provider did not take it ({refusal.code})."
    if refusal.permanent:
        return Fate(Status.REFUSED, reason)
    wait = BACKOFF[min(attempt.number, len(BACKOFF)) - 1]
    again_at = at + max(refusal.retry_after, wait)
    if again_at >= attempt.message.not_after:
        return Fate(Status.REFUSED, reason)
    return Fate(Status.WAITING, reason, due_at=again_at)


def _message_row(one: Called, fate: Fate, at: datetime) -> list[Any]:
    message = one.attempt.message
    instant = connection.ops.adapt_datetimefield_value
    return [
        fate.status,
        fate.reason,
        instant(fate.due_at or message.due_at),
        None if fate.status == Status.WAITING else instant(at),
        message.pk,
        _stored(one.attempt.claim),
    ]


def _attempt_row(one: Called) -> list[Any]:
    return [one.outcome, one.provider_id, one.code[:60], _stored(one.attempt.pk)]


def _stored(key: uuid.UUID) -> Any:
    """A UUID as this database keeps it."""
    return Attempt._meta.pk.get_db_prep_value(key, connection)


def _hold_opted_out(called: Sequence[Called]) -> None:
    """Lock those people in the common order, before their messages and before any is withdrawn."""
    refused = (one.attempt.message for one in called if one.refusal and one.refusal.opted_out)
    people = [message.subscriber_id for message in refused if message.subscriber_id]
    list(Subscriber.objects.filter(pk__in=people).in_lock_order().values_list("pk"))


def _believe_refusals(called: Sequence[Called], at: datetime) -> None:
    """A provider that knows of an opt-out is believed at once."""
    for one in called:
        person = one.attempt.message.subscriber
        if person and one.refusal and one.refusal.opted_out:
            ledger.withdraw(
                number_index=person.number_index,
                channel=Suppression.Channel.PROVIDER,
                reason="the provider says opted out",
                by="gateway",
                at=at,
            )


# --- what nobody can tell ----------------------------------------------------------------------


@transaction.atomic
def judge(*, message: Message, arrived: bool, note: str, by: Operator, at: datetime) -> None:
    """An operator's word on a message whose outcome is unknown, with what it rests on.

    It is never sent again, whatever they say. Raises NotUnknown if a receipt was faster.
    """
    ours = Message.objects.select_for_update().filter(pk=message.pk, status=Status.UNKNOWN)
    status = Status.ACCEPTED if arrived else Status.REFUSED
    if not ours.update(status=status, reason=f"By the word of {by}.", settled_at=at):
        raise NotUnknown("What became of this message has been told meanwhile.")
    trail.record(
        verb="message.judged",
        subject=f"message:{message.pk}",
        by=by,
        at=at,
        facts={"arrived": arrived},
        detail=note,
    )


# --- sweep -------------------------------------------------------------------------------------


@transaction.atomic
def sweep(*, at: datetime) -> tuple[int, int]:
    """Find what dead workers left: how many wait again, how many are unknown from now on."""
    abandoned = Message.objects.abandoned()
    waiting = abandoned.filter(status=Status.CLAIMED).update(
        status=Status.WAITING, claim=None, lease_until=None
    )
    lost = list(_locked(abandoned.filter(status=Status.CALLING)))
    Message.objects.filter(pk__in=lost).update(
        status=Status.UNKNOWN,
        reason="The worker died while handing it over.",
        lease_until=None,
        settled_at=at,
    )
    Attempt.objects.filter(message__in=lost, outcome=Outcome.PENDING).update(
        outcome=Outcome.UNKNOWN, code="worker died"
    )
    if waiting or lost:
        facts = {"waiting": waiting, "unknown": lost}
        trail.record(verb="messages.swept", subject="messages", by="worker", at=at, facts=facts)
    return waiting, len(lost)


def _locked(messages: QuerySet[Message]) -> list[int]:
    return [m.pk for m in messages.select_for_update(skip_locked=True).only("pk").order_by("pk")]
