"""Every change of who may be messaged: the only code that opens, confirms or closes a consent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from audit import trail
from audit.trail import Actor
from config.encryption import blind_index
from consent import places
from consent.models import (
    Area,
    Consent,
    ImportRow,
    Method,
    Notice,
    Purpose,
    Subscriber,
    Suppression,
)
from consent.numbers import Number

Fate = ImportRow.Fate

SUPPRESSED = "This number refused messages; a list cannot take that back."
WITHDRAWN_SINCE = "This person withdrew after the opt-in that the row tells of."
MERGED = "This person is subscribed already; the row adds nothing."
CONFIRMED_BY_ROW = "This person is subscribed already; the row adds the confirmation."


@dataclass(frozen=True, slots=True)
class OptIn:
    """One person's agreement to one purpose, with what proves it."""

    number: Number
    notice: Notice
    method: Method
    source: str
    given_at: datetime
    confirmed_at: datetime | None = None
    evidence: str = field(default="", repr=False)
    region: str = ""
    language: str = "en"
    first_name: str = field(default="", repr=False)
    index: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", blind_index.of(self.number.e164))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an opt-in, and why in words."""

    fate: ImportRow.Fate
    reason: str = ""


@dataclass(slots=True)
class _Known:
    """What is on record about the people of one batch, kept up while the batch is read."""

    subscribers: dict[str, Subscriber]
    refused: set[str]
    open: dict[str, Consent]
    withdrawn: dict[str, datetime]
    new_subscribers: list[Subscriber] = field(default_factory=list)
    new_consents: list[Consent] = field(default_factory=list)
    confirmed: list[Consent] = field(default_factory=list)


def _known(purpose: Purpose, indexes: Iterable[str]) -> _Known:
    among = {"number_index__in": set(indexes)}
    people = {s.number_index: s for s in Subscriber.objects.filter(**among).in_lock_order()}
    consents = list(
        Consent.objects.filter(purpose=purpose, subscriber__in=people.values()).select_related(
            "subscriber"
        )
    )
    closed = sorted(
        (c for c in consents if c.withdrawn_at), key=lambda c: c.withdrawn_at or c.given_at
    )
    ever = Suppression.objects.filter(Q(purpose=None) | Q(purpose=purpose), **among)
    withdrawn = {c.subscriber.number_index: c.withdrawn_at for c in closed if c.withdrawn_at}
    for index, at in ever.values_list("number_index", "at"):
        withdrawn[index] = max(at, withdrawn.get(index, at))
    return _Known(
        subscribers=people,
        refused=set(ever.standing().values_list("number_index", flat=True)),
        open={c.subscriber.number_index: c for c in consents if not c.withdrawn_at},
        withdrawn=withdrawn,
    )


@transaction.atomic
def enrol(*, opt_ins: Sequence[OptIn], purpose: Purpose, by: Actor, at: datetime) -> list[Outcome]:
    """Open a consent for each opt-in that may have one; the outcomes stand in the same order.

    Never lifts a refusal, and never re-opens what was withdrawn after the opt-in was given.
    A notice that lacks an essential element is the caller's to refuse.
    """
    known = _known(purpose, (opt_in.index for opt_in in opt_ins))
    areas = _areas(opt_ins)
    outcomes = [_decide(known, areas, opt_in, purpose, at) for opt_in in opt_ins]
    Subscriber.objects.bulk_create(known.new_subscribers)
    Consent.objects.bulk_create(known.new_consents)
    for consent in known.confirmed:
        consent.save(update_fields=["confirmed_at"])
    trail.record_many(
        [_opened(consent) for consent in known.new_consents]
        + [_confirmed(consent) for consent in known.confirmed],
        by=by,
        at=at,
    )
    return outcomes


def _decide(
    known: _Known, areas: dict[OptIn, Area], opt_in: OptIn, purpose: Purpose, at: datetime
) -> Outcome:
    if opt_in.index in known.refused:
        return Outcome(Fate.SUPPRESSED, SUPPRESSED)
    withdrawn_at = known.withdrawn.get(opt_in.index)
    if withdrawn_at and opt_in.given_at <= withdrawn_at:
        return Outcome(Fate.REFUSED, WITHDRAWN_SINCE)
    _widen(known.subscribers.get(opt_in.index), areas[opt_in])
    if standing := known.open.get(opt_in.index):
        return _merge(known, standing, opt_in)
    subscriber = known.subscribers.get(opt_in.index) or _add_subscriber(
        known, opt_in, areas[opt_in]
    )
    consent = _consent(opt_in, subscriber, purpose, at)
    known.open[opt_in.index] = consent
    known.new_consents.append(consent)
    return Outcome(Fate.ACCEPTED)


def _widen(person: Subscriber | None, area: Area) -> None:
    """A person of whom a list knows another address may be in either place; the strictest holds."""
    if person is None or person._state.adding or person.area.covers(area):
        return
    both = places.Place(
        country=person.area.country,
        region=area.region or person.area.region,
        states=_united(person.area.candidate_states, area.candidate_states),
        zones=_united(person.area.candidate_zones, area.candidate_zones),
    )
    person.area = _area(both)
    person.save(update_fields=["area"])


def _united(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*some, *others}))


def _merge(known: _Known, standing: Consent, opt_in: OptIn) -> Outcome:
    if standing.confirmed_at or not opt_in.confirmed_at:
        return Outcome(Fate.MERGED, MERGED)
    standing.confirmed_at = max(opt_in.confirmed_at, standing.given_at)
    if standing not in known.new_consents:
        known.confirmed.append(standing)
    return Outcome(Fate.MERGED, CONFIRMED_BY_ROW)


