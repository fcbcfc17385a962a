"""When the answer to "Pause" or "Cancel" is on the screen, nothing more is handed over."""

import time

import pytest

from campaigns.models import Attempt, Campaign, Message
from tests.faults import scene
from tests.faults.visitor import Visitor
from tests.services import Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON)
SECOND = "Harbor Coffee: the winter roast is here, and it is dark. Reply STOP to cancel."
Status = Message.Status


def press(visitor: Visitor, campaign: Campaign, act: str) -> None:
    page = f"/admin/campaigns/campaign/{campaign.pk}/"
    visitor.look(f"{page}change/")
    visitor.post(f"{page}act/{act}/")


def check_standstill(stack: Stack, campaign: Campaign) -> None:
    """From now on no attempt is recorded, and the provider takes none that was not."""
    on_record = Attempt.objects.count()
    time.sleep(2.5)  # longer than a whole batch takes, and a dozen rings of the clock
    assert Attempt.objects.count() == on_record, "an attempt was recorded after the answer"
    assert 10 <= scene.accepted(stack) <= on_record
    assert not campaign.messages.filter(status=Status.CALLING).exists()


def start(stack: Stack, business: scene.Business, text: str) -> Campaign:
    """A campaign of which a few messages are out and many are being handed over."""
    scene.misbehave(stack, slow=0.4)
    before = scene.accepted(stack)
    campaign = scene.launch(business, text=text)
    stack.wait_until(lambda: scene.accepted(stack) >= before + 10)
    return campaign


@pytest.mark.stack(CLAIM_SIZE="5", GATEWAY_TIMEOUT="3", LEASE_SECONDS="6")
def test_pause_acts_at_once_and_resume_finishes(beside: Stack, business: scene.Business) -> None:
    scene.enrol(business, AUDIENCE)
    visitor = Visitor(beside, business.approver)
    campaign = start(beside, business, scene.TEXT)
    press(visitor, campaign, "pause")
    check_standstill(beside, campaign)
    assert campaign.messages.filter(status=Status.WAITING).count() > len(AUDIENCE) / 2

    scene.misbehave(beside)
    press(visitor, campaign, "resume")
    scene.await_end(beside, campaign)
    ours = scene.check_accounts(beside, campaign, AUDIENCE)
    assert scene.those(ours, [Status.DELIVERED]) == set(AUDIENCE)


@pytest.mark.stack(CLAIM_SIZE="5", GATEWAY_TIMEOUT="3", LEASE_SECONDS="6")
def test_cancel_acts_at_once_and_for_good(beside: Stack, business: scene.Business) -> None:
    scene.enrol(business, AUDIENCE)
    visitor = Visitor(beside, business.approver)
    campaign = start(beside, business, SECOND)
    press(visitor, campaign, "cancel")
    check_standstill(beside, campaign)

    scene.await_end(beside, campaign)
    ours = scene.check_accounts(beside, campaign, AUDIENCE)
    sent = scene.those(ours, [Status.DELIVERED])
    assert scene.those(ours, [Status.CANCELLED]) == set(AUDIENCE) - sent
    assert len(sent) < len(AUDIENCE) / 2
    assert "Resume" not in visitor.look(f"/admin/campaigns/campaign/{campaign.pk}/change/")
