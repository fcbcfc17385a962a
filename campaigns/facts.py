"""What holds for the messages of a claim at one instant, read once their people are locked.

A STOP that committed before is seen; one that comes waits for the transaction that holds the locks.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from audit import trail
from campaigns import emergency, hours, quiet_hours
from campaigns.models import Campaign, Message, Sender, Stop
from config.encryption.ring import Token
from config.postgresql import planner
from consent.models import Area, Consent, Subscriber

DAY = timedelta(days=1)
HOLD = "SELECT 1 FROM campaigns_campaign WHERE id = ANY(%s) ORDER BY id FOR SHARE"


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
    stand_in: Sender | None = None  # whose turn it is, where it may be used


class Person(NamedTuple):
    """Whom a message is for, locked; number and name stay tokens until they are handed over."""

    pk: uuid.UUID
    number: Token
    first_name: Token | str | None
    language: str
    area_id: int


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

    def person(self, message: Due) -> Person:
        """Whom a message is for; it must be for somebody."""
        assert message.subscriber_id is not None  # the database says so, of all but some answers
        return self.people[message.subscriber_id]

    def country(self, person: Person) -> str:
        """Where the person's number belongs."""
        return self.areas[person.area_id].country


def hold_campaigns(wanted: Iterable[int]) -> list[Campaign]:
    """Those that may be taken from, in order; nobody halts them until we commit.

    Other workers pass beside us. Campaigns come before messages, as a cancellation locks them.
    """
    keys = list(wanted)
    if connection.vendor == "postgresql" and keys:
        with connection.cursor() as cursor:
            cursor.execute(HOLD, [keys])
    held = Campaign.objects.claimable().filter(pk__in=keys).order_by("pk")
    return list(held.select_related("purpose", "sender__stand_in")) if keys else []


def _held_people(messages: Sequence[Due]) -> dict[uuid.UUID, Person]:
    """The people of these messages, locked; a STOP that came before is seen, others wait."""
    wanted = [message.subscriber_id for message in messages if message.subscriber_id]
    people = Subscriber.objects.filter(pk__among=wanted).in_lock_order()
    return {row[0]: Person(*row) for row in people.values_list(*Person._fields)}


def of(messages: Sequence[Due], at: datetime) -> Facts:
    """Lock the people of these messages, and read what holds for them."""
    planner.tell(planner.ROWS_BY_KEY)
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
