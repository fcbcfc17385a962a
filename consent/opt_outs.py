"""Opt-outs that reach staff by telephone, letter, mail or in person, with their legal clock."""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from audit import trail
from audit.models import Operator
from config.encryption import blind_index
from consent import deadlines, ledger
from consent.models import OptOutRequest, Purpose, StopScope, Suppression
from consent.numbers import Number

PAST = "Choose a time that has not passed."


class AlreadyHonoured(Exception):
    """An opt-out that has taken effect before."""


@transaction.atomic
def record(
    *,
    channel: OptOutRequest.Channel,
    received_at: datetime,
    note: str,
    number: Number | None,
    by: Operator,
    at: datetime,
    purpose: Purpose | None = None,
) -> OptOutRequest:
    """Keep an opt-out as it came; with a number it takes effect at once.

    The clock runs from `received_at`: 47 CFR 64.1200(a)(10) gives ten business days and no more.
    Raises ValidationError for a time in the future.
    """
    request = OptOutRequest(
        channel=channel,
        purpose=purpose,
        note=note,
        received_at=received_at,
        due_by=deadlines.due_by(received_at, zone=settings.TIME_ZONE),
        recorded_at=at,
        recorded_by=by,
    )
    request.full_clean()
    request.save()
    trail.record(
        verb="opt_out.told",
        subject=f"opt_out:{request.pk}",
        by=by,
        at=at,
        facts={"channel": channel, "received_at": trail.instant(received_at)},
        detail=note,
    )
    if number:
        honour(request=request, number=number, by=by, at=at)
    return request


@transaction.atomic
def honour(*, request: OptOutRequest, number: Number, by: Operator, at: datetime) -> None:
    """Put an opt-out into effect for the number it turned out to be. Raises AlreadyHonoured."""
    request.refresh_from_db(from_queryset=OptOutRequest.objects.select_for_update())
    if request.honoured_at:
        raise AlreadyHonoured("This opt-out has taken effect already.")
    request.number_index, request.honoured_at = blind_index.of(number.e164), at
    request.save(update_fields=["number_index", "honoured_at"])
    ledger.withdraw(
        number_index=request.number_index,
        purpose=request.purpose,
        channel=Suppression.Channel.STAFF,
        reason=f"told to staff by {request.get_channel_display()}",
        by=by,
        at=at,
    )
    facts = {"late": request.was_late}
    trail.record(
        verb="opt_out.honoured", subject=f"opt_out:{request.pk}", by=by, at=at, facts=facts
    )


@transaction.atomic
def set_scope(
    *, scope: StopScope.Scope, effective_from: datetime, by: Operator, at: datetime
) -> StopScope:
    """What a STOP covers from a time on; the past is not set anew. Raises ValidationError.

    It stops the whole business either way. The question is what 47 CFR 64.1200(a)(12) allows; that
    one STOP ends every topic is law from 2027-01-31 (DA 26-12).
    """
    if effective_from < at:
        raise ValidationError({"effective_from": PAST})
    row = StopScope(scope=scope, effective_from=effective_from, set_at=at)
    row.full_clean()
    row.save()
    facts = {"scope": scope, "effective_from": trail.instant(effective_from)}
    trail.record(verb="stop.scoped", subject=f"stop:{row.pk}", by=by, at=at, facts=facts)
    return row
