"""The fence: the last question before a message leaves, asked under locks and committed first.

Still ours, campaign being sent, permission still there, inside the window, caps not reached,
sender verified: then an attempt is recorded. A STOP that committed before is seen; a STOP that
comes during waits for this transaction, so no attempt commits after an opt-out did. An emergency
stop that committed before we read is obeyed; one that commits while we run lets this batch go.
"""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from audit import merkle, trail
from campaigns import emergency, hours, quiet_hours
from campaigns.models import Attempt, Campaign, Decision, Message, Stop
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

CONSENT = "consent"
OWN_OPT_IN = "the person's own opt-in"
OWN_REPLY = "the person's own reply"

HOLD = "SELECT 1 FROM campaigns_campaign WHERE id = ANY(%s) ORDER BY id FOR SHARE"
INSERT_ATTEMPTS = """
INSERT INTO campaigns_attempt
    (id, message_id, number, claim, at, decision_id, outcome, provider_id, code)
SELECT id, message, number, %s, %s, decision, 'pending', '', ''
FROM json_to_recordset(%s) AS told (id uuid, message bigint, number smallint, decision bigint)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message at the fence."""

    status: Message.Status
    reason: str = ""
    due_at: datetime | None = None


PASS = Verdict(Status.CALLING)


class Grounds(NamedTuple):
    """What the fence finds of one message; what is the same of many is recorded once."""

    allowed_by: str | None = None  # nothing, of what was stopped
    text_in: str | None = None
    notice: int | None = None
    area: int | None = None
    of_day: int | None = None
    of_purpose: int | None = None


@dataclass
class Facts:
    """What holds for a claim at this instant, read after its people and campaigns were locked."""

    at: datetime
    permitted: dict[uuid.UUID, int]  # with the notice that each rests on
    confirmable: set[uuid.UUID]
    windows: dict[int, quiet_hours.Window]
    hours: dict[int, dict[str, Any]]  # what they say of each area, as it is recorded
    stops: dict[int, tuple[Stop, ...]]  # those that stand for each area
    of_day: Counter[uuid.UUID] = field(default_factory=Counter)
    of_purpose: Counter[tuple[uuid.UUID, int]] = field(default_factory=Counter)


Decided = tuple[Message, Verdict, Grounds]


def let_pass(messages: Sequence[Message], *, at: datetime) -> list[Attempt]:
    """Record an attempt for each message that may leave now; put the others aside.

    Call it in the transaction that locked the messages, after their campaigns.
    """
    messages = sorted(messages, key=lambda message: message.pk)
    _hold_people(messages)
    facts = _facts(messages, at)
    decided = [
        (message, _verdict(message, facts), _grounds(message, facts)) for message in messages
    ]
    _put_aside([one for one in decided if one[1] is not PASS], facts)
    return _record([one for one in decided if one[1] is PASS], facts)


def hold_campaigns(wanted: Iterable[int]) -> list[Campaign]:
    """Those that may be taken from, in order; nobody halts them until we commit.

    Other workers pass beside us. Campaigns come before messages, as a cancellation locks them.
    """
    keys = list(wanted)
    if connection.vendor == "postgresql" and keys:
        with connection.cursor() as cursor:
            cursor.execute(HOLD, [keys])
    held = Campaign.objects.filter(pk__in=keys, status__in=Message.CLAIMABLE).order_by("pk")
    return list(held.select_related("purpose", "sender")) if keys else []


def _hold_people(messages: Iterable[Message]) -> None:
    """Lock the people of these messages; a STOP that came before is seen, others wait."""
    wanted = [message.subscriber_id for message in messages if message.subscriber_id]
    people = {one.pk: one for one in Subscriber.objects.filter(pk__among=wanted).in_lock_order()}
    areas = Area.objects.in_bulk({person.area_id for person in people.values()})
    for person in people.values():
        person.area = areas[person.area_id]
    for message in messages:
        if message.subscriber_id:
            message.subscriber = people[message.subscriber_id]


