"""Carries messages out: claim a batch at the fence, call the gateway, settle what it said.

Outbound is at most once. A worker may die anywhere: before its claim commits nothing has happened,
after that the outcome is unknown, and what is unknown is never sent again by a machine.
"""

import json
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet, prefetch_related_objects

from audit import trail
from audit.models import Operator
from campaigns import dispatch, facts, fence, pacing
from campaigns.calling import Called, Calling, Withheld
from campaigns.facts import Due
from campaigns.fence import Passed
from campaigns.gateways.outcome import NotSent
from campaigns.models import Attempt, Campaign, Message, Sender, Tally
from consent import ledger
from consent.models import Subscriber, Suppression

Status = Message.Status
Outcome = Attempt.Outcome
BACKOFF = (timedelta(seconds=2), timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10))


class NotUnknown(Exception):
    """A message whose outcome is known; the text says so."""


def turn(*, at: datetime) -> int:
    """Carry one batch through, from claim to settlement; returns how many messages it took up."""
    batch = take_up(at=at)
    if batch is None:
        return 0
    batch.finish(at=at)
    return batch.size


def turns(*, now: Callable[[], datetime], until: float) -> None:
    """Carry batches through until nothing is due, or until the monotonic time `until`, in seconds.

    While one batch is being called the next is taken up; a worker that dies leaves two at most.
    """
    under_way: deque[Batch] = deque()
    try:
        while time.monotonic() < until and (batch := take_up(at=now())):
            under_way.append(batch)
            if len(under_way) > 1:
                under_way[0].finish(at=now())
                under_way.popleft()
    finally:  # whatever went wrong with the others
        for batch in under_way:
            batch.finish(at=now())


class Batch:
    """Messages that one claim took up, those on their way that the fence let pass."""

    def __init__(self, size: int, calling: Calling) -> None:
        self.size = size
        self._calling = calling

    def finish(self, *, at: datetime) -> None:
        """Wait for its answers, write them down, and look how its campaigns fare."""
        called = self._calling.called()
        settle(called=called, at=at)
        campaigns = (one.attempt.message.campaign for one in called)
        for campaign in {one.pk: one for one in campaigns if one}.values():
            dispatch.watch(campaign=campaign, by="worker", at=at)


def take_up(*, at: datetime) -> Batch | None:
    """Claim what is due and begin to hand over what the fence let pass; None if nothing is due."""
    since = time.monotonic()
    size, attempts = claim(at=at)
    return Batch(size, Calling(attempts, since=since)) if size else None


# --- claim -------------------------------------------------------------------------------------


@transaction.atomic
def claim(*, at: datetime) -> tuple[int, list[Passed]]:
    """Take a batch of what is due, answers first, and ask the fence of each message.

    Returns how many were taken, and an attempt for each that may leave now: it is committed when
    this returns, and only it may be handed over.
    """
    _let_go_if_we_stand_still()
    messages = _answers(at) or _of_campaigns(at)
    return len(messages), fence.let_pass(messages, at=at) if messages else []


def _let_go_if_we_stand_still() -> None:
    """A worker that is stopped in here holds what others wait for, so the database ends it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '30s'")


def _answers(at: datetime) -> list[Due]:
    """What people asked for waits for no pace, though it counts for its sender's."""
    answers = list(_free(Message.objects.due(at).filter(campaign=None))[: settings.CLAIM_SIZE])
    prefetch_related_objects(answers, "reply__sender", "sender", "confirms")
    by_sender = Counter(one.from_sender.pk for one in answers if one.from_sender)
    for sender in _paced(by_sender).values():
        _spend(sender, by_sender[sender.pk], at)
    return [
        Due(one.pk, one.subscriber_id, one.confirms_id, one.tries, one.not_after, None, one)
        for one in answers
    ]


def _of_campaigns(at: datetime) -> list[Due]:
    """A fair share of each campaign that has something due, within the pace of its sender."""
    due = Message.objects.due(at).order_by("due_at")
    with_due = Campaign.objects.claimable().with_some_of(due).values_list("pk", flat=True)
    campaigns = facts.hold_campaigns(with_due)
    senders = _paced(one.pk for campaign in campaigns for one in _hands(campaign))
    taken: list[Due] = []
    for place, campaign in enumerate(campaigns):
        share = ceil((settings.CLAIM_SIZE - len(taken)) / (len(campaigns) - place))
        taken += _share_of(campaign, share, senders, at)
    return taken


