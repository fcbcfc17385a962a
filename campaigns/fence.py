"""The fence: the last question before a message leaves, asked under locks and committed first.

Still ours, campaign being sent, permission still there, inside the window, caps not reached,
sender verified: then an attempt is recorded. A STOP that committed before is seen; a STOP that
comes during waits for this transaction, so no attempt commits after an opt-out did.
"""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from audit import merkle, trail
from campaigns import quiet_hours
from campaigns.models import Attempt, Campaign, Message, Sender
from consent.models import Area, Consent, Method, Purpose, Subscriber

Status = Message.Status
DAY = timedelta(days=1)

NOT_NOW = "The campaign is not being sent."
NO_PERMISSION = "The person no longer allows it: withdrawn, refused, expired or not confirmed."
TOO_LATE = "Its time was over before it could be sent."
CAP_OF_DAY = "The daily limit of messages to this person was reached."
CAP_OF_PURPOSE = "The promised frequency was reached."
NOT_TO_BE_CONFIRMED = "There is nothing left to confirm: withdrawn, refused or lapsed."
CAP_OF_BUSINESS = "The daily limit of our own messages to one person was reached."
SENDER = "The sender is not verified, or may not be used in that country."
OUTSIDE_WINDOW = "Outside the permitted hours."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message at the fence."""

    status: Message.Status
    reason: str = ""
    due_at: datetime | None = None


PASS = Verdict(Status.CALLING)


@dataclass
class Facts:
    """What holds for a claim at this instant, read after its people and campaigns were locked."""

    at: datetime
    statuses: dict[int, str]
    senders: dict[int, Sender]
    permitted: dict[uuid.UUID, int]  # with the notice that each rests on
    confirmable: set[uuid.UUID]
    windows: dict[int, quiet_hours.Window]
    hours: dict[int, dict[str, Any]]  # what they say of each area, as it is recorded
    of_day: Counter[uuid.UUID] = field(default_factory=Counter)
    of_purpose: Counter[tuple[uuid.UUID, int]] = field(default_factory=Counter)


@transaction.atomic
def pass_claim(*, claim: uuid.UUID, at: datetime) -> list[Attempt]:
    """Record an attempt for each message of a claim that may leave now; put the others aside.

    What is returned is committed when this returns, and only it may be handed over.
    """
    messages = _held(claim)
    facts = _facts(messages, at)
    verdicts = [(message, _verdict(message, facts)) for message in messages]
    _put_aside(verdicts, facts)
    passing = [message for message, verdict in verdicts if verdict is PASS]
    return _record(passing, claim, facts)


def _held(claim: uuid.UUID) -> list[Message]:
    held = Message.objects.filter(claim=claim, status=Status.CLAIMED, lease_until__gt=Now())
    campaigns = held.exclude(campaign=None).values_list("campaign_id", flat=True)
    _hold_campaigns(set(campaigns))  # campaigns before messages, as cancel locks them
    shared = (  # by many messages of a claim: each is read once, and not once a message
        *("campaign__purpose", "campaign__sender", "subscriber__area"),
        *("reply__sender", "sender", "confirms"),
    )
    locked = held.select_related("subscriber").select_for_update(of=("self",))
    messages = list(locked.order_by("id").prefetch_related(*shared))
    people = [m.subscriber_id for m in messages if m.subscriber_id]
    list(Subscriber.objects.filter(pk__among=people).in_lock_order().values_list("pk"))
    return messages


def _hold_campaigns(ids: Iterable[int]) -> None:
    """Nobody pauses or cancels these until we commit; other fences pass beside us."""
    wanted = sorted(ids)
    if connection.vendor == "postgresql" and wanted:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM campaigns_campaign WHERE id = ANY(%s) ORDER BY id FOR SHARE",
                [wanted],
            )


def _facts(messages: Sequence[Message], at: datetime) -> Facts:
    consents = [m.consent_id for m in messages if m.consent_id]
    campaigns = {m.campaign_id for m in messages if m.campaign_id}
    areas = {m.subscriber.area_id: m.subscriber.area for m in messages if m.subscriber}
    book = quiet_hours.load()
    windows = {pk: _window(book, area, at) for pk, area in areas.items()}
    facts = Facts(
        at=at,
        statuses=dict(Campaign.objects.filter(pk__in=campaigns).values_list("pk", "status")),
        senders=Sender.objects.in_bulk({_sender_id(m) for m in messages}),
        permitted=dict(
            Consent.objects.permitting(at).filter(pk__among=consents).values_list("pk", "notice_id")
        ),
        confirmable=_confirmable(messages, at),
        windows=windows,
        hours={pk: _told_of(window, book.version, at) for pk, window in windows.items()},
    )
    _count(facts, messages)
    return facts


def _confirmable(messages: Sequence[Message], at: datetime) -> set[uuid.UUID]:
    wanted = [m.confirms_id for m in messages if m.confirms_id]
    awaiting = Consent.objects.awaiting_confirmation(at).filter(pk__in=wanted)
    return set(awaiting.values_list("pk", flat=True)) if wanted else set()


def _sender_id(message: Message) -> int | None:
    if message.campaign is not None:
        return message.campaign.sender_id
    return message.reply.sender_id if message.reply else message.sender_id


def _window(book: quiet_hours.Rulebook, area: Area, at: datetime) -> quiet_hours.Window:
    return quiet_hours.window(
        book,
        at=at,
        country=area.country,
        states=area.candidate_states,
        zones=area.candidate_zones,
    )


def _count(facts: Facts, messages: Sequence[Message]) -> None:
    """What each person got of late; unknown outcomes count, since they may have arrived."""
    purposes = {m.campaign.purpose_id: m.campaign.purpose for m in messages if m.campaign}
    longest = max([DAY, *(purpose.span for purpose in purposes.values())])
    recent = Message.objects.counted().filter(
        subscriber__among=[m.subscriber_id for m in messages if m.subscriber_id],
        fenced_at__gt=facts.at - longest,
    )
    for person, purpose, fenced_at in recent.values_list(
        "subscriber_id", "campaign__purpose_id", "fenced_at"
    ):
        assert fenced_at is not None  # the database says so
        if fenced_at > facts.at - DAY:
            facts.of_day[person] += 1
        if purpose in purposes and fenced_at > facts.at - purposes[purpose].span:
            facts.of_purpose[person, purpose] += 1


def _verdict(message: Message, facts: Facts) -> Verdict:
    if facts.at >= message.not_after:
        return Verdict(Status.EXPIRED, TOO_LATE)
    if message.confirms is not None:
        return _verdict_on_confirmation(message, message.confirms, facts)
    if message.campaign is None:
        return _verdict_on_answer(message, facts)
    return _verdict_on_campaign(message, message.campaign, facts)


def _verdict_on_answer(message: Message, facts: Facts) -> Verdict:
    """An answer to a person's own reply needs no consent and no hour, only a sender of ours."""
    sender = facts.senders.get(_sender_id(message) or 0)
    if sender is None or sender.verified_at is None:
        return Verdict(Status.BLOCKED, SENDER)
    return PASS