def _facts(messages: Sequence[Message], at: datetime) -> Facts:
    consents = [m.consent_id for m in messages if m.consent_id]
    areas = {m.subscriber.area_id: m.subscriber.area for m in messages if m.subscriber}
    book, stops = hours.in_force(at), emergency.standing()
    windows = {pk: _window(book, area, at) for pk, area in areas.items()}
    facts = Facts(
        at=at,
        permitted=dict(
            Consent.objects.permitting(at).filter(pk__among=consents).values_list("pk", "notice_id")
        ),
        confirmable=_confirmable(messages, at),
        windows=windows,
        hours={pk: _told_of(window, book.version, at) for pk, window in windows.items()},
        stops={
            pk: emergency.concerning(stops, country=area.country, states=area.candidate_states)
            for pk, area in areas.items()
        },
    )
    _count(facts, messages)
    return facts


def _confirmable(messages: Sequence[Message], at: datetime) -> set[uuid.UUID]:
    wanted = [m.confirms_id for m in messages if m.confirms_id]
    awaiting = Consent.objects.awaiting_confirmation(at).filter(pk__in=wanted)
    return set(awaiting.values_list("pk", flat=True)) if wanted else set()


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
        return _verdict_on_answer(message)
    return _verdict_on_campaign(message, message.campaign, facts)


def _verdict_on_answer(message: Message) -> Verdict:
    """An answer to a person's own reply needs no consent and no hour, only a sender of ours."""
    sender = message.from_sender
    if sender is None or sender.verified_at is None:
        return Verdict(Status.BLOCKED, SENDER)
    return PASS


def _verdict_on_confirmation(message: Message, consent: Consent, facts: Facts) -> Verdict:
    """The one text to someone who opted in: at the permitted hours, unless their own text asked."""
    assert message.subscriber is not None  # the database says so
    if consent.pk not in facts.confirmable:
        return Verdict(Status.BLOCKED, NOT_TO_BE_CONFIRMED)
    sender = message.from_sender
    if sender is None or not sender.may_reach(message.subscriber.area.country):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[message.subscriber.area_id]
    if consent.method != Method.KEYWORD and not window.open:
        return _wait_for(window.next_opening, message)
    return _wait_for_lifting(message, facts) or PASS


def _verdict_on_campaign(message: Message, campaign: Campaign, facts: Facts) -> Verdict:
    assert message.subscriber is not None  # the database says so
    if campaign.status == Campaign.Status.CANCELLED:
        return Verdict(Status.CANCELLED, NOT_NOW)
    if message.consent_id not in facts.permitted:
        return Verdict(Status.BLOCKED, NO_PERMISSION)
    if not campaign.sender.may_reach(message.subscriber.area.country):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[message.subscriber.area_id]
    if not window.open:
        return _wait_for(window.next_opening, message)
    if waits := _wait_for_lifting(message, facts):
        return waits
    return _verdict_on_caps(message.subscriber, campaign.purpose, window, facts)


def _wait_for(opening: datetime | None, message: Message) -> Verdict:
    if opening is None or opening >= message.not_after:
        return Verdict(Status.EXPIRED, TOO_LATE)
    return Verdict(Status.WAITING, OUTSIDE_WINDOW, due_at=opening)


def _wait_for_lifting(message: Message, facts: Facts) -> Verdict | None:
    """Asked again soon while an emergency stop stands where the person may be; else nothing."""
    stops = _stops(message, facts)
    if not stops:
        return None
    again = min(facts.at + emergency.LOOK_AGAIN, message.not_after)
    return Verdict(Status.WAITING, emergency.because(stops[0]), due_at=again)


def _stops(message: Message, facts: Facts) -> tuple[Stop, ...]:
    return facts.stops[message.subscriber.area_id] if message.subscriber else ()


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


