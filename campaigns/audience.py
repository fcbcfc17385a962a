"""Whom of the people of a purpose a campaign is for, and who of the others is left out, and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Self

from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign, Message, Reply
from consent.models import Area, Consent, ConsentQuerySet, Purpose, Subscriber, Suppression

GUESTS = "guests"  # the label of those whom a trial goes to

SUPPRESSED = "Refused messages."
NO_CONSENT = "Never agreed to this, or not any more."
UNCONFIRMED = "Never confirmed the opt-in."
EXPIRED = "Agreed for a time that is over."


@dataclass(frozen=True, slots=True)
class Audience:
    """The people of a purpose by what is known of them; a filter that is empty lets all pass."""

    countries: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    opted_in_from: date | None = None
    opted_in_until: date | None = None
    replied_within: int | None = None  # days
    not_messaged_for: int | None = None  # days

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """The audience that `as_json` wrote."""
        told: dict[str, Any] = {name: _read(name, value) for name, value in kept.items()}
        return cls(**told)

    def as_json(self) -> dict[str, Any]:
        """What is kept with the campaign and approved with it; empty filters are left out."""
        return {
            name: _kept(value) for name, value in asdict(self).items() if value not in ((), None)
        }

    def in_words(self) -> list[str]:
        """Each filter as a line for a clerk; nothing if it is for everyone."""
        told = {
            _("Countries: %s"): ", ".join(self.countries),
            _("States: %s"): ", ".join(self.states),
            _("Languages: %s"): ", ".join(self.languages),
            _("Labels: %s"): ", ".join(self.labels),
            _("Opted in from %s on"): self.opted_in_from,
            _("Opted in until %s"): self.opted_in_until,
            _("Wrote to us within %s days"): self.replied_within,
            _("Got nothing from us for %s days"): self.not_messaged_for,
        }
        return [line % value for line, value in told.items() if value not in ("", None)]


EVERYONE = Audience()


def _kept(value: Any) -> Any:
    """A filter as JSON has it."""
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: Any) -> Any:
    """A filter as it stands in JSON, which knows neither days nor tuples."""
    if name.startswith("opted_in"):
        return date.fromisoformat(value)
    return tuple(value) if isinstance(value, list) else value


def permitted(campaign: Campaign, at: datetime) -> ConsentQuerySet:
    """The consents of everyone who gets a message: permission holds, and every filter passes."""
    consents = Consent.objects.permitting(at).filter(purpose=campaign.purpose_id)
    return consents.filter(_about_people(campaign, at, of="subscriber__"), _opted_in(campaign))


def left_out(campaign: Campaign, at: datetime) -> dict[str, int]:
    """How many whom the filters name get none, since permission does not hold; by the reason."""
    people = Subscriber.objects.filter(_about_people(campaign, at))
    if opted_in := _opted_in(campaign):
        ever = Consent.objects.filter(opted_in, purpose=campaign.purpose_id)
        people = people.filter(Exists(ever.filter(subscriber=OuterRef("pk"))))
    others = people.exclude(Exists(permitted(campaign, at).filter(subscriber=OuterRef("pk"))))
    counted = others.values(why=_why(campaign.purpose)).annotate(people=Count("pk"))
    return {row["why"]: row["people"] for row in counted.order_by("-people")}


def _why(purpose: Purpose) -> Case:
    """What keeps a person of whom permission does not hold; a refusal says more than the rest."""
    refused = Suppression.objects.standing().filter(
        Q(purpose=None) | Q(purpose=purpose), number_index=OuterRef("number_index")
    )
    standing = Consent.objects.open().filter(purpose=purpose, subscriber=OuterRef("pk"))
    return Case(
        When(Exists(refused), then=Value(SUPPRESSED)),
        When(~Exists(standing), then=Value(NO_CONSENT)),
        When(Exists(standing.unconfirmed()), then=Value(UNCONFIRMED)),
        default=Value(EXPIRED),
    )


# --- filters -----------------------------------------------------------------------------------


def _about_people(campaign: Campaign, at: datetime, *, of: str = "") -> Q:
    """The filters that ask something of the person; `of` leads from the row to the person."""
    wanted, asked = Audience.of(campaign.audience), Q()
    if wanted.countries or wanted.states:
        asked &= Q(**{f"{of}area__among": _areas(wanted)})
    if wanted.languages:
        asked &= Q(**{f"{of}language__in": wanted.languages})
    for names in (wanted.labels, (GUESTS,) if campaign.trial else ()):
        if names:
            asked &= Q(Exists(_labelled(names, of)))
    if wanted.replied_within is not None:
        asked &= Q(Exists(_replied(at - timedelta(days=wanted.replied_within), of)))
    if wanted.not_messaged_for is not None:
        asked &= ~Q(Exists(_messaged(at - timedelta(days=wanted.not_messaged_for), of)))
    return asked


def _labelled(names: tuple[str, ...], of: str) -> QuerySet[Any]:
    given = Subscriber.labels.through.objects.filter(label__name__in=names)
    return given.filter(subscriber=OuterRef(f"{of}pk"))


def _replied(since: datetime, of: str) -> QuerySet[Reply]:
    wrote = Reply.objects.filter(number_index=OuterRef(f"{of}number_index"))
    return wrote.filter(received_at__gte=since)


def _messaged(since: datetime, of: str) -> QuerySet[Message]:
    """What may have arrived since; what is unknown may have."""
    return Message.objects.counted().filter(subscriber=OuterRef(f"{of}pk"), fenced_at__gt=since)


def _opted_in(campaign: Campaign) -> Q:
    """The filter on the day of the opt-in, in the business's time zone, both ends included."""
    wanted, asked = Audience.of(campaign.audience), Q()
    if wanted.opted_in_from:
        asked &= Q(given_at__gte=_midnight(wanted.opted_in_from))
    if wanted.opted_in_until:
        asked &= Q(given_at__lt=_midnight(wanted.opted_in_until + timedelta(days=1)))
    return asked


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=timezone.get_default_timezone())


def _areas(wanted: Audience) -> list[int]:
    """Areas in one of the countries, where one of the states is possible; there are hundreds."""
    areas = Area.objects.filter(country__in=wanted.countries) if wanted.countries else Area.objects
    states = set(wanted.states)
    return [area.pk for area in areas.all() if not states or states & set(area.candidate_states)]