def _hands(campaign: Campaign) -> list[Sender]:
    """Who may hand its messages over: its sender, and who stands in for that."""
    return [one for one in (campaign.sender, campaign.sender.replacement) if one]


def _share_of(
    campaign: Campaign, share: int, paced: Mapping[int, Sender], at: datetime
) -> list[Due]:
    segments = campaign.most_segments or 1
    own, stand_in = paced.get(campaign.sender_id), campaign.sender.replacement
    most = min(share, _room(own, segments, at)) if own else share
    due = _free(Message.objects.due(at).filter(campaign=campaign))
    rows = due.values_list("pk", "subscriber_id", "consent_id", "tries", "not_after")[:most]
    taken = [Due(*row, campaign, None) for row in rows]
    if own:
        _spend(own, len(taken) * segments, at)
    return _in_turns(taken, paced.get(stand_in.pk, stand_in), segments, at) if stand_in else taken


def _in_turns(taken: Sequence[Due], stand_in: Sender, segments: int, at: datetime) -> list[Due]:
    """Every second try of a message is its stand-in's, as far as the pace of that has room.

    What is tried again was certainly not sent, so nobody gets it from both.
    """
    turns = [one.pk for one in taken if one.tries % 2]
    if stand_in.segments_per_second:
        turns = turns[: _room(stand_in, segments, at)]
        _spend(stand_in, len(turns) * segments, at)
    its = set(turns)
    return [one._replace(stand_in=stand_in) if one.pk in its else one for one in taken]


def _paced(keys: Iterable[int | None]) -> dict[int, Sender]:
    """Those senders that have a pace, locked until the claim commits: two would spend it twice."""
    wanted = {key for key in keys if key}
    paced = Sender.objects.filter(pk__in=wanted, segments_per_second__isnull=False).order_by("pk")
    return {sender.pk: sender for sender in paced.select_for_update(no_key=True)}


def _room(sender: Sender, segments: int, at: datetime) -> int:
    """Messages of so many segments each that it may hand over now."""
    assert sender.segments_per_second is not None  # it has a pace
    return pacing.room(
        segments, rate=sender.segments_per_second, full_at=sender.bucket_full_at, at=at
    )


def _spend(sender: Sender, segments: int, at: datetime) -> None:
    assert sender.segments_per_second is not None  # it has a pace
    if segments:
        sender.bucket_full_at = pacing.spent(
            segments, rate=sender.segments_per_second, full_at=sender.bucket_full_at, at=at
        )
        sender.save(update_fields=["bucket_full_at"])


def _free(due: QuerySet[Message]) -> QuerySet[Message]:
    """The first that was due first; what another worker holds is passed over, not waited for."""
    return due.order_by("due_at", "id").select_for_update(skip_locked=True, of=("self",))


# --- settle ------------------------------------------------------------------------------------

# A sweeper may have called the outcome unknown meanwhile; whoever made the call knows better.
SETTLED_FROM = [Status.CALLING, Status.UNKNOWN]
TELL_ATTEMPT = """
UPDATE campaigns_attempt SET outcome = %(outcome)s, provider_id = %(provider_id)s, code = %(code)s
WHERE id = %(id)s AND outcome IN ('pending', 'unknown')
"""
# The same of a whole batch, where the database reads rows from JSON.
TELL_ATTEMPTS = """
UPDATE campaigns_attempt ours
SET outcome = told.outcome, provider_id = told.provider_id, code = told.code
FROM json_to_recordset(%s) AS told (id uuid, outcome text, provider_id text, code text)
WHERE ours.id = told.id AND ours.outcome IN ('pending', 'unknown')
"""