def _put_aside(stopped: Iterable[Decided], facts: Facts) -> None:
    """One statement for all that share a verdict and its grounds, not one per message."""
    together: dict[tuple[Verdict, Grounds], list[int]] = defaultdict(list)
    for message, verdict, grounds in stopped:
        together[verdict, grounds._replace(allowed_by=None)].append(message.pk)
    for (verdict, grounds), ids in together.items():
        waits = verdict.status == Status.WAITING
        Message.objects.filter(pk__among=ids).update(
            status=verdict.status,
            reason=verdict.reason,
            stopped=_told(grounds, facts),
            due_at=verdict.due_at,
            settled_at=None if waits else facts.at,
        )


def _record(passing: Sequence[Decided], facts: Facts) -> list[Attempt]:
    if not passing:
        return []
    claim = uuid.uuid4()
    decisions = {grounds: Decision(told=_told(grounds, facts)) for _m, _v, grounds in passing}
    Decision.objects.bulk_create(decisions.values())
    attempts = [
        Attempt(
            message=message,
            number=message.tries + 1,
            claim=claim,
            at=facts.at,
            decision=decisions[grounds],
        )
        for message, _verdict, grounds in passing
    ]
    _insert(attempts, claim, facts.at)
    _mark_calling([message for message, _verdict, _grounds in passing], claim, facts.at)
    _tell(attempts, facts.at)
    return attempts


def _insert(attempts: Sequence[Attempt], claim: uuid.UUID, at: datetime) -> None:
    """Write the attempts of a claim, by the fastest way that this database has."""
    if connection.vendor != "postgresql":
        Attempt.objects.bulk_create(attempts)
        return
    rows = [
        {
            "id": one.pk.hex,
            "message": one.message_id,
            "number": one.number,
            "decision": one.decision_id,
        }
        for one in attempts
    ]
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ATTEMPTS, [claim, at, json.dumps(rows)])


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
    of_them = Attempt.objects.filter(claim__among=set(claims)).order_by("message_id")
    for attempt in of_them.select_related("message", "decision"):
        told[attempt.claim].append(_leaf(attempt))
    return dict(told)


def _leaf(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.pk.hex,
        "message": attempt.message_id,
        "number": attempt.number,
        "decision": attempt.found,
    }


def _mark_calling(passing: Sequence[Message], claim: uuid.UUID, at: datetime) -> None:
    by_tries: dict[int, list[int]] = defaultdict(list)
    for message in passing:
        by_tries[message.tries].append(message.pk)
    for tries, ids in by_tries.items():
        Message.objects.filter(pk__among=ids).update(
            status=Status.CALLING,
            claim=claim,
            fenced_at=at,
            tries=tries + 1,
            reason="",
            lease_until=Now() + settings.LEASE,
        )


def _grounds(message: Message, facts: Facts) -> Grounds:
    """What holds for the person of a message: the wording, the place, and counts."""
    person, campaign = message.subscriber, message.campaign
    if message.confirms is not None and person is not None:
        anywhere = message.confirms.method == Method.KEYWORD and not _stops(message, facts)
        return Grounds(OWN_OPT_IN, area=None if anywhere else person.area_id)
    if person is None or campaign is None:
        return Grounds(OWN_REPLY)
    return Grounds(
        CONSENT,
        campaign.version_for(person.language),
        facts.permitted.get(message.consent_id) if message.consent_id else None,
        person.area_id,
        facts.of_day[person.pk],
        facts.of_purpose[person.pk, campaign.purpose_id],
    )


def _told(grounds: Grounds, facts: Facts) -> dict[str, Any]:
    """What allowed or stopped these messages, so that it can be shown for each one."""
    told = {name: value for name, value in grounds._asdict().items() if value is not None}
    area = told.pop("area", None)
    stopped = [emergency.told_of(stop) for stop in facts.stops.get(area, ())]
    told |= {"emergency_stops": stopped} if stopped else {}
    return told | facts.hours.get(area, {})


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
