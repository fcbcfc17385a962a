"""Defines what messages are about, and fixes the wordings that people are shown."""

from datetime import datetime

from django.db import transaction

from audit import trail
from audit.trail import Actor
from consent.models import Notice, Purpose
from consent.wording import fingerprint


@transaction.atomic
def define(
    *,
    code: str,
    name: str,
    promise: str,
    frequency: int,
    period: Purpose.Period,
    double_opt_in: bool,
    by: Actor,
    at: datetime,
) -> Purpose:
    """A purpose with what is promised to its people. Raises ValidationError."""
    purpose = Purpose(
        code=code,
        name=name,
        promise=promise,
        frequency=frequency,
        period=period,
        double_opt_in=double_opt_in,
    )
    purpose.full_clean()
    purpose.save()
    facts = {"frequency": frequency, "period": period, "double_opt_in": double_opt_in}
    trail.record(verb="purpose.defined", subject=f"purpose:{purpose.pk}", by=by, at=at, facts=facts)
    return purpose


@transaction.atomic
def publish(
    *, purpose: Purpose, language: str, wording: str, shown_from: datetime, by: Actor, at: datetime
) -> Notice:
    """Number a wording and fix it for good; `shown_from` may lie in the past."""
    from_before = Notice.objects.filter(purpose=purpose, language=language).count()
    notice = Notice.objects.create(
        purpose=purpose,
        language=language,
        number=from_before + 1,
        wording=wording,
        fingerprint=fingerprint(wording),
        shown_from=shown_from,
        published_at=at,
    )
    trail.record(
        verb="notice.published",
        subject=f"notice:{notice.pk}",
        by=by,
        at=at,
        facts={"purpose": purpose.pk, "number": notice.number, "fingerprint": notice.fingerprint},
    )
    return notice
