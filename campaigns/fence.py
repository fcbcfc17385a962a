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
from campaigns.models import Attempt, Campaign, Decision, Message, Sender, Stop
from config.encryption.ring import Token
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
SELECT id, message_id, number, %s, %s, decision_id, 'pending', '', ''
FROM json_to_recordset(%s)
    AS told (id uuid, message_id bigint, number smallint, decision_id bigint)
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
    stand_in: int | None = None  # the sender, if it is not the campaign's own


class Due(NamedTuple):
    """A message that a claim has locked: what the fence asks of it, and a campaign shares.

    Of thousands a second an ORM object each would cost more than all that is asked of them; of what
    has no campaign, an answer, there are few.
    """

    pk: int
    subscriber_id: uuid.UUID | None
    consent_id: uuid.UUID | None
    tries: int
    not_after: datetime
    campaign: Campaign | None
    answer: Message | None


class Person(NamedTuple):
    """Whom a message is for, locked; number and name stay tokens until they are handed over."""

    pk: uuid.UUID
    number: Token
    first_name: Token | str | None
    language: str
    area_id: int


class Passed(NamedTuple):
    """An attempt on record: what may be handed over, from whom and to whom."""

    pk: uuid.UUID
    number: int
    claim: uuid.UUID
    at: datetime
    message: Due
    person: Person | None
    sender: Sender
    decision: Decision

    @property
    def message_id(self) -> int:
        return self.message.pk

    @property
    def found(self) -> dict[str, Any]:
        """What allowed it, as `Attempt.found` tells it from what the database keeps."""
        consent = self.message.consent_id
        return {**self.decision.told, **({"consent": str(consent)} if consent else {})}


@dataclass
class Facts:
    """What holds for a claim at this instant, read after its people and campaigns were locked."""

    at: datetime
    people: dict[uuid.UUID, Person]
    areas: dict[int, Area]
    permitted: dict[uuid.UUID, int]  # with the notice that each rests on
    confirmable: set[uuid.UUID]
    windows: dict[int, quiet_hours.Window]
    hours: dict[int, dict[str, Any]]  # what they say of each area, as it is recorded
    stops: dict[int, tuple[Stop, ...]]  # those that stand for each area
    of_day: Counter[uuid.UUID] = field(default_factory=Counter)
    of_purpose: Counter[tuple[uuid.UUID, int]] = field(default_factory=Counter)


Decided = tuple[Due, Verdict, Grounds]


def let_pass(messages: Iterable[Due], *, at: datetime) -> list[Passed]:
    """Record an attempt for each message that may leave now; put the others aside.

    Call it in the transaction that locked the messages, after their campaigns.
    """
    asked = sorted(messages, key=lambda message: message.pk)
    facts = _facts(asked, at)
    decided = [(message, _verdict(message, facts), _grounds(message, facts)) for message in asked]
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
    return list(held.select_related("purpose", "sender__stand_in")) if keys else []


def _held_people(messages: Sequence[Due]) -> dict[uuid.UUID, Person]:
    """The people of these messages, locked; a STOP that came before is seen, others wait."""
    wanted = [message.subscriber_id for message in messages if message.subscriber_id]
    people = Subscriber.objects.filter(pk__among=wanted).in_lock_order()
    return {row[0]: Person(*row) for row in people.values_list(*Person._fields)}