def _add_subscriber(known: _Known, opt_in: OptIn, area: Area) -> Subscriber:
    subscriber = Subscriber(
        number=opt_in.number.e164,
        number_index=opt_in.index,
        area=area,
        language=opt_in.language,
        first_name=opt_in.first_name,
    )
    known.subscribers[opt_in.index] = subscriber
    known.new_subscribers.append(subscriber)
    return subscriber


def _consent(opt_in: OptIn, subscriber: Subscriber, purpose: Purpose, at: datetime) -> Consent:
    return Consent(
        subscriber=subscriber,
        purpose=purpose,
        notice=opt_in.notice,
        method=opt_in.method,
        source=opt_in.source,
        evidence=opt_in.evidence,
        given_at=opt_in.given_at,
        recorded_at=at,
        confirmed_at=opt_in.confirmed_at,
    )


def _areas(opt_ins: Sequence[OptIn]) -> dict[OptIn, Area]:
    wanted = {opt_in: places.of(opt_in.number.e164, region=opt_in.region) for opt_in in opt_ins}
    rows = {place: _area(place) for place in sorted(set(wanted.values()))}
    return {opt_in: rows[place] for opt_in, place in wanted.items()}


def _area(place: places.Place) -> Area:
    return Area.objects.get_or_create(
        country=place.country,
        region=place.region,
        states=" ".join(place.states),
        zones=" ".join(place.zones),
    )[0]


def _told(verb: str, consent: Consent) -> trail.Act:
    facts: dict[str, Any] = {
        "consent": consent.pk.hex,
        "purpose": consent.purpose_id,
        "notice": consent.notice_id,
        "method": consent.method,
        "given_at": trail.instant(consent.given_at),
        "confirmed": consent.confirmed_at is not None,
    }
    return trail.Act(verb=verb, subject=f"subscriber:{consent.subscriber_id}", facts=facts)


def _opened(consent: Consent) -> trail.Act:
    return _told("consent.opened", consent)


def _confirmed(consent: Consent) -> trail.Act:
    return _told("consent.confirmed", consent)


@transaction.atomic
def withdraw(
    *,
    number_index: str,
    channel: Suppression.Channel,
    reason: str,
    by: Actor,
    at: datetime,
    purpose: Purpose | None = None,
    note: str = "",
) -> bool:
    """Close every open consent (of `purpose`, or all) and refuse from now on.

    Works for a number that never subscribed, too. Returns whether this is a new refusal, so that
    it is confirmed once. `reason` is a fixed phrase, never what the person wrote; `note`, if any,
    is personal and goes encrypted into the trail. The person's row is locked first: no attempt can
    commit after this does.
    """
    person = Subscriber.objects.filter(number_index=number_index).in_lock_order().first()
    closed = _close(person, purpose, at) if person else 0
    known = Suppression.objects.against(number_index, purpose).exists()
    _refusal, created = Suppression.objects.get_or_create(
        number_index=number_index,
        purpose=purpose,
        channel=channel,
        lifted_at=None,
        defaults={"reason": reason, "at": at},
    )
    new = created and not known  # of two at once from a stranger, the database lets one create
    trail.record(
        verb="consent.withdrawn",
        subject=f"subscriber:{person.pk}" if person else f"index:{number_index[:16]}",
        by=by,
        at=at,
        facts={"channel": channel, "reason": reason, "closed": closed, "new": new},
        detail=note,
    )
    return new


def _close(person: Subscriber, purpose: Purpose | None, at: datetime) -> int:
    consents = person.consents.open()
    if purpose:
        consents = consents.filter(purpose=purpose)
    return consents.update(withdrawn_at=at)


@transaction.atomic
def restore(*, number_index: str, evidence: str, by: Actor, at: datetime) -> int:
    """The person's own START: give back what their STOP by the same channel took.

    Only consents that were valid when STOP closed them come back, as new periods; nothing is
    created for a number that had none, and a refusal by another channel stands. Returns how many
    came back.
    """
    person = Subscriber.objects.filter(number_index=number_index).in_lock_order().first()
    stops = Suppression.objects.standing().filter(
        number_index=number_index, channel=Suppression.Channel.SMS
    )
    stopped_at = stops.order_by("at").values_list("at", flat=True).first()
    if stopped_at is None:
        return 0
    stops.update(lifted_at=at)
    taken = person.consents.filter(withdrawn_at=stopped_at) if person else Consent.objects.none()
    valid = taken.confirmed().unrefused().exclude(expires_at__lte=at)
    reopened = [_reopened(consent, evidence, at) for consent in valid]
    Consent.objects.bulk_create(reopened)
    trail.record(
        verb="consent.restored",
        subject=f"subscriber:{person.pk}" if person else f"index:{number_index[:16]}",
        by=by,
        at=at,
        facts={"consents": [consent.pk.hex for consent in reopened]},
    )
    return len(reopened)


def _reopened(consent: Consent, evidence: str, at: datetime) -> Consent:
    return Consent(
        subscriber_id=consent.subscriber_id,
        purpose_id=consent.purpose_id,
        notice_id=consent.notice_id,
        method=Method.RESTORED,
        source=f"consent {consent.pk.hex}",
        evidence=evidence,
        given_at=at,
        recorded_at=at,
        confirmed_at=at,
        expires_at=consent.expires_at,
    )
