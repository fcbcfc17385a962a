"""Takes a campaign through its life: drafted, checked, approved, launched, halted, finished.

Every step is a conditional change of one row, so that of two operators who press at once, one is
told that the campaign has moved on.
"""

from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from audit import trail
from audit.models import Operator
from audit.trail import Actor
from campaigns import enrolment, preflight, text
from campaigns.audience import EVERYONE, Audience
from campaigns.models import (
    Approval,
    Campaign,
    CampaignQuerySet,
    Message,
    Override,
    Sender,
)
from campaigns.watch import too_many_opt_outs, too_many_refusals
from consent.models import Purpose

Status = Campaign.Status
TOO_LATE = timedelta(hours=1)
# By how much an audience may have grown between the check and the launch: a tenth, or so many.
GROWTH, NEWCOMERS = 1.1, 100


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
    audience: Audience = EVERYONE,
    translations: Mapping[str, str] | None = None,
    trial: bool = False,
    segment_limit: int | None = None,
) -> Campaign:
    """A new campaign; `translations` are its text by language, `segment_limit` is for all of it.

    Raises ValidationError for fields that do not fit together.
    """
    campaign = Campaign(
        name=name,
        purpose=purpose,
        sender=sender,
        text=text,
        starts_at=starts_at,
        deadline=deadline,
        audience=audience.as_json(),
        translations=dict(translations or {}),
        trial=trial,
        segment_limit=segment_limit,
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
        setattr(campaign, name, value.as_json() if isinstance(value, Audience) else value)
    campaign.status, campaign.edited_by, campaign.edited_at = Status.DRAFT, by, at
    campaign.counted = campaign.most_segments = None
    campaign.full_clean()
    campaign.save()
    _tell("campaign.edited", campaign, by, at, fields=sorted(changes))


@transaction.atomic
def dry_run(*, campaign: Campaign, at: datetime) -> enrolment.Foreseen:
    """What a launch now would do. Raises StepRefused for a campaign that was launched."""
    _lock(campaign)
    if campaign.launched_at is not None:
        raise StepRefused("This campaign was launched; its page counts what became of it.")
    return enrolment.foresee(campaign, at)


@transaction.atomic
def check(*, campaign: Campaign, by: Actor, at: datetime) -> None:
    """Have a draft checked, and its audience counted: that count is what gets approved.

    Raises ValidationError with every finding, StepRefused.
    """
    _lock(campaign)
    _require(campaign, Status.CHECKED)
    if found := preflight.in_the_way(campaign):
        raise ValidationError(found)
    campaign.counted = enrolment.foresee(campaign, at).messaged
    campaign.most_segments = max(_worst(one, campaign, at) for one in campaign.texts)
    segments = campaign.counted * campaign.most_segments
    if campaign.segment_limit is not None and segments > campaign.segment_limit:
        raise ValidationError(_too_costly(campaign, segments))
    campaign.save(update_fields=["counted", "most_segments"])
    _step(campaign, Status.CHECKED, by=by, at=at, stamp="checked_at")


@transaction.atomic
def override(*, campaign: Campaign, code: str, reason: str, by: Operator, at: datetime) -> None:
    """A privacy officer's word that what a list of words found here is none of it.

    It holds for these texts only; `reason` is kept, encrypted, in the trail. Raises StepRefused.
    """
    _lock(campaign)
    found = {remark.finding.code for remark in preflight.remarks(campaign) if remark.blocks}
    may = {one.finding.code for one in preflight.remarks(campaign) if one.finding.overridable}
    if code not in found & may:
        raise StepRefused("There is nothing of this kind in the text that can be overridden.")
    Override.objects.create(
        campaign=campaign, code=code, texts=preflight.texts_hash(campaign), by=by, at=at
    )
    _tell("campaign.overridden", campaign, by, at, detail=reason, code=code)


@transaction.atomic
def approve(*, campaign: Campaign, by: Operator, at: datetime) -> None:
    """A second person's word for exactly this content. Raises StepRefused."""
    _lock(campaign)
    if by.pk in campaign.writers():
        raise StepRefused("A campaign is approved by someone who did not write or edit it.")
    _require(campaign, Status.APPROVED, after={Status.CHECKED})
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
    enrolment.enrol(campaign, at)
    counts = campaign.counts()
    _refuse_more_than_approved(campaign, counts.get(Message.Status.WAITING, 0))
    enrolled = sum(counts.values())
    told: dict[str, Any] = {"messages": enrolled, **counts}
    _tell("campaign.enrolled", campaign, by, at, **told)
    return enrolled


def _worst(template: str, campaign: Campaign, at: datetime) -> int:
    """Segments of a text at its longest, with the names of those whom it would reach."""
    if not text.fields_of(template):
        return text.measure(template).segments
    return text.worst_case(template, enrolment.names(campaign, at)).measure.segments


def _refuse_more_than_approved(campaign: Campaign, enrolled: int) -> None:
    """An approval is for so many people; a few may have joined since, a crowd may not."""
    counted = campaign.counted or 0
    if enrolled > max(counted * GROWTH, counted + NEWCOMERS):
        raise StepRefused(
            f"The audience has grown from {counted} to {enrolled} since the campaign was checked. "
            "Have it checked and approved again."
        )
    segments = enrolled * (campaign.most_segments or 1)
    if campaign.segment_limit is not None and segments > campaign.segment_limit:
        raise StepRefused(_too_costly(campaign, segments))


def _too_costly(campaign: Campaign, segments: int) -> str:
    return (
        f"This would take up to {segments} segments; the limit of the campaign is "
        f"{campaign.segment_limit}."
    )


@transaction.atomic
def clone(*, campaign: Campaign, by: Operator, at: datetime) -> Campaign:
    """A new draft with the same text and audience, to start a week from now for as long."""
    starts_at = at + timedelta(days=7)
    return draft(
        name=f"{campaign.name} ({_('copy')})"[:80],
        purpose=campaign.purpose,
        sender=campaign.sender,
        text=campaign.text,
        starts_at=starts_at,
        deadline=starts_at + (campaign.deadline - campaign.starts_at),
        audience=Audience.of(campaign.audience),
        translations=campaign.translations,
        trial=campaign.trial,
        segment_limit=campaign.segment_limit,
        by=by,
        at=at,
    )


@transaction.atomic
def pause(*, campaign: Campaign, by: Actor, at: datetime, reason: str = "") -> None:
    """Stop a campaign between two messages; what is being handed over is let go.

    Raises StepRefused.
    """
    _lock(campaign)
    campaign.because = reason
    campaign.save(update_fields=["because"])
    _step(campaign, Status.PAUSED, by=by, at=at, stamp="paused_at", reason=reason)


@transaction.atomic
def resume(*, campaign: Campaign, by: Operator, at: datetime) -> None:
    """Go on with a paused campaign. Raises StepRefused."""
    _lock(campaign)
    _require(campaign, Status.SENDING, after={Status.PAUSED})
    _require_approval(campaign)
    campaign.because, campaign.watched_from = "", at
    campaign.save(update_fields=["because", "watched_from"])
    _step(campaign, Status.SENDING, by=by, at=at)


def watch(*, campaign: Campaign, by: Actor, at: datetime) -> None:
    """Pause a campaign of which so much is refused that a person must look first."""
    if why := too_many_refusals(campaign):
        _stop_by_itself(campaign, why, by=by, at=at)


def _stop_by_itself(campaign: Campaign, why: str, *, by: Actor, at: datetime) -> None:
    try:
        pause(campaign=campaign, by=by, at=at, reason=why)
    except StepRefused:
        return  # somebody has paused, cancelled or finished it meanwhile


@transaction.atomic
def cancel(*, campaign: Campaign, by: Operator, at: datetime) -> int:
    """End a campaign; returns how many messages will not be sent. Raises StepRefused."""
    _lock(campaign)
    _step(campaign, Status.CANCELLED, by=by, at=at, stamp="cancelled_at")
    waiting = campaign.messages.filter(status=Message.Status.WAITING)
    return waiting.update(status=Message.Status.CANCELLED, settled_at=at)


def keep_time(*, at: datetime) -> None:
    """Launch what is scheduled and due; pause what people flee; finish what has nothing left.

    A campaign that is more than an hour late (a worker was down, a backup was restored) does not
    start by itself: it goes back to approved, for a person to decide.
    """
    for campaign in Campaign.objects.due(at):
        _start(campaign, at)
    for campaign in Campaign.objects.sending():
        if why := too_many_opt_outs(campaign):
            _stop_by_itself(campaign, why, by="worker", at=at)
    for campaign in _exhausted():
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
        _require(campaign, Status.APPROVED)
        campaign.because = reason[:200]
        campaign.save(update_fields=["because"])
        _set(campaign, Status.APPROVED)
        _tell("campaign.held", campaign, "worker", at, reason=reason)


@transaction.atomic
def finish(*, campaign: Campaign, by: Actor, at: datetime) -> None:
    """Close a campaign that has nothing left to send; does nothing otherwise."""
    _lock(campaign)
    if _exhausted().filter(pk=campaign.pk).exists():
        _step(campaign, Status.FINISHED, by=by, at=at, stamp="finished_at", **campaign.counts())


def _exhausted() -> CampaignQuerySet:
    """Being sent, with nothing left that could still go."""
    return Campaign.objects.sending().with_none_of(Message.objects.undecided().order_by("status"))


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


def _tell(
    verb: str, campaign: Campaign, by: Actor, at: datetime, *, detail: str = "", **facts: Any
) -> None:
    told, subject = {"content": campaign.content_hash, **facts}, f"campaign:{campaign.pk}"
    trail.record(verb=verb, subject=subject, by=by, at=at, facts=told, detail=detail)
