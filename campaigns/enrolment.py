"""Who gets a message of a campaign, when, and who of the permitted does not, and why.

One query decides it, for the dry run and for the launch: what is foreseen is what is done.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet

from audit import trail
from campaigns import audience, hours, quiet_hours
from campaigns.models import Campaign, Message, Opening
from campaigns.verdicts import CAP_OF_BUSINESS, CAP_OF_DAY, CAP_OF_PURPOSE, SENDER
from config.postgresql import planner
from consent.models import Area, Subscriber

DAY = timedelta(days=1)
NO_OPENING = "There is no permitted hour before the deadline."
COMPARED = ("consent_subscriber", "consent_consent", "consent_suppression", "campaigns_message")

# What each person got of late is counted as the fence counts it; the fence asks again.
DECIDED = """
SELECT permitted.id AS consent_id, permitted.subscriber_id, permitted.first_name,
    opening.id AS opening_id, opening.due_at,
    CASE
        WHEN NOT opening.reachable THEN %s
        WHEN opening.due_at IS NULL OR opening.due_at >= %s THEN %s
        WHEN recent.of_purpose >= %s THEN %s
        WHEN recent.of_day >= opening.daily_cap THEN %s
        WHEN recent.of_day >= %s THEN %s
        ELSE ''
    END AS reason
FROM ({permitted}) permitted
JOIN campaigns_opening opening
    ON opening.area_id = permitted.area_id AND opening.campaign_id = %s
LEFT JOIN ({recent}) recent ON recent.subscriber_id = permitted.subscriber_id
"""
FORESEE = """
SELECT reason, COUNT(*), SUM(CASE WHEN first_name = '' THEN 1 ELSE 0 END)
FROM ({decided}) decided GROUP BY reason
"""
ENROL = """
INSERT INTO campaigns_message
    (campaign_id, subscriber_id, consent_id, opening_id, due_at, not_after, status, reason, body,
    tries)
SELECT %s, subscriber_id, consent_id, opening_id, due_at, %s,
    CASE WHEN reason = '' THEN 'waiting' ELSE 'blocked' END, reason, '', 0
FROM ({decided}) decided
ORDER BY subscriber_id
"""  # in the order of the unique index, which is then written from one end to the other


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of everyone whom a campaign's filters name, if it were launched now."""

    messaged: int
    without_name: int  # of those who are messaged
    blocked: dict[str, int]  # permitted, and yet not messaged: by the reason
    left_out: dict[str, int]  # not permitted: by the reason

    @property
    def permitted(self) -> int:
        return self.messaged + sum(self.blocked.values())


@transaction.atomic
def foresee(campaign: Campaign, at: datetime) -> Foreseen:
    """A dry run before a launch: what it would do at that time; nothing of it is left."""
    assert campaign.launched_at is None  # what the quiet hours said at a launch stays
    open_areas(campaign, at)
    decided, params = _decided(campaign, at)
    with connection.cursor() as cursor:
        cursor.execute(FORESEE.format(decided=decided), params)
        rows = cursor.fetchall()
    campaign.openings.all().delete()
    fates = {reason: people for reason, people, _nameless in rows}
    return Foreseen(
        messaged=fates.pop("", 0),
        without_name=sum(int(nameless) for reason, _people, nameless in rows if not reason),
        blocked=fates,
        left_out=audience.left_out(campaign, at),
    )


def enrol(campaign: Campaign, at: datetime) -> None:
    """A message for everyone whom permission holds for: one statement, whatever their number."""
    open_areas(campaign, at)
    decided, params = _decided(campaign, at)
    head = [campaign.pk, connection.ops.adapt_datetimefield_value(campaign.deadline)]
    with connection.cursor() as cursor:
        cursor.execute(ENROL.format(decided=decided), [*head, *params])


def names(campaign: Campaign, at: datetime) -> Iterator[dict[str, str]]:
    """The merge values of everyone permitted, decrypted one by one and kept nowhere."""
    consents = audience.permitted(campaign, at).order_by().values("subscriber")
    people = Subscriber.objects.filter(pk__in=consents).only("first_name")
    for person in people.iterator(chunk_size=2_000):
        yield {"first_name": person.first_name or ""}


def _decided(campaign: Campaign, at: datetime) -> tuple[str, list[Any]]:
    told = {"area_id": F("subscriber__area"), "first_name": F("subscriber__first_name")}
    consents = audience.permitted(campaign, at).order_by().values("id", "subscriber_id", **told)
    permitted, permitted_params = consents.query.sql_with_params()
    recent, recent_params = _recent(campaign, at).query.sql_with_params()
    rules = [
        SENDER,
        *(connection.ops.adapt_datetimefield_value(campaign.deadline), NO_OPENING),
        *(campaign.purpose.frequency, CAP_OF_PURPOSE),
        CAP_OF_DAY,
        *(settings.BUSINESS_DAILY_CAP, CAP_OF_BUSINESS),
    ]
    decided = DECIDED.format(permitted=permitted, recent=recent)
    return decided, [*rules, *permitted_params, campaign.pk, *recent_params]


def _recent(campaign: Campaign, at: datetime) -> QuerySet[Any]:
    """How many messages each person may have got within a day, and within the purpose's period."""
    span = campaign.purpose.span
    since = Message.objects.counted().filter(
        subscriber__isnull=False, fenced_at__gt=at - max(DAY, span)
    )
    of_purpose = Q(campaign__purpose=campaign.purpose_id, fenced_at__gt=at - span)
    return (
        since.order_by()
        .values("subscriber_id")
        .annotate(
            of_day=Count("pk", filter=Q(fenced_at__gt=at - DAY)),
            of_purpose=Count("pk", filter=of_purpose),
        )
    )


# --- where and when ----------------------------------------------------------------------------


def open_areas(campaign: Campaign, at: datetime) -> None:
    """Ask the quiet hours once for each area of the permitted, and keep what they said."""
    planner.show(*COMPARED)
    planner.tell("SET LOCAL work_mem = '256MB'")  # a million people are joined in memory
    Opening.objects.bulk_create(_openings(campaign, at))
    planner.tell("ANALYZE campaigns_opening")  # it would loop, expecting one area


def _openings(campaign: Campaign, at: datetime) -> Iterator[Opening]:
    book = hours.in_force(at)
    areas = audience.permitted(campaign, at).order_by().values_list("subscriber__area", flat=True)
    for area in Area.objects.filter(pk__in=list(areas.distinct())).order_by("pk"):
        window = quiet_hours.window(
            book,
            at=at,
            country=area.country,
            states=area.candidate_states,
            zones=area.candidate_zones,
        )
        yield Opening(
            campaign=campaign,
            area=area,
            due_at=window.next_opening,
            reachable=campaign.sender.may_reach(area.country),
            daily_cap=window.daily_cap,
            decision={
                "at": trail.instant(at),
                "rulebook": book.version,
                "rules": list(window.rules),
                "zones": list(window.zones),
                "reasons": list(window.reasons),
            },
        )
