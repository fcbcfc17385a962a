"""Takes a campaign through its life: drafted, checked, approved, launched, halted, finished.

Every step is a conditional change of one row, so that of two operators who press at once, one is
told that the campaign has moved on.
"""

from collections.abc import Set
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import QuerySet

from audit import trail
from audit.models import Operator
from audit.trail import Actor
from campaigns import quiet_hours, text
from campaigns.models import Approval, Campaign, Message, Opening, Sender
from consent.models import Area, Consent, Purpose

Status = Campaign.Status
TOO_LATE = timedelta(hours=1)

NO_OPENING = "There is no permitted hour before the deadline."


class StepRefused(Exception):
    """A step that this campaign cannot take now; the text says why and what to do."""


@transaction.atomic
def draft(
    *,
    name: str,
    purpose: Purpose,
    sender: Sender,
    text: str,
    starts_at: datetime,
    deadline: datetime,
    by: Operator,
    at: datetime,
) -> Campaign:
    """A new campaign. Raises ValidationError for fields that do not fit together."""
    campaign = Campaign(
        name=name,
        purpose=purpose,
        sender=sender,
        text=text,
        starts_at=starts_at,
        deadline=deadline,
        author=by,
        edited_by=by,
        edited_at=at,
    )
    campaign.full_clean()
    campaign.save()
    _tell("campaign.drafted", campaign, by, at)
    return campaign


@transaction.atomic
def edit(*, campaign: Campaign, by: Operator, at: datetime, **changes: Any) -> None:
    """Change a campaign that is not being sent; it is a draft again, to be checked and approved.

    An approval holds for the content it was given for, and for no other. Without changes nothing
    happens. Raises StepRefused, ValidationError.
    """
    if not changes:
        return
    _lock(campaign)
    if campaign.status not in Campaign.EDITABLE:
        raise StepRefused("This campaign has been launched and cannot be changed any more.")
    for name, value in changes.items():
        setattr(campaign, name, value)
    campaign.status, campaign.edited_by, campaign.edited_at = Status.DRAFT, by, at
    campaign.full_clean()
    campaign.save()
    _tell("campaign.edited", campaign, by, at, fields=sorted(changes))


def findings(campaign: Campaign) -> list[str]:
    """What must be mended before this campaign can be approved, in words."""
    found = []
    try:
        text.render(campaign.text, {"first_name": "A"})
    except (text.UnknownField, text.UnresolvedField) as fault:
        found.append(str(fault))
    if settings.BUSINESS_NAME.casefold() not in campaign.text.casefold():
        found.append(f"The text does not name the business ({settings.BUSINESS_NAME}).")
    if "STOP" not in campaign.text:
        found.append("The text does not say how to stop messages (Reply STOP to cancel).")
    if campaign.sender.verified_at is None:
        found.append("The sender has not been verified.")
    return found


@transaction.atomic
def check(*, campaign: Campaign, by: Actor, at: datetime) -> None:
    """Have a draft checked. Raises ValidationError with every finding."""
    _lock(campaign)
    if found := findings(campaign):
        raise ValidationError(found)
    _step(campaign, Status.CHECKED, by=by, at=at, stamp="checked_at")


@transaction.atomic
def approve(*, campaign: Campaign, by: Operator, at: datetime) -> None:
    """A second person's word for exactly this content. Raises StepRefused."""
    _lock(campaign)
    if by.pk in campaign.writers():
        raise StepRefused("A campaign is approved by someone who did not write or edit it.")
    _require(campaign, Status.APPROVED)
    Approval.objects.get_or_create(
        campaign=campaign, by=by, content_hash=campaign.content_hash, defaults={"at": at}
    )
    _step(campaign, Status.APPROVED, by=by, at=at, stamp="approved_at")


@transaction.atomic
def schedule(*, campaign: Campaign, by: Operator, at: datetime) -> None:
    """Release an approved campaign to start at its time. Raises StepRefused."""
    _lock(campaign)
    _require_approval(campaign)
    _step(campaign, Status.SCHEDULED, by=by, at=at, stamp="scheduled_at")


@transaction.atomic
def launch(*, campaign: Campaign, by: Actor, at: datetime) -> int:
    """Freeze the audience and start; returns how many messages there are.

    One transaction: a message for everyone whom permission holds for, each due when every place
    the person may be in allows it. Raises StepRefused.
    """
    _lock(campaign)
    _require(campaign, Status.SENDING, after={Status.APPROVED, Status.SCHEDULED})
    _require_approval(campaign)
    if at < campaign.starts_at:
        raise StepRefused("This campaign has not reached its start; schedule it instead.")
    _step(campaign, Status.SENDING, by=by, at=at, stamp="launched_at")
    audience = Consent.objects.permitting(at).filter(purpose=campaign.purpose_id)
    _open_areas(campaign, audience, at)
    enrolled = _enrol(campaign, audience)
    _tell("campaign.enrolled", campaign, by, at, messages=enrolled)
    return enrolled


def _open_areas(campaign: Campaign, audience: QuerySet[Consent], at: datetime) -> None:
    book = quiet_hours.load()
    areas = Area.objects.filter(pk__in=audience.values("subscriber__area"))
    Opening.objects.bulk_create(
        _opening(campaign, area, book, at) for area in areas.order_by("pk").iterator()
    )


def _opening(campaign: Campaign, area: Area, book: quiet_hours.Rulebook, at: datetime) -> Opening:
    window = quiet_hours.window(
        book,
        at=at,
        country=area.country,
        states=area.candidate_states,
        zones=area.candidate_zones,
    )
    return Opening(
        campaign=campaign,
        area=area,
        due_at=window.next_opening,
        decision={
            "at": trail.instant(at),
            "rulebook": book.version,
            "rules": list(window.rules),
            "zones": list(window.zones),
            "reasons": list(window.reasons),
        },
    )


