"""The main job from the list to the receipt, counted at the provider."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connections

from audit.models import Entry
from campaigns import delivery, dispatch, receipts
from campaigns.gateways.directory import GATEWAYS
from campaigns.models import Attempt, Campaign, Message, Receipt
from campaigns.sandbox.provider import Account
from consent.models import Suppression
from tests.campaigns.conftest import AUSTRALIA, GUAM, beside, fenced, new_york, withdraw, write
from tests.conftest import AT
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Status = Message.Status
SENDER = "+12125550100"


@pytest.fixture(params=sorted(GATEWAYS))
def sender(request, sender):
    """The usual sender, at each gateway in turn."""
    sender.gateway = request.param
    sender.save(update_fields=["gateway"])
    return sender


@pytest.fixture
def provider(live_server, settings, tmp_path, clock):
    """The provider, which calls our own webhooks as they are served."""
    settings.PUBLIC_URL = live_server.url
    settings.CLAIM_SIZE = 4
    account = Account(
        sid=settings.TWILIO_ACCOUNT_SID,
        auth_token=settings.TWILIO_AUTH_TOKEN,
        inbound_url=f"{live_server.url}/webhooks/twilio/inbound",
        telnyx_api_key=settings.TELNYX_API_KEY,
        telnyx_inbound_url=f"{live_server.url}/webhooks/telnyx/inbound",
        receipt_delay=0.01,
    )
    with beside(account, tmp_path / "provider.jsonl") as running:
        settings.TWILIO_BASE_URL = settings.TELNYX_BASE_URL = running.url
        yield running
        connections.close_all()


@pytest.fixture
def crowd(person):
    """Ten who want it and can be reached, and one of each kind who must get nothing."""
    numbers = new_york(13)
    wanting = [person(number) for number in numbers[:10]]
    person(numbers[10], confirmed=False)
    withdraw(person(numbers[11]))
    suppressed = person(numbers[12])
    Suppression.objects.create(
        number_index=suppressed.number_index, channel="provider", reason="test", at=AT
    )
    person(AUSTRALIA)  # asleep until after the deadline
    person(GUAM)  # asleep for four hours
    return wanting


def _turn_until_done(at=AT):
    while delivery.turn(at=at):
        pass


def _got(provider):
    """How many messages each number got, by the provider's own count."""
    return Counter(message["to"] for message in provider.accepted())


def _take_in_receipts(count):
    wait_until(lambda: Receipt.objects.count() == count, seconds=20, what="all receipts")
    while receipts.reconcile(at=AT):
        pass


def _reply(provider, number, text):
    answer = provider.ask("/sandbox/replies", {"from": number, "to": SENDER, "body": text})
    assert answer["status"] == 200, answer


# --- the main job ------------------------------------------------------------------------------


def test_those_who_want_it_get_it_once_and_nobody_else_gets_anything(provider, crowd, launched):
    launched()
    _turn_until_done()
    assert _got(provider) == {person.number: 1 for person in crowd}
    assert provider.truth()["sent_twice"] == 0
    later = AT + timedelta(hours=4)
    _turn_until_done(later)
    assert _got(provider) == {person.number: 1 for person in crowd} | {GUAM: 1}


def test_receipts_come_in_by_the_webhook_and_end_the_campaign(provider, people, launched):
    people(new_york(6))
    campaign = launched()
    _turn_until_done()
    _take_in_receipts(12)  # sent and delivered, of each
    assert campaign.counts() == {Status.DELIVERED: 6}
    dispatch.keep_time(at=AT)
    campaign.refresh_from_db()
    assert campaign.status == Campaign.Status.FINISHED
    sent = provider.truth
    wait_until(lambda: sent()["receipts_sent"] == 12, seconds=20, what="the provider's own count")


def test_who_stops_half_way_gets_the_confirmation_and_nothing_more(
    provider, people, launched, settings
):
    settings.CLAIM_SIZE = 1
    people(new_york(3))
    launched()
    delivery.turn(at=AT)
    [got] = _got(provider)
    others = sorted(set(new_york(3)) - {got})
    _reply(provider, others[0], "STOP")
    _turn_until_done()
    bodies = [message["body"] for message in provider.accepted() if message["to"] == others[0]]
    assert len(bodies) == 1
    assert "you are unsubscribed" in bodies[0]
    assert _got(provider) == dict.fromkeys(new_york(3), 1)


