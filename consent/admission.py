"""Decides which opt-ins may open a consent, from what is on record about their people.

One rule for one opt-in from a form and for ten thousand from a list. Nothing is written before
`write` is called, so that a list can be tried out by the same decisions.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from audit import trail
from consent import intake, places
from consent.intake import OptIn
from consent.models import (
    Area,
    Consent,
    ConsentQuerySet,
    ImportRow,
    Purpose,
    Subscriber,
    Suppression,
    SuppressionQuerySet,
)

Fate = ImportRow.Fate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an opt-in, and why in words."""

    fate: ImportRow.Fate
    reason: str = ""


OPENED = Outcome(Fate.ACCEPTED)
MERGED = Outcome(Fate.MERGED, "This person is subscribed already; the row adds nothing.")
CONFIRMED = Outcome(
    Fate.MERGED, "This person is subscribed already; the row adds the confirmation."
)
SUPPRESSED = Outcome(
    Fate.SUPPRESSED, "This number refused messages; only the person can take that back."
)
WITHDRAWN = Outcome(Fate.REFUSED, "This person withdrew after the opt-in that the row tells of.")


@dataclass(slots=True)
class Period:
    """A consent that stands, or that will if the admission is written; then it has its opt-in."""

    given_at: datetime
    confirmed_at: datetime | None
    consent: uuid.UUID | None = None
    opt_in: OptIn | None = None


@dataclass(slots=True)
class Admission:
    """What is on record about the people of a batch, kept up while the batch is decided.

    People are known by the blind index of their numbers; newcomers have no key before `write`.
    """

    purpose: Purpose
    people: dict[str, uuid.UUID]
    areas: dict[str, int]
    refused: set[str]
    withdrawn: dict[str, datetime]
    standing: dict[str, Period]
    newcomers: list[OptIn] = field(default_factory=list)
    opened: list[Period] = field(default_factory=list)
    confirmed: list[Period] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    _unions: dict[tuple[int, int], int] = field(default_factory=dict)

    def decide_all(self, opt_ins: Sequence[OptIn]) -> list[Outcome]:
        """What becomes of each opt-in of the batch, in its order."""
        areas = intake.areas(opt_ins)
        return [self.decide(*one) for one in zip(opt_ins, areas, strict=True)]

    def decide(self, opt_in: OptIn, area: int) -> Outcome:
        """What becomes of the next opt-in of the batch, given all before it."""
        if opt_in.number_index in self.refused:
            return SUPPRESSED
        withdrawn_at = self.withdrawn.get(opt_in.number_index)
        if withdrawn_at and opt_in.given_at <= withdrawn_at:
            return WITHDRAWN
        self._place(opt_in, area)
        standing = self.standing.get(opt_in.number_index)
        return self._join(standing, opt_in) if standing else self._open(opt_in)

    def _place(self, opt_in: OptIn, area: int) -> None:
        known = self.areas.get(opt_in.number_index)
        if known is None:
            self.areas[opt_in.number_index] = area
            self.newcomers.append(opt_in)
        elif known != area:
            self._widen(opt_in.number_index, known, area)

    def _widen(self, person: str, known: int, area: int) -> None:
        """Someone of whom a row knows another address may be in either; the strictest holds."""
        if (known, area) not in self._unions:
            self._unions[known, area] = _union(known, area)
        both = self._unions[known, area]
        if both != known:
            self.areas[person] = both
            self.moved.add(person)

    def _open(self, opt_in: OptIn) -> Outcome:
        period = Period(opt_in.given_at, opt_in.confirmed_at, opt_in=opt_in)
        self.standing[opt_in.number_index] = period
        self.opened.append(period)
        return OPENED

    def _join(self, standing: Period, opt_in: OptIn) -> Outcome:
        if standing.confirmed_at or not opt_in.confirmed_at:
            return MERGED
        standing.confirmed_at = max(opt_in.confirmed_at, standing.given_at)
        if standing.consent:
            self.confirmed.append(standing)
        return CONFIRMED

    def write(self, *, at: datetime, told_in: uuid.UUID | None = None) -> list[dict[str, Any]]:
        """Make the people and open the consents; returns what the trail fixes of each."""
        self.people |= {opt_in.number_index: uuid.uuid4() for opt_in in self.newcomers}
        people = [
            intake.person_row(
                self.people[opt_in.number_index], opt_in, self.areas[opt_in.number_index]
            )
            for opt_in in self.newcomers
        ]
        intake.write(Subscriber, intake.PERSON, people)
        rows = [self._row(period, at, told_in) for period in self.opened]
        intake.write(Consent, intake.CONSENT, rows)
        for period in self.confirmed:
            assert period.consent is not None  # it is on record
            ours = Consent.objects.filter(pk=period.consent)
            ours.update(confirmed_at=period.confirmed_at, confirmed_in=told_in)
        self._move()
        return [leaf_of(dict(zip(intake.CONSENT, row, strict=True))) for row in rows]

    def _row(self, period: Period, at: datetime, told_in: uuid.UUID | None) -> intake.Row:
        assert period.opt_in is not None  # it is ours
        return intake.consent_row(
            period.opt_in,
            subscriber=self.people[period.opt_in.number_index],
            purpose=self.purpose.pk,
            confirmed_at=period.confirmed_at,
            at=at,
            told_in=told_in,
        )

    def _move(self) -> None:
        to: dict[int, list[uuid.UUID]] = defaultdict(list)
        for person in self.moved:
            to[self.areas[person]].append(self.people[person])
        for area, people in to.items():
            Subscriber.objects.filter(pk__among=people).update(area=area)


