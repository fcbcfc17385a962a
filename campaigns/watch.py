"""Watches how campaigns fare while they are sent: how fast, how long still, and when to stop.

It reads tallies, one row a batch: looking costs the same for a thousand people and a million.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet, Sum
from django.utils.translation import gettext as _

from campaigns.models import Campaign, Message, Reply, Tally
from consent.replies import Intent

LAST = 500  # messages that are judged together
ENOUGH = 100  # fewer say nothing
MOST_REFUSED, MOST_OPT_OUTS = 0.05, 0.02
LATELY = timedelta(seconds=30)
ASKED_OUT = [Intent.STOP, Intent.LIKELY_STOP]


def too_many_refusals(campaign: Campaign) -> str:
    """Why a campaign should not go on by itself, in words; "" if its refusals do not say so.

    Providers and carriers cut off senders whose messages they refuse or filter.
    """
    handed_over, refused = _last(_since_a_person_looked(campaign))
    if handed_over < ENOUGH or refused <= handed_over * MOST_REFUSED:
        return ""
    told = {"refused": refused, "of": handed_over}
    return _("The provider refused or filtered %(refused)d of the last %(of)d.") % told


def too_many_opt_outs(campaign: Campaign) -> str:
    """As above, if so many asked to stop that people cannot have expected it (CTIA 5.2)."""
    handed_over = _since_a_person_looked(campaign).aggregate(all=Sum("handed_over"))["all"] or 0
    left = _opt_outs(campaign) if handed_over >= ENOUGH else 0
    if left <= handed_over * MOST_OPT_OUTS:
        return ""
    told = {"left": left, "of": handed_over}
    return _("%(left)d people opted out, of %(of)d who were reached.") % told


def _since_a_person_looked(campaign: Campaign) -> QuerySet[Tally]:
    ours = campaign.tallies.order_by("-pk")
    return ours.filter(at__gte=campaign.watched_from) if campaign.watched_from else ours


def _last(tallies: Iterable[Tally]) -> tuple[int, int]:
    """Handed over and refused, over as many batches as hold the last messages."""
    handed_over = refused = 0
    for tally in tallies:
        handed_over, refused = handed_over + tally.handed_over, refused + tally.refused
        if handed_over >= LAST:
            break
    return handed_over, refused


def _opt_outs(campaign: Campaign) -> int:
    """How many of its people asked to stop since it was launched, or since a person looked."""
    since = campaign.watched_from or campaign.launched_at
    wrote = Reply.objects.filter(intent__in=ASKED_OUT, received_at__gte=since)
    reached = Message.objects.counted().filter(
        campaign=campaign, subscriber__number_index__in=wrote.values("number_index")
    )
    return reached.count()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a campaign gets on."""

    a_second: float  # messages handed over, of late
    done_by: datetime | None  # if it goes on like this; None if nothing moves or nothing is due
    held_until: datetime | None  # when the next of those that wait is due; None if some are due now


def pace(campaign: Campaign, at: datetime) -> Pace:
    """How fast it goes, and when what is due now will be done."""
    lately = campaign.tallies.filter(at__gt=at - LATELY)
    handed_over = int(lately.aggregate(all=Sum("handed_over"))["all"] or 0)
    a_second = handed_over / LATELY.total_seconds()
    waiting = Message.objects.filter(campaign=campaign, status=Message.Status.WAITING)
    due = waiting.filter(due_at__lte=at).count() if a_second else 0
    return Pace(
        a_second,
        done_by=at + timedelta(seconds=due / a_second) if due else None,
        held_until=_later(waiting.order_by("due_at").values_list("due_at", flat=True).first(), at),
    )


def _later(due_at: datetime | None, at: datetime) -> datetime | None:
    return due_at if due_at and due_at > at else None