class Fate(NamedTuple):
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
    opted_out = _hold_opted_out(called)
    _settle_messages(fates, at)
    _tell_attempts(called)
    _believe_refusals(opted_out, at)
    _tally(fates, at)
    trail.record(
        verb="messages.settled",
        subject=f"claim:{called[0].attempt.claim.hex}",
        by="worker",
        at=at,
        facts=dict(Counter(str(fate.status) for _one, fate in fates)),
    )


def _settle_messages(fates: Sequence[tuple[Called, Fate]], at: datetime) -> None:
    """One statement for all that share a fate; each claim only what is its own still."""
    together: dict[tuple[Fate, uuid.UUID], list[int]] = defaultdict(list)
    for one, fate in fates:
        together[fate, one.attempt.claim].append(one.attempt.message_id)
    for (fate, claim), ids in together.items():
        ours = Message.objects.filter(pk__among=ids, claim=claim, status__in=SETTLED_FROM)
        told: dict[str, Any] = {"status": fate.status, "reason": fate.reason, "settled_at": at}
        if fate.status == Status.WAITING:
            told |= {"due_at": fate.due_at, "settled_at": None}
        ours.update(claim=None, lease_until=None, **told)


def _tell_attempts(called: Sequence[Called]) -> None:
    """Write down each answer, by the fastest way that this database has."""
    rows = [
        {
            "id": one.attempt.pk.hex,
            "outcome": one.outcome,
            "provider_id": one.provider_id,
            "code": one.code[:60],
        }
        for one in called
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(TELL_ATTEMPTS, [json.dumps(rows)])
        else:
            cursor.executemany(TELL_ATTEMPT, rows)


def _tally(fates: Sequence[tuple[Called, Fate]], at: datetime) -> None:
    """One row for each campaign of the batch."""
    handed_over: Counter[int] = Counter()
    refused: Counter[int] = Counter()
    for one, fate in fates:
        if (campaign := one.attempt.message.campaign) and fate.status != Status.WAITING:
            handed_over[campaign.pk] += 1
            refused[campaign.pk] += fate.status == Status.REFUSED
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


def _fate_of_refusal(attempt: Passed, refusal: NotSent, at: datetime) -> Fate:
    if isinstance(refusal, Withheld):
        return Fate(Status.WAITING, f"It was withheld: {refusal.code}.", due_at=at)
    reason = f"The provider did not take it ({refusal.code})."
    if refusal.permanent:
        return Fate(Status.REFUSED, reason)
    wait = BACKOFF[min(attempt.number, len(BACKOFF)) - 1]
    again_at = at + max(refusal.retry_after, wait)
    if again_at >= attempt.message.not_after:
        return Fate(Status.REFUSED, reason)
    return Fate(Status.WAITING, reason, due_at=again_at)


def _hold_opted_out(called: Sequence[Called]) -> list[str]:
    """Lock whom the provider refused, in the common order, before messages; by their blind index.

    None of them is withdrawn before all are locked.
    """
    refused = (one.attempt.message for one in called if one.refusal and one.refusal.opted_out)
    people = [message.subscriber_id for message in refused if message.subscriber_id]
    held = Subscriber.objects.filter(pk__in=people).in_lock_order()
    return list(held.values_list("number_index", flat=True)) if people else []


def _believe_refusals(opted_out: Iterable[str], at: datetime) -> None:
    """A provider that knows of an opt-out is believed at once."""
    for number_index in opted_out:
        ledger.withdraw(
            number_index=number_index,
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
def sweep(*, at: datetime) -> int:
    """Find what dead workers left: how many are unknown from now on."""
    lost = list(_locked(Message.objects.abandoned()))
    Message.objects.filter(pk__in=lost).update(
        status=Status.UNKNOWN,
        reason="The worker died while handing it over.",
        lease_until=None,
        settled_at=at,
    )
    Attempt.objects.filter(message__in=lost, outcome=Outcome.PENDING).update(
        outcome=Outcome.UNKNOWN, code="worker died"
    )
    if lost:
        facts = {"unknown": lost}
        trail.record(verb="messages.swept", subject="messages", by="worker", at=at, facts=facts)
    return len(lost)


def _locked(messages: QuerySet[Message]) -> list[int]:
    return [m.pk for m in messages.select_for_update(skip_locked=True).only("pk").order_by("pk")]