def _verdict_on_confirmation(message: Message, consent: Consent, facts: Facts) -> Verdict:
    """The one text to someone who opted in: at the permitted hours, unless their own text asked."""
    assert message.subscriber is not None  # the database says so
    if consent.pk not in facts.confirmable:
        return Verdict(Status.BLOCKED, NOT_TO_BE_CONFIRMED)
    sender = facts.senders.get(_sender_id(message) or 0)
    if sender is None or not sender.may_reach(message.subscriber.area.country):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[message.subscriber.area_id]
    if consent.method == Method.KEYWORD or window.open:
        return PASS
    return _wait_for(window.next_opening, message)


def _verdict_on_campaign(message: Message, campaign: Campaign, facts: Facts) -> Verdict:
    assert message.subscriber is not None  # the database says so
    status = facts.statuses[campaign.pk]
    if status == Campaign.Status.CANCELLED:
        return Verdict(Status.CANCELLED, NOT_NOW)
    if status != Campaign.Status.SENDING:
        return Verdict(Status.WAITING, NOT_NOW, due_at=message.due_at)
    if message.consent_id not in facts.permitted:
        return Verdict(Status.BLOCKED, NO_PERMISSION)
    if not facts.senders[campaign.sender_id].may_reach(message.subscriber.area.country):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[message.subscriber.area_id]
    if not window.open:
        return _wait_for(window.next_opening, message)
    return _verdict_on_caps(message.subscriber, campaign.purpose, window, facts)


def _wait_for(opening: datetime | None, message: Message) -> Verdict:
    if opening is None or opening >= message.not_after:
        return Verdict(Status.EXPIRED, TOO_LATE)
    return Verdict(Status.WAITING, OUTSIDE_WINDOW, due_at=opening)


def _verdict_on_caps(
    person: Subscriber, purpose: Purpose, window: quiet_hours.Window, facts: Facts
) -> Verdict:
    if window.daily_cap is not None and facts.of_day[person.pk] >= window.daily_cap:
        return Verdict(Status.BLOCKED, CAP_OF_DAY)
    if facts.of_day[person.pk] >= settings.BUSINESS_DAILY_CAP:
        return Verdict(Status.BLOCKED, CAP_OF_BUSINESS)
    if facts.of_purpose[person.pk, purpose.pk] >= purpose.frequency:
        return Verdict(Status.BLOCKED, CAP_OF_PURPOSE)
    facts.of_day[person.pk] += 1
    facts.of_purpose[person.pk, purpose.pk] += 1
    return PASS


