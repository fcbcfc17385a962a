"""A test that tries: those who did not want it, or not now, stand among those who did."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

import pytest
from django.db import transaction

from campaigns.models import Campaign, Message
from config.encryption import blind_index
from consent import ledger, purposes
from consent.models import Consent, Purpose, Suppression
from tests.conftest import AT
from tests.faults import scene
from tests.services import Stack

_free = iter(scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO))


def people(count: int) -> list[str]:
    return list(islice(_free, count))


WILLING = people(100)
REFUSED_ANOTHER_PURPOSE = people(10)
UNCONFIRMED = people(10)
WITHDRAWN = people(10)
WITHDRAWN_FROM_PURPOSE = people(10)
REFUSED_BUSINESS = people(10)
REFUSED_PURPOSE = people(10)
EXPIRED = people(10)
WITHDRAWN_LATE = people(10)
REFUSED_LATE = people(10)
EXPIRED_LATE = people(10)
ASLEEP = scene.fiction(scene.GUAM, each=10)  # Wednesday, four in the morning

WANT_IT = WILLING + REFUSED_ANOTHER_PURPOSE
CHANGED_THEIR_MINDS = WITHDRAWN_LATE + REFUSED_LATE + EXPIRED_LATE
CONFIRMED = [
    *(WANT_IT + CHANGED_THEIR_MINDS + ASLEEP + EXPIRED),
    *(WITHDRAWN + WITHDRAWN_FROM_PURPOSE + REFUSED_BUSINESS + REFUSED_PURPOSE),
]
Status = Message.Status


def another_purpose() -> Purpose:
    return purposes.define(
        code="events",
        name="Events",
        promise="Readings and tastings.",
        frequency=1,
        period=Purpose.Period.MONTH,
        double_opt_in=False,
        by="command",
        at=AT,
    )


def withdraw(e164s: Iterable[str], *, purpose: Purpose | None = None) -> None:
    for number in e164s:
        ledger.withdraw(
            number_index=blind_index.of(number),
            channel=Suppression.Channel.STAFF,
            reason="told to staff",
            purpose=purpose,
            by="command",
            at=AT,
        )


def suppress(e164s: Iterable[str], *, purpose: Purpose | None = None) -> None:
    """A refusal beside an open consent, which no verb of ours leaves but a restored backup may."""
    Suppression.objects.bulk_create(
        Suppression(
            number_index=blind_index.of(number),
            purpose=purpose,
            channel=Suppression.Channel.PROVIDER,
            reason="on the provider's list",
            at=AT,
        )
        for number in e164s
    )


def expire(e164s: Iterable[str]) -> None:
    indexes = [blind_index.of(number) for number in e164s]
    Consent.objects.filter(subscriber__number_index__in=indexes).update(expires_at=AT)


def gather(business: scene.Business) -> None:
    """Everyone, mixed, and what each of them had said before the launch."""
    scene.enrol(business, sorted(CONFIRMED, key=lambda number: number[::-1]))
    scene.enrol(business, UNCONFIRMED, confirmed=False)
    withdraw(WITHDRAWN)
    withdraw(WITHDRAWN_FROM_PURPOSE, purpose=business.purpose)
    suppress(REFUSED_BUSINESS)
    suppress(REFUSED_PURPOSE, purpose=business.purpose)
    suppress(REFUSED_ANOTHER_PURPOSE, purpose=another_purpose())
    expire(EXPIRED)


@transaction.atomic
def launch_and_change_minds(business: scene.Business) -> Campaign:
    """Committed together: these people are enrolled, and refuse before a worker can see them."""
    campaign = scene.launch(business)
    withdraw(WITHDRAWN_LATE)
    suppress(REFUSED_LATE, purpose=business.purpose)
    expire(EXPIRED_LATE)
    return campaign


def stop_the_last(stack: Stack, campaign: Campaign) -> list[str]:
    """Twenty of those whose turn comes last write STOP on their phones, while others get theirs."""
    indexes = [blind_index.of(number) for number in WILLING]
    waiting = campaign.messages.filter(
        status=Status.WAITING, subscriber__number_index__in=indexes
    ).select_related("subscriber")
    last = [m.subscriber.number for m in waiting.order_by("-due_at", "-id")[:20] if m.subscriber]
    for phone in last:
        reply = {"from": phone, "to": scene.HARBOR, "body": "STOP"}
        assert stack.ask("/sandbox/replies", reply)["status"] == 200
    return last


# Slow and a few at a time, so that the last are far from their turn when they write.
@pytest.mark.stack(CLAIM_SIZE="5", GATEWAY_TIMEOUT="3", LEASE_SECONDS="6")
def test_nothing_goes_to_those_who_did_not_want_it(beside: Stack, business: scene.Business) -> None:
    gather(business)
    scene.misbehave(beside, slow=0.4)
    campaign = launch_and_change_minds(business)
    beside.wait_until(lambda: scene.accepted(beside) >= 5)
    stopped = stop_the_last(beside, campaign)
    scene.misbehave(beside)
    scene.await_end(beside, campaign, leaving=len(ASLEEP))

    ours = scene.check_accounts(beside, campaign, WANT_IT + CHANGED_THEIR_MINDS + ASLEEP)
    assert scene.those(ours, [Status.BLOCKED]) == {*CHANGED_THEIR_MINDS, *stopped}
    assert scene.those(ours, [Status.WAITING]) == set(ASLEEP)
    assert len(stopped) == 20
    assert scene.received(beside) == Counter(set(WANT_IT) - set(stopped))
    everything = Counter(m["to"] for m in scene.provider_messages(beside))
    assert everything == Counter(WANT_IT), "a stop is answered once, and nobody else hears of us"
