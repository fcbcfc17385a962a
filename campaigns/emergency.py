"""The emergency stop: nothing leaves for people in a place until somebody lifts it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from audit import trail
from audit.models import Operator
from campaigns import decisions, hours
from campaigns.models import Stop
from campaigns.quiet_hours import may_be_in

LOOK_AGAIN = timedelta(minutes=5)  # when the fence asks anew, so how late a lifting acts
STOPPED_ALREADY = _("It is stopped there already.")


@transaction.atomic
def stop(*, jurisdiction: str, reason: str, by: Operator, at: datetime) -> Stop:
    """Let nothing more leave for whoever may be in a place: "US-FL", "US", "FR", or "*" for all.

    It acts at the fence: on every message whose fence has not begun to read when this commits,
    of whatever campaign. What a fence or a gateway has in hand then, at most two batches a worker,
    still goes. Raises ValidationError, also if the place is stopped already. For bans during a
    declared emergency, such as LPSC General Order R-29617 in Louisiana.
    """
    hours.require_place(jurisdiction)
    hours.require_impersonal(reason)
    if Stop.objects.standing().filter(jurisdiction=jurisdiction).exists():
        raise ValidationError({"jurisdiction": STOPPED_ALREADY})
    made = Stop(jurisdiction=jurisdiction, reason=reason, by=by, at=at)
    made.full_clean(validate_constraints=False)  # the database says whether another was quicker
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError:  # by two people at the same moment
        raise ValidationError({"jurisdiction": STOPPED_ALREADY}) from None
    _tell("stop.begun", made, by, at, reason=reason)
    return made


@transaction.atomic
def lift(*, stop: Stop, by: Operator, at: datetime) -> bool:
    """Let messages go there again, within five minutes; False if it was lifted before."""
    if not Stop.objects.standing().filter(pk=stop.pk).update(lifted_at=at, lifted_by=by):
        return False
    _tell("stop.lifted", stop, by, at)
    return True


def standing() -> list[Stop]:
    """Every stop that is not lifted, the widest first."""
    return list(Stop.objects.standing().order_by("jurisdiction"))


def concerning(stops: Iterable[Stop], *, country: str, states: Sequence[str]) -> tuple[Stop, ...]:
    """Those of the stops that hold for whoever may be in a country and states."""
    return tuple(
        stop for stop in stops if may_be_in(stop.jurisdiction, country=country, states=states)
    )


def because(stop: Stop) -> str:
    """Why a message waits, in words that name nobody."""
    return f"Stopped for {stop.place} by the emergency stop of {decisions.when(stop.at)}."


def told_of(stop: Stop) -> dict[str, str]:
    """How a stop stands in the record of what it stopped."""
    return {"stop": str(stop.pk), "place": stop.place, "since": trail.instant(stop.at)}


def _tell(verb: str, stop: Stop, by: Operator, at: datetime, *, reason: str = "") -> None:
    facts: dict[str, Any] = {"jurisdiction": stop.jurisdiction}
    trail.record(verb=verb, subject=f"stop:{stop.pk}", by=by, at=at, facts=facts, detail=reason)