def _union(old: int, new: int) -> int:
    """The area that covers both; the old one if it does already."""
    areas = Area.objects.in_bulk([old, new])
    here, there = areas[old], areas[new]
    if here.covers(there):
        return old
    both = places.Place(
        country=here.country,
        region=there.region or here.region,
        states=tuple(sorted({*here.candidate_states, *there.candidate_states})),
        zones=tuple(sorted({*here.candidate_zones, *there.candidate_zones})),
    )
    return intake.area_keys({both})[both]


def of(opt_ins: Iterable[OptIn], *, purpose: Purpose, at: datetime, lock: bool = True) -> Admission:
    """What is on record about these people; locked in the common order, unless only tried out.

    A consent that is over by `at` does not stand, whether or not it was closed already.
    """
    among = {"number_index__among": {opt_in.number_index for opt_in in opt_ins}}
    known = Subscriber.objects.filter(**among)
    rows = (known.in_lock_order() if lock else known).values_list("number_index", "pk", "area_id")
    ever = Suppression.objects.filter(Q(purpose=None) | Q(purpose=purpose), **among)
    people = [pk for _index, pk, _area in rows]
    consents = Consent.objects.filter(purpose=purpose, subscriber__id__among=people)
    return Admission(
        purpose=purpose,
        people={index: pk for index, pk, _area in rows},
        areas={index: area for index, _pk, area in rows},
        refused=set(ever.standing().values_list("number_index", flat=True)),
        withdrawn=_withdrawn(consents, ever),
        standing=_standing(consents.exclude(pk__in=consents.lapsing(purpose, at).values("pk"))),
    )


def _withdrawn(consents: ConsentQuerySet, ever: SuppressionQuerySet) -> dict[str, datetime]:
    """When each number last said no, by withdrawing or by a refusal, lifted since or not."""
    closed = consents.filter(withdrawn_at__isnull=False)
    told: list[Any] = [
        *closed.values_list("subscriber__number_index", "withdrawn_at"),
        *ever.values_list("number_index", "at"),
    ]
    latest: dict[str, datetime] = {}
    for index, at in told:
        latest[index] = max(at, latest.get(index, at))
    return latest


def _standing(consents: ConsentQuerySet) -> dict[str, Period]:
    columns = ("subscriber__number_index", "given_at", "confirmed_at", "pk")
    return {index: Period(*row) for index, *row in consents.open().values_list(*columns)}


def leaf_of(consent: dict[str, Any]) -> dict[str, Any]:
    """What the trail fixes of a consent, from its columns; nothing of it is personal."""
    confirmed_at = consent["confirmed_at"]
    return {
        "consent": consent["id"].hex,
        "subscriber": consent["subscriber_id"].hex,
        "purpose": consent["purpose_id"],
        "notice": consent["notice_id"],
        "method": consent["method"],
        "given_at": trail.instant(consent["given_at"]),
        "confirmed_at": trail.instant(confirmed_at) if confirmed_at else None,
        "evidence": consent["commitment"],
    }