def _put_aside(verdicts: Sequence[tuple[Message, Verdict]], facts: Facts) -> None:
    """One statement for all that share a verdict and what it rests on, not one per message."""
    together: dict[tuple[Verdict, str], list[int]] = defaultdict(list)
    for message, verdict in verdicts:
        if verdict is not PASS:
            together[verdict, json.dumps(_found(message, facts))].append(message.pk)
    for (verdict, found), ids in together.items():
        waits = verdict.status == Status.WAITING
        Message.objects.filter(pk__among=ids).update(
            status=verdict.status,
            reason=verdict.reason,
            stopped=json.loads(found),
            due_at=verdict.due_at,
            claim=None,
            lease_until=None,
            settled_at=None if waits else facts.at,
        )


def _record(passing: Sequence[Message], claim: uuid.UUID, facts: Facts) -> list[Attempt]:
    attempts = [
        Attempt(
            message=message,
            number=message.tries + 1,
            claim=claim,
            at=facts.at,
            decision=_decision(message, facts),
        )
        for message in passing
    ]
    Attempt.objects.bulk_create(attempts)
    _mark_calling(passing, facts.at)
    if attempts:
        _tell(attempts, facts.at)
    return attempts


def _tell(attempts: Sequence[Attempt], at: datetime) -> None:
    """One entry with the Merkle root of the batch's decisions: each is provable without its own."""
    leaves = (merkle.hash_leaf(trail.canonical(_leaf(attempt))) for attempt in attempts)
    trail.record(
        verb="messages.allowed",
        subject=f"claim:{attempts[0].claim.hex}",
        by="worker",
        at=at,
        facts={"messages": len(attempts), "decisions": merkle.root_of(leaves).hex()},
    )


def leaves_of(claims: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """What the entry of each claim tells of its attempts, in the order it was told in.

    A claim's messages are taken up by their keys, each once: so the order can be had again.
    """
    told: dict[uuid.UUID, list[dict[str, Any]]] = defaultdict(list)
    for attempt in Attempt.objects.filter(claim__among=set(claims)).order_by("message_id"):
        told[attempt.claim].append(_leaf(attempt))
    return dict(told)


def _leaf(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.pk.hex,
        "message": attempt.message_id,
        "number": attempt.number,
        "decision": attempt.decision,
    }


def _mark_calling(passing: Sequence[Message], at: datetime) -> None:
    by_tries: dict[int, list[int]] = defaultdict(list)
    for message in passing:
        by_tries[message.tries].append(message.pk)
    for tries, ids in by_tries.items():
        Message.objects.filter(pk__among=ids).update(
            status=Status.CALLING,
            fenced_at=at,
            tries=tries + 1,
            reason="",
            lease_until=Now() + settings.LEASE,
        )


def _decision(message: Message, facts: Facts) -> dict[str, Any]:
    """What allowed this message, so that it can be shown for each one."""
    if message.confirms is not None and message.subscriber is not None:
        told = {"allowed_by": "the person's own opt-in", "consent": str(message.confirms_id)}
        by_keyword = message.confirms.method == Method.KEYWORD
        return told if by_keyword else told | facts.hours[message.subscriber.area_id]
    if message.subscriber is None or message.campaign is None:
        return {"allowed_by": "the person's own reply"}
    return {
        "allowed_by": "consent",
        "consent": str(message.consent_id),
        "text_in": message.campaign.version_for(message.subscriber.language),
        **_found(message, facts),
    }


def _found(message: Message, facts: Facts) -> dict[str, Any]:
    """What holds for the person of a message: the wording, rules, local times, and counts."""
    if message.subscriber is None or message.campaign is None:
        return {}
    person, purpose = message.subscriber, message.campaign.purpose
    return {
        "notice": facts.permitted.get(message.consent_id) if message.consent_id else None,
        **facts.hours[person.area_id],
        "of_day": facts.of_day[person.pk],
        "of_purpose": facts.of_purpose[person.pk, purpose.pk],
    }


def _told_of(window: quiet_hours.Window, edition: str, at: datetime) -> dict[str, Any]:
    """What a window rests on; the same for everyone of its area."""
    return {
        "rulebook": edition,
        "rules": list(window.rules),
        "zones": list(window.zones),
        "local": [f"{at.astimezone(ZoneInfo(zone)):%a %H:%M}" for zone in window.zones],
        "reasons": [] if window.open else list(window.reasons),
        "closes_at": trail.instant(window.closes_at) if window.closes_at else None,
    }