def test_who_stopped_is_not_in_the_next_campaign_and_is_again_after_start(
    provider, people, launched
):
    stopped, staying = (person.number for person in people(new_york(2)))
    _reply(provider, stopped, "stop")
    launched()
    _turn_until_done()
    assert _got(provider) == {stopped: 1, staying: 1}  # the confirmation, the campaign
    _reply(provider, stopped, "START")
    launched(name="Second")
    _turn_until_done()
    assert _got(provider) == {stopped: 3, staying: 2}  # the answer and the campaign; the campaign


# --- when things go wrong ----------------------------------------------------------------------


def _fail(provider, **rates):
    provider.ask("/sandbox/faults", rates)


@pytest.mark.parametrize("fault", ["error_after_accept", "reset_after_accept", "broken_json"])
def test_what_was_accepted_and_answered_badly_is_not_sent_again(provider, people, launched, fault):
    people(new_york(6))
    campaign = launched()
    _fail(provider, **{fault: 1.0})
    _turn_until_done()
    assert campaign.counts() == {Status.UNKNOWN: 6}
    _fail(provider)
    _turn_until_done(AT + timedelta(hours=1))
    assert set(_got(provider).values()) == {1}
    _take_in_receipts(12)
    assert campaign.counts() == {Status.DELIVERED: 6}
    assert not Attempt.objects.exclude(outcome=Attempt.Outcome.ACCEPTED).exists()


@pytest.mark.parametrize("fault", ["error", "reset"])
def test_what_was_not_accepted_and_answered_badly_stays_unknown(provider, people, launched, fault):
    people(new_york(4))
    campaign = launched()
    _fail(provider, **{fault: 1.0})
    _turn_until_done()
    _fail(provider)
    _turn_until_done(AT + timedelta(hours=1))
    assert campaign.counts() == {Status.UNKNOWN: 4}
    assert (provider.truth()["accepted"], provider.requests()) == (0, 4)


def test_a_busy_provider_gets_every_message_later_and_once(provider, people, launched):
    people(new_york(6))
    campaign = launched()
    _fail(provider, too_many=1.0)
    _turn_until_done()
    assert campaign.counts() == {Status.WAITING: 6}
    _fail(provider)
    _turn_until_done(AT + timedelta(seconds=2))
    assert _got(provider) == dict.fromkeys(new_york(6), 1)


@pytest.mark.parametrize("fault", ["duplicate_receipt", "early_receipt"])
def test_receipts_that_come_twice_or_early_are_told_once(provider, people, launched, fault):
    people(new_york(4))
    campaign = launched()
    _fail(provider, **{fault: 1.0})
    _turn_until_done()
    _take_in_receipts(8)
    assert campaign.counts() == {Status.DELIVERED: 4}


def test_a_worker_that_died_after_the_fence_leaves_nothing_that_is_sent_again(
    provider, people, launched
):
    people(new_york(4))
    campaign = launched()
    lost = fenced()
    Message.objects.filter(status=Status.CALLING).update(lease_until=AT - timedelta(days=9999))
    delivery.sweep(at=AT)
    _turn_until_done()
    assert campaign.counts() == {Status.UNKNOWN: len(lost)}
    assert _got(provider) == {}


# --- both accounts agree -----------------------------------------------------------------------


def test_our_account_and_the_providers_agree_message_by_message(provider, crowd, launched, sender):
    launched()
    write("HELP", number=crowd[0].number)
    _turn_until_done()
    assert {message["api"] for message in provider.accepted()} == {sender.gateway}
    ours = set(Attempt.objects.filter(outcome="accepted").values_list("provider_id", flat=True))
    assert ours == {message["sid"] for message in provider.accepted()}
    settled = Entry.objects.filter(verb="messages.settled").values_list("facts", flat=True)
    assert sum(facts["accepted"] for facts in settled) == len(ours) == 11
