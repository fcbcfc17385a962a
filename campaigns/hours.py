"""Quiet hours as they hold now: the shipped rules with the business's own, which only tighten."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from audit import trail
from audit.models import Operator
from campaigns import quiet_hours
from campaigns.models import DAYS, OwnRule
from campaigns.quiet_hours import Hours, Rulebook
from consent import places

MINUTE = timedelta(minutes=1)
UNKNOWN = _("There is no such place. Write a country such as FR, a state such as US-FL, or *.")
PERSONAL = _("Leave out telephone numbers and mail addresses: it must not point at a person.")
CHANGES_NOTHING = _("The rules there are as strict already; this one would change nothing.")
PAST = _("It cannot hold from a time that is over.")
AT_ONCE = _("Others are adding rules at this very moment. Try once more.")
ATTEMPTS = 9
# The United States here; ISO has codes for them as well.
TERRITORIES = frozenset({"AS", "GU", "MP", "PR", "UM", "VI"})


@lru_cache(maxsize=1)
def shipped() -> Rulebook:
    """The rules of the file, which is read once in a process."""
    return quiet_hours.load()


def in_force(at: datetime) -> Rulebook:
    """The rules that hold at a time: those of the file, and the business's own of that time."""
    own = OwnRule.objects.in_force(at).order_by("number")
    return quiet_hours.with_own(shipped(), [rule.as_rule() for rule in own])


def jurisdictions() -> tuple[str, ...]:
    """Every place that a rule or a stop can name: "*", the United States, their states, countries.

    A country needs no row of its own: one may be stopped that only the row for the rest knows.
    """
    states = [f"US-{code}" for code, state in places.STATES.items() if state.country == "US"]
    countries = sorted(places.COUNTRY_ZONES.keys() - TERRITORIES - {quiet_hours.FEDERAL})
    return (quiet_hours.ANY_COUNTRY, quiet_hours.FEDERAL, *sorted(states), *countries)


@transaction.atomic
def add(
    *,
    jurisdiction: str,
    hours: Sequence[Hours | None],
    reason: str,
    by: Operator,
    at: datetime,
    closed_on_holidays: bool = False,
    daily_cap: int | None = None,
    in_force_from: datetime | None = None,
) -> OwnRule:
    """A stricter rule for a place, from now or from a time to come.

    `hours` are those of weekdays, Saturdays and Sundays in the recipient's own time: None is
    closed, `quiet_hours.WHOLE_DAY` says nothing. Raises ValidationError, also if the shipped rules
    of the place leave it nothing to change, since a rule can tighten and never loosen.
    """
    rule = drafted(
        jurisdiction=jurisdiction,
        hours=hours,
        reason=reason,
        closed_on_holidays=closed_on_holidays,
        daily_cap=daily_cap,
        in_force_from=in_force_from or at,
    )
    rule.by, rule.at = by, at
    require_sense(rule, at)
    _save_numbered(rule)
    _tell("own_rule.added", rule, by, at, reason=rule.reason or "", **_facts(rule))
    return rule


def _save_numbered(rule: OwnRule) -> None:
    """Keep it under the next number, which somebody else may be taking at this very moment."""
    for _attempt in range(ATTEMPTS):
        rule.number = OwnRule.objects.count() + 1  # none is ever deleted
        rule.full_clean(validate_unique=False)
        try:
            with transaction.atomic():
                rule.save(force_insert=True)
        except IntegrityError:
            continue
        return
    raise ValidationError(AT_ONCE)


def drafted(*, hours: Sequence[Hours | None], **fields: Any) -> OwnRule:
    """A rule that is not kept yet, from its hours of weekdays, Saturdays and Sundays."""
    minutes: dict[str, int | None] = {}
    for day, open_hours in zip(DAYS, hours, strict=True):
        minutes[f"{day}_start"] = open_hours.start // MINUTE if open_hours else None
        minutes[f"{day}_end"] = open_hours.end // MINUTE if open_hours else None
    return OwnRule(**fields, **minutes)


def require_sense(rule: OwnRule, at: datetime) -> None:
    """Raises ValidationError, field by field, for a rule that names no place or changes nothing."""
    require_place(rule.jurisdiction)
    require_impersonal(rule.reason or "")
    if rule.in_force_from < at:
        raise ValidationError({"in_force_from": PAST})
    if not quiet_hours.tightens(shipped(), rule.as_rule()):
        raise ValidationError({"jurisdiction": CHANGES_NOTHING})


def require_place(jurisdiction: str) -> None:
    """Raises ValidationError for a place that nothing here can be said of."""
    if jurisdiction not in jurisdictions():
        raise ValidationError({"jurisdiction": UNKNOWN})


def require_impersonal(reason: str) -> None:
    """Raises ValidationError for a reason in which a number or a mail address stands."""
    if trail.looks_personal(reason):
        raise ValidationError({"reason": PERSONAL})


@transaction.atomic
def end(*, rule: OwnRule, by: Operator, at: datetime) -> bool:
    """Let an own rule hold no more; False if it was ended before. The shipped rules stay."""
    ours = OwnRule.objects.not_ended().filter(pk=rule.pk)
    if not ours.update(ended_at=at, ended_by=by):
        return False
    _tell("own_rule.ended", rule, by, at)
    return True


def _facts(rule: OwnRule) -> dict[str, Any]:
    hours = {day: [getattr(rule, f"{day}_start"), getattr(rule, f"{day}_end")] for day in DAYS}
    return {
        "jurisdiction": rule.jurisdiction,
        **hours,
        "closed_on_holidays": rule.closed_on_holidays,
        "daily_cap": rule.daily_cap,
        "in_force_from": trail.instant(rule.in_force_from),
    }


def _tell(
    verb: str, rule: OwnRule, by: Operator, at: datetime, *, reason: str = "", **facts: Any
) -> None:
    subject = f"own_rule:{rule.number}"
    trail.record(verb=verb, subject=subject, by=by, at=at, facts=facts, detail=reason)