def _facts(messages: Sequence[Due], at: datetime) -> Facts:
    people = _held_people(messages)
    consents = [m.consent_id for m in messages if m.campaign and m.consent_id]
    areas = Area.objects.in_bulk({person.area_id for person in people.values()})
    book, stops = hours.in_force(at), emergency.standing()
    windows = {pk: _window(book, area, at) for pk, area in areas.items()}
    facts = Facts(
        at=at,
        people=people,
        areas=areas,
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


def _confirmable(messages: Sequence[Due], at: datetime) -> set[uuid.UUID]:
    wanted = [m.consent_id for m in messages if m.consent_id and not m.campaign]
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


def _count(facts: Facts, messages: Sequence[Due]) -> None:
    """What each person got of late; unknown outcomes count, since they may have arrived."""
    campaigns = {m.campaign.pk: m.campaign for m in messages if m.campaign}.values()
    purposes = {one.purpose_id: one.purpose for one in campaigns}
    longest = max([DAY, *(purpose.span for purpose in purposes.values())])
    recent = Message.objects.counted().filter(
        subscriber__among=list(facts.people),
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


def _verdict(message: Due, facts: Facts) -> Verdict:
    if facts.at >= message.not_after:
        return Verdict(Status.EXPIRED, TOO_LATE)
    if message.campaign is not None:
        return _verdict_on_campaign(message, message.campaign, facts)
    assert message.answer is not None  # what has no campaign is one
    if message.answer.confirms is not None:
        return _verdict_on_confirmation(message, message.answer.confirms, facts)
    return _verdict_on_answer(message.answer)


def _verdict_on_answer(answer: Message) -> Verdict:
    """An answer to a person's own reply needs no consent and no hour, only a sender of ours."""
    sender = answer.from_sender
    if sender is None or sender.verified_at is None:
        return Verdict(Status.BLOCKED, SENDER)
    return PASS


def _verdict_on_confirmation(message: Due, consent: Consent, facts: Facts) -> Verdict:
    """The one text to someone who opted in: at the permitted hours, unless their own text asked."""
    assert message.answer and message.subscriber_id  # noqa: PT018 - the database says so
    person, sender = facts.people[message.subscriber_id], message.answer.from_sender
    if consent.pk not in facts.confirmable:
        return Verdict(Status.BLOCKED, NOT_TO_BE_CONFIRMED)
    if sender is None or not sender.may_reach(facts.areas[person.area_id].country):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[person.area_id]
    if consent.method != Method.KEYWORD and not window.open:
        return _wait_for(window.next_opening, message)
    return _wait_for_lifting(person, message, facts) or PASS


def _verdict_on_campaign(message: Due, campaign: Campaign, facts: Facts) -> Verdict:
    assert message.subscriber_id is not None  # the database says so
    person = facts.people[message.subscriber_id]
    if campaign.status == Campaign.Status.CANCELLED:
        return Verdict(Status.CANCELLED, NOT_NOW)
    if message.consent_id not in facts.permitted:
        return Verdict(Status.BLOCKED, NO_PERMISSION)
    if not campaign.sender.may_reach(facts.areas[person.area_id].country):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[person.area_id]
    if not window.open:
        return _wait_for(window.next_opening, message)
    if waits := _wait_for_lifting(person, message, facts):
        return waits
    return _verdict_on_caps(person, campaign.purpose, window, facts)


def _wait_for(opening: datetime | None, message: Due) -> Verdict:
    if opening is None or opening >= message.not_after:
        return Verdict(Status.EXPIRED, TOO_LATE)
    return Verdict(Status.WAITING, OUTSIDE_WINDOW, due_at=opening)


def _wait_for_lifting(person: Person, message: Due, facts: Facts) -> Verdict | None:
    """Asked again soon while an emergency stop stands where the person may be; else nothing."""
    stops = facts.stops[person.area_id]
    if not stops:
        return None
    again = min(facts.at + emergency.LOOK_AGAIN, message.not_after)
    return Verdict(Status.WAITING, emergency.because(stops[0]), due_at=again)


def _verdict_on_caps(
    person: Person, purpose: Purpose, window: quiet_hours.Window, facts: Facts
) -> Verdict:
    of_day, of_purpose = facts.of_day[person.pk], facts.of_purpose[person.pk, purpose.pk]
    if window.daily_cap is not None and of_day >= window.daily_cap:
        return Verdict(Status.BLOCKED, CAP_OF_DAY)
    if of_day >= settings.BUSINESS_DAILY_CAP:
        return Verdict(Status.BLOCKED, CAP_OF_BUSINESS)
    if of_purpose >= purpose.frequency:
        return Verdict(Status.BLOCKED, CAP_OF_PURPOSE)
    facts.of_day[person.pk], facts.of_purpose[person.pk, purpose.pk] = of_day + 1, of_purpose + 1
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


def _record(passing: Sequence[Decided], facts: Facts) -> list[Passed]:
    if not passing:
        return []
    claim, decisions = uuid.uuid4(), _decisions(passing, facts)
    attempts = [
        Passed(
            pk=uuid.uuid4(),
            number=message.tries + 1,
            claim=claim,
            at=facts.at,
            message=message,
            person=facts.people[message.subscriber_id] if message.subscriber_id else None,
            sender=_sender(message, facts),
            decision=decisions[grounds],
        )
        for message, _verdict, grounds in passing
    ]
    _insert(attempts, claim, facts.at)
    _mark_calling([message for message, _verdict, _grounds in passing], claim, facts.at)
    _tell(attempts, facts.at)
    return attempts


def _decisions(passing: Iterable[Decided], facts: Facts) -> dict[Grounds, Decision]:
    """One row for all that were found alike."""
    distinct = dict.fromkeys(grounds for _message, _verdict, grounds in passing)
    decisions = {grounds: Decision(told=_told(grounds, facts)) for grounds in distinct}
    Decision.objects.bulk_create(decisions.values())
    return decisions


def _sender(message: Due, facts: Facts) -> Sender:
    """Who hands a message over; answers leave from the number that was written to."""
    if message.campaign is not None and message.subscriber_id is not None:
        country = facts.areas[facts.people[message.subscriber_id].area_id].country
        return message.campaign.sender.on_try(message.tries + 1, country=country)
    sender = message.answer.from_sender if message.answer else None
    assert sender is not None  # the fence lets none pass without
    return sender


def _insert(attempts: Sequence[Passed], claim: uuid.UUID, at: datetime) -> None:
    """Write the attempts of a claim, by the fastest way that this database has."""
    rows = [
        {
            "id": one.pk.hex,
            "message_id": one.message.pk,
            "number": one.number,
            "decision_id": one.decision.pk,
        }
        for one in attempts
    ]
    if connection.vendor != "postgresql":
        Attempt.objects.bulk_create(Attempt(claim=claim, at=at, **row) for row in rows)
        return
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ATTEMPTS, [claim, at, json.dumps(rows)])


def _tell(attempts: Sequence[Passed], at: datetime) -> None:
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


def _leaf(attempt: Attempt | Passed) -> dict[str, Any]:
    return {
        "attempt": attempt.pk.hex,
        "message": attempt.message_id,
        "number": attempt.number,
        "decision": attempt.found,
    }


def _mark_calling(passing: Sequence[Due], claim: uuid.UUID, at: datetime) -> None:
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


def _grounds(message: Due, facts: Facts) -> Grounds:
    """What holds for the person of a message: the wording, the place, and counts."""
    if message.campaign is None or message.subscriber_id is None:
        return _grounds_of_answer(message, facts)
    person, campaign = facts.people[message.subscriber_id], message.campaign
    sender = _sender(message, facts)
    return Grounds(
        CONSENT,
        campaign.version_for(person.language),
        facts.permitted.get(message.consent_id) if message.consent_id else None,
        person.area_id,
        facts.of_day[person.pk],
        facts.of_purpose[person.pk, campaign.purpose_id],
        None if sender.pk == campaign.sender_id else sender.pk,
    )


def _grounds_of_answer(message: Due, facts: Facts) -> Grounds:
    """Their own reply, or their own opt-in, which only by another way than a text has its hours."""
    consent = message.answer.confirms if message.answer else None
    if message.subscriber_id is None or consent is None:
        return Grounds(OWN_REPLY)
    area = facts.people[message.subscriber_id].area_id
    anywhere = consent.method == Method.KEYWORD and not facts.stops[area]
    return Grounds(OWN_OPT_IN, area=None if anywhere else area)


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
