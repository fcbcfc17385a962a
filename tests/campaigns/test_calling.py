"""While one batch is being called the next is taken up, and a pause is heeded between messages."""

import asyncio
import time

import pytest
from django.db import OperationalError

from audit import roles
from campaigns import delivery, dispatch
from campaigns.calling import Calling
from campaigns.gateways import twilio, wire
from campaigns.models import Attempt, Campaign, Message
from tests.campaigns.conftest import fenced, new_york
from tests.conftest import AT

Status = Message.Status


@pytest.fixture
def gateway(monkeypatch):
    """Stands for Twilio: `gateway.takes` is how long, in seconds, it takes to accept a message."""

    class Gateway:
        begun = 0
        takes = 0.0

        async def send(self, client, outgoing):
            self.begun += 1
            await asyncio.sleep(self.takes)
            return f"SM{self.begun}"

    gateway = Gateway()
    monkeypatch.setattr(twilio, "send", gateway.send)
    return gateway


def _statuses():
    return sorted(Message.objects.values_list("status", flat=True))


def _turns(until=None):
    delivery.turns(now=lambda: AT, until=until or time.monotonic() + 60)


# --- halting -----------------------------------------------------------------------------------


@pytest.fixture
def one_at_a_time(settings, gateway, people, launched):
    """Five messages of a batch, of which the first is being handed over."""
    settings.GATEWAY_CONCURRENCY, gateway.takes = 1, 0.6
    people(new_york(5))
    launched()
    return Calling(fenced(), since=time.monotonic())


@pytest.mark.parametrize(
    ("verb", "left"), [(dispatch.pause, "waiting"), (dispatch.cancel, "cancelled")]
)
def test_a_halt_is_heeded_between_two_messages_of_a_batch(
    one_at_a_time, operators, gateway, verb, left
):
    verb(campaign=Campaign.objects.get(), by=operators(roles.CAMPAIGN_APPROVER), at=AT)
    delivery.settle(called=one_at_a_time.called(), at=AT)
    assert gateway.begun < 3
    _turns()  # what was withheld from a cancelled campaign is put down by the fence
    assert _statuses() == sorted(["accepted"] * gateway.begun + [left] * (5 - gateway.begun))


def test_what_was_withheld_goes_once_its_campaign_is_resumed(one_at_a_time, operators, gateway):
    campaign, by = Campaign.objects.get(), operators(roles.CAMPAIGN_APPROVER)
    dispatch.pause(campaign=campaign, by=by, at=AT)
    delivery.settle(called=one_at_a_time.called(), at=AT)
    withheld = Message.objects.filter(status=Status.WAITING)
    assert {(one.reason, one.due_at) for one in withheld} == {
        ("It was withheld: the campaign was halted.", AT)
    }
    gateway.takes = 0.0
    dispatch.resume(campaign=campaign, by=by, at=AT)
    _turns()
    assert _statuses() == ["accepted"] * 5
    assert gateway.begun == 5


# --- one batch after the other -----------------------------------------------------------------


def test_the_next_batch_is_begun_while_one_is_being_called(
    people, launched, settings, gateway, monkeypatch
):
    settings.CLAIM_SIZE = 2
    people(new_york(5))
    launched()
    third_begun = asyncio.Event()

    async def send(client, outgoing):
        gateway.begun += 1
        if gateway.begun == 3:
            third_begun.set()
        await asyncio.wait_for(third_begun.wait(), 20)
        return f"SM{gateway.begun}"

    monkeypatch.setattr(twilio, "send", send)
    _turns()
    assert _statuses() == ["accepted"] * 5


def test_no_more_than_two_batches_are_under_way(people, launched, settings, gateway, monkeypatch):
    settings.CLAIM_SIZE, gateway.takes = 2, 0.05
    people(new_york(9))
    launched()
    under_way, pending = [], Attempt.objects.filter(outcome=Attempt.Outcome.PENDING)
    take_up = delivery.take_up

    def watched(*, at):
        batch = take_up(at=at)
        under_way.append(pending.count())
        return batch

    monkeypatch.setattr(delivery, "take_up", watched)
    _turns()
    assert max(under_way) == 4


def test_what_is_under_way_is_settled_though_the_next_claim_fails(
    people, launched, settings, gateway, monkeypatch
):
    settings.CLAIM_SIZE = 2
    people(new_york(3))
    launched()
    claim, claims = delivery.claim, []

    def fails_once(*, at):
        claims.append(at)
        if len(claims) == 2:
            raise OperationalError("the database is gone")
        return claim(at=at)

    monkeypatch.setattr(delivery, "claim", fails_once)
    with pytest.raises(OperationalError):
        _turns()
    assert _statuses() == ["accepted", "accepted", "waiting"]


def test_others_have_their_turn_after_a_while(people, launched, settings, gateway):
    settings.CLAIM_SIZE = 1
    people(new_york(3))
    launched()
    _turns(until=time.monotonic() - 1)
    assert _statuses() == ["waiting"] * 3


def test_a_client_that_is_closed_abandons_what_is_under_way():
    async def never(client, item):
        await asyncio.sleep(60)

    answers = wire.wire().start(never, [1, 2])
    wire.close()
    assert answers.cancelled() or answers.exception() is not None
