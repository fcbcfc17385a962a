"""What one gateway certainly did not take is tried by another one, and nothing else is."""

from collections import Counter
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from campaigns import calling, decisions, delivery, senders
from campaigns.gateways.outcome import MaybeSent, NotSent
from campaigns.models import Attempt, Message, Sender
from tests.campaigns.conftest import fenced, is_due, new_york
from tests.conftest import AT
from tests.services import free_port

Status = Message.Status
SECOND = timedelta(seconds=1)


@pytest.fixture
def stand_in(sender):
    """A verified sender at another gateway, for the one that campaigns use."""
    return Sender.objects.create(
        address="+12125550177",
        gateway="telnyx",
        countries="US",
        verified_at=AT,
        stands_in_for=sender,
    )


@pytest.fixture
def refused(person, launched):
    """Refuses the first attempt of a message to one person, in the way that it is told."""
    person()
    launched()

    def refuse(answer, at=AT):
        [attempt] = fenced(at)
        delivery.settle(called=[calling.read(attempt, answer)], at=at)
        return attempt

    return refuse


def test_what_was_certainly_not_taken_is_tried_by_the_other_in_turns(sender, stand_in, refused):
    busy = NotSent("429")
    at = [AT, AT + 2 * SECOND, AT + 12 * SECOND]
    assert [refused(busy, when).sender for when in at] == [sender, stand_in, sender]


@pytest.mark.django_db(transaction=True)
def test_a_gateway_that_cannot_be_reached_is_replaced_on_the_wire(
    provider, settings, person, launched, stand_in
):
    person()
    launched()
    settings.TWILIO_BASE_URL = f"http://127.0.0.1:{free_port()}"
    delivery.turn(at=AT)
    assert provider.accepted() == []
    delivery.turn(at=AT + 2 * SECOND)
    [taken] = provider.accepted()
    assert taken["from"] == stand_in.address
    assert Message.objects.get().status == Status.ACCEPTED


def test_the_record_says_who_stood_in(stand_in, refused):
    refused(NotSent("ConnectError"))
    [attempt] = fenced(AT + 2 * SECOND)
    first, second = Attempt.objects.order_by("number")
    assert "stand_in" not in first.found
    assert second.found["stand_in"] == stand_in.address
    said = f"Handed over from {stand_in.address}, which stands in."
    assert said in decisions.at_the_fence(second.found)
    assert calling._outgoing(attempt).sender == stand_in.address


@pytest.mark.parametrize("answer", [MaybeSent("HTTP 500"), NotSent("21211", permanent=True), "SM1"])
def test_whatever_else_happened_is_tried_by_nobody(stand_in, refused, answer):
    refused(answer)
    assert not is_due(AT + timedelta(hours=5))


@pytest.mark.parametrize("change", [{"verified_at": None}, {"countries": "CA"}])
def test_who_may_not_be_used_there_stands_in_for_nobody(sender, stand_in, refused, change):
    Sender.objects.filter(pk=stand_in.pk).update(**change)
    refused(NotSent("429"))
    assert refused(NotSent("429"), AT + 2 * SECOND).sender == sender


def test_a_stand_in_takes_over_what_its_own_pace_has_room_for(people, launched, sender, stand_in):
    Sender.objects.filter(pk=stand_in.pk).update(segments_per_second=1)
    people(new_york(5))
    launched()
    delivery.settle(called=[calling.read(one, NotSent("429")) for one in fenced()], at=AT)
    later = fenced(AT + 2 * SECOND)
    assert Counter(one.sender for one in later) == {stand_in: 2, sender: 3}
    stand_in.refresh_from_db()
    assert stand_in.bucket_full_at == AT + 4 * SECOND


def test_a_stand_in_that_paces_by_itself_takes_over_all(people, launched, stand_in):
    Sender.objects.filter(pk=stand_in.pk).update(segments_per_second=None)
    people(new_york(5))
    launched()
    delivery.settle(called=[calling.read(one, NotSent("429")) for one in fenced()], at=AT)
    assert {one.sender for one in fenced(AT + 2 * SECOND)} == {stand_in}


@pytest.mark.django_db(transaction=True)
def test_without_an_account_nothing_is_sent_and_the_other_gateway_tries(
    provider, settings, person, launched, stand_in
):
    person()
    launched()
    settings.TWILIO_ACCOUNT_SID = settings.TWILIO_AUTH_TOKEN = ""
    delivery.turn(at=AT)
    assert provider.requests() == 0
    assert "no account" in Message.objects.get().reason
    delivery.turn(at=AT + 2 * SECOND)
    [taken] = provider.accepted()
    assert taken["from"] == stand_in.address


def test_a_sender_that_was_retired_is_replaced_by_nobody(sender, stand_in, refused):
    refused(NotSent("429"))
    senders.retire(sender=sender, by="command", at=AT)
    assert fenced(AT + 2 * SECOND) == []
    assert Message.objects.get().status == Status.BLOCKED


def test_a_stand_in_at_the_same_gateway_is_none(sender):
    with pytest.raises(ValidationError, match="at the same gateway"):
        senders.register(
            address="+12125550177",
            gateway=Sender.Gateway.TWILIO,
            countries="US",
            stands_in_for=sender,
            by="command",
            at=AT,
        )