ENROL = """
INSERT INTO campaigns_message
    (campaign_id, subscriber_id, consent_id, opening_id, due_at, not_after, status, reason, body,
    tries)
SELECT %s, permitted.subscriber_id, permitted.id, opening.id, opening.due_at, %s,
    CASE WHEN opening.due_at < %s THEN 'waiting' ELSE 'blocked' END,
    CASE WHEN opening.due_at < %s THEN '' ELSE %s END, '', 0
FROM ({permitted}) permitted
JOIN consent_subscriber subscriber ON subscriber.id = permitted.subscriber_id
JOIN campaigns_opening opening
    ON opening.area_id = subscriber.area_id AND opening.campaign_id = %s
"""


def _enrol(campaign: Campaign, audience: QuerySet[Consent]) -> int:
    """One statement, whatever the size of the audience."""
    permitted, params = audience.order_by().values("id", "subscriber_id").query.sql_with_params()
    deadline = connection.ops.adapt_datetimefield_value(campaign.deadline)
    before = [campaign.pk, deadline, deadline, deadline, NO_OPENING]
    with connection.cursor() as cursor:
        cursor.execute(ENROL.format(permitted=permitted), [*before, *params, campaign.pk])
        return int(cursor.rowcount)


@transaction.atomic
def pause(*, campaign: Campaign, by: Actor, at: datetime, reason: str = "") -> None:
    """Stop a campaign between two messages; what is being handed over is let go.

    Raises StepRefused.
    """
    _lock(campaign)
    _step(campaign, Status.PAUSED, by=by, at=at, stamp="paused_at", reason=reason)


@transaction.atomic
def resume(*, campaign: Campaign, by: Operator, at: datetime) -> None:
    """Go on with a paused campaign. Raises StepRefused."""
    _lock(campaign)
    _require(campaign, Status.SENDING, after={Status.PAUSED})
    _require_approval(campaign)
    _step(campaign, Status.SENDING, by=by, at=at)


@transaction.atomic
def cancel(*, campaign: Campaign, by: Operator, at: datetime) -> int:
    """End a campaign; returns how many messages will not be sent. Raises StepRefused."""
    _lock(campaign)
    _step(campaign, Status.CANCELLED, by=by, at=at, stamp="cancelled_at")
    waiting = campaign.messages.filter(status=Message.Status.WAITING)
    return waiting.update(status=Message.Status.CANCELLED, settled_at=at)


def keep_time(*, at: datetime) -> None:
    """Launch what is scheduled and due; finish what has nothing left to send.

    A campaign that is more than an hour late (a worker was down, a backup was restored) does not
    start by itself: it goes back to approved, for a person to decide.
    """
    for campaign in Campaign.objects.due(at):
        _start(campaign, at)
    for campaign in Campaign.objects.exhausted():
        finish(campaign=campaign, by="worker", at=at)


def _start(campaign: Campaign, at: datetime) -> None:
    if at - campaign.starts_at > TOO_LATE:
        _hold(campaign, at, reason="more than an hour late")
        return
    try:
        launch(campaign=campaign, by="worker", at=at)
    except StepRefused as refusal:
        _hold(campaign, at, reason=str(refusal))


@transaction.atomic
def _hold(campaign: Campaign, at: datetime, *, reason: str) -> None:
    """Back to approved, for a person to decide; does nothing if someone has decided already."""
    _lock(campaign)
    if campaign.status == Status.SCHEDULED:
        _set(campaign, Status.APPROVED)
        _tell("campaign.held", campaign, "worker", at, reason=reason)


@transaction.atomic
def finish(*, campaign: Campaign, by: Actor, at: datetime) -> None:
    """Close a campaign that has nothing left to send; does nothing otherwise."""
    _lock(campaign)
    if Campaign.objects.exhausted().filter(pk=campaign.pk).exists():
        _step(campaign, Status.FINISHED, by=by, at=at, stamp="finished_at", **campaign.counts())


def _lock(campaign: Campaign) -> None:
    """Read the campaign anew, so that what is decided is decided on what it is now."""
    campaign.refresh_from_db(from_queryset=Campaign.objects.select_for_update())


def _require(campaign: Campaign, status: str, *, after: Set[str] = frozenset(Status)) -> None:
    if campaign.status not in after or not campaign.may_become(status):
        raise StepRefused(
            f"A campaign that is {campaign.get_status_display()} cannot become "
            f"{Status(status).label}. Load the page again to see where it stands."
        )


def _require_approval(campaign: Campaign) -> None:
    if campaign.standing_approval is None:
        raise StepRefused(
            "No second person has approved this campaign as it stands now. Have it approved."
        )


def _set(campaign: Campaign, status: str, **stamps: datetime) -> None:
    campaign.status = status
    for name, at in stamps.items():
        setattr(campaign, name, at)
    campaign.save(update_fields=["status", *stamps])


def _step(
    campaign: Campaign, status: str, *, by: Actor, at: datetime, stamp: str = "", **facts: Any
) -> None:
    _require(campaign, status)
    _set(campaign, status, **({stamp: at} if stamp else {}))
    _tell(f"campaign.{status}", campaign, by, at, **facts)


def _tell(verb: str, campaign: Campaign, by: Actor, at: datetime, **facts: Any) -> None:
    told = {"content": campaign.content_hash, **facts}
    trail.record(verb=verb, subject=f"campaign:{campaign.pk}", by=by, at=at, facts=told)
