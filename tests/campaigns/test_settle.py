"""What a gateway said of a batch is written down; what nobody can tell is never sent again."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from audit.models import Entry
from campaigns import calling, delivery, receipts
from campaigns.calling import Called
from campaigns.gateways import twilio
from campaigns.gateways.outcome import MaybeSent, NotSent
from campaigns.models import Attempt, Message
from consent.models import Suppression
from tests.campaigns.conftest import call, fenced, is_due, kept, new_york, write
from tests.conftest import AT

Status = Message.Status
Outcome = Attempt.Outcome
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # by the database's clock


@pytest.fixture
def attempt(person, launched):
    """One attempt that was recorded and not yet settled."""
    person()
    launched()
    return fenced()[0]


def _settle(attempt, answer, at=AT):
    """Settles the attempt by what the gateway answered; the message as it stands then."""
    delivery.settle(called=[calling.read(attempt, answer)], at=at)
    return Message.objects.get(pk=attempt.message_id)


def _again(at):
    """The next attempt of the only message that waits."""
    return fenced(at)[0]


# --- accepted, refused, unknown ----------------------------------------------------------------


def test_what_was_accepted_keeps_the_providers_id(attempt):
    message = _settle(attempt, "SM1")
    assert (message.status, message.settled_at, message.claim) == (Status.ACCEPTED, AT, None)
    attempt = kept(attempt)
    assert (attempt.outcome, attempt.provider_id) == (Outcome.ACCEPTED, "SM1")


def test_what_was_refused_for_good_stays_refused(attempt):
    message = _settle(attempt, NotSent("21211", permanent=True))
    assert (message.status, message.settled_at) == (Status.REFUSED, AT)
    assert message.reason == "The provider did not take it (21211)."
    attempt = kept(attempt)
    assert (attempt.outcome, attempt.code) == (Outcome.REFUSED, "21211")
    assert not is_due(AT + timedelta(hours=5))


@pytest.mark.parametrize("answer", [MaybeSent("HTTP 500"), MaybeSent("TimeoutError"), KeyError()])
def test_what_nobody_can_tell_is_never_taken_again(attempt, answer):
    message = _settle(attempt, answer)
    assert (message.status, message.settled_at) == (Status.UNKNOWN, AT)
    attempt = kept(attempt)
    assert attempt.outcome == Outcome.UNKNOWN
    assert attempt.code in message.reason
    delivery.sweep(at=AT)
    assert not is_due(AT + timedelta(hours=5))


def test_an_entry_counts_what_became_of_a_batch(people, launched):
    people(new_york(4))
    launched()
    attempts = fenced()
    answers = ["SM1", "SM2", NotSent("21211", permanent=True), MaybeSent("HTTP 500")]
    called = [calling.read(*pair) for pair in zip(attempts, answers, strict=True)]
    delivery.settle(called=called, at=AT)
    told = Entry.objects.get(verb="messages.settled")
    assert told.subject == f"claim:{attempts[0].claim.hex}"
    assert told.facts == {"accepted": 2, "refused": 1, "unknown": 1}


def test_nothing_called_leaves_no_entry(db):
    delivery.settle(called=[], at=AT)
    assert not Entry.objects.exists()


# --- temporary ---------------------------------------------------------------------------------


def test_what_was_refused_for_now_waits_longer_each_time_until_its_own_end(attempt):
    at, waits = AT, []
    for _try in range(6):
        message = _settle(attempt, NotSent("14107"), at)
        assert (message.status, message.settled_at, message.claim) == (Status.WAITING, None, None)
        waits.append((message.due_at - at).total_seconds())
        at = message.due_at
        attempt = _again(at)
    assert waits == [2, 10, 60, 600, 600, 600]
    end = attempt.message.not_after
    assert _settle(attempt, NotSent("14107"), end - timedelta(minutes=5)).status == Status.REFUSED


@pytest.mark.parametrize(("asked", "waits"), [(30, 30), (1, 2)])
def test_a_provider_that_asks_for_patience_gets_at_least_ours(attempt, asked, waits):
    message = _settle(attempt, NotSent("429", retry_after=timedelta(seconds=asked)))
    assert message.due_at == AT + timedelta(seconds=waits)


def test_what_was_refused_for_now_does_not_count_as_sent(attempt):
    message = _settle(attempt, NotSent("429"))
    assert not Message.objects.counted().exists()
    assert _again(message.due_at).found["of_purpose"] == 1


@pytest.mark.parametrize(("early", "status"), [(0, Status.REFUSED), (1, Status.WAITING)])
def test_nothing_waits_past_its_own_end(attempt, early, status):
    at = attempt.message.not_after - timedelta(seconds=2, microseconds=early)
    assert _settle(attempt, NotSent("429"), at).status == status


# --- the provider knows of an opt-out ----------------------------------------------------------


def test_a_provider_that_knows_of_an_opt_out_is_believed(attempt):
    message = _settle(attempt, NotSent("21610", permanent=True, opted_out=True))
    assert message.status == Status.REFUSED
    refusal = Suppression.objects.get()
    assert (refusal.channel, refusal.purpose) == (Suppression.Channel.PROVIDER, None)
    assert refusal.number_index == message.subscriber.number_index
    assert message.subscriber.consents.get().withdrawn_at == AT
    assert Entry.objects.get(verb="consent.withdrawn").actor == "gateway"


@pytest.mark.parametrize("answer", ["SM1", NotSent("21211", permanent=True), MaybeSent("x")])
def test_nothing_else_is_an_opt_out(attempt, answer):
    assert _settle(attempt, answer).subscriber.consents.open().exists()
    assert not Suppression.objects.exists()


# --- dead workers ------------------------------------------------------------------------------


def _die():
    """The worker is gone, and its lease is over."""
    Message.objects.filter(status=Status.CALLING).update(lease_until=LONG_AGO)


def test_what_a_dead_worker_may_have_sent_is_unknown(attempt):
    _die()
    assert delivery.sweep(at=AT) == 1
    message = Message.objects.get()
    assert (message.status, message.lease_until) == (Status.UNKNOWN, None)
    assert (message.settled_at, message.reason) == (AT, "The worker died while handing it over.")
    attempt = kept(attempt)
    assert (attempt.outcome, attempt.code) == (Outcome.UNKNOWN, "worker died")
    assert not is_due(AT + timedelta(hours=5))


def test_a_worker_within_its_lease_is_left_alone(attempt):
    assert delivery.sweep(at=AT + timedelta(days=365)) == 0
    assert Message.objects.get().status == Status.CALLING
    assert not Entry.objects.filter(verb="messages.swept").exists()


def test_a_sweep_tells_what_it_found_and_finds_it_once(attempt):
    _die()
    for _beat in range(2):
        delivery.sweep(at=AT)
    told = Entry.objects.get(verb="messages.swept")
    assert told.facts == {"unknown": [attempt.message_id]}


@pytest.mark.parametrize(
    ("answer", "status", "outcome"),
    [
        ("SM1", Status.ACCEPTED, Outcome.ACCEPTED),
        (NotSent("21211", permanent=True), Status.REFUSED, Outcome.REFUSED),
        (NotSent("429"), Status.WAITING, Outcome.REFUSED),
        (MaybeSent("HTTP 500"), Status.UNKNOWN, Outcome.UNKNOWN),
    ],
)
def test_a_worker_given_up_too_early_still_knows_better(attempt, answer, status, outcome):
    _die()
    delivery.sweep(at=AT)
    assert _settle(attempt, answer).status == status
    attempt = kept(attempt)
    assert attempt.outcome == outcome


def test_a_claim_that_lost_its_message_cannot_settle_it(attempt):
    """Swept before the fence, claimed by another: the first worker has no say any more."""
    _settle(attempt, NotSent("429"))
    later = AT + timedelta(seconds=2)
    second = _again(later)
    assert _settle(attempt, NotSent("21211", permanent=True), later).status == Status.CALLING
    assert _settle(second, "SM2", later).status == Status.ACCEPTED


def _receive(attempt, status="delivered", provider_id="SM1"):
    receipts.keep(attempt=attempt.pk.hex, provider_id=provider_id, status=status, code="", at=AT)
    receipts.reconcile(at=AT)


def test_a_late_settlement_takes_nothing_back_that_a_receipt_proved(attempt):
    _die()
    delivery.sweep(at=AT)
    _receive(attempt)
    assert _settle(attempt, MaybeSent("TimeoutError")).status == Status.DELIVERED
    attempt = kept(attempt)
    assert (attempt.outcome, attempt.provider_id) == (Outcome.ACCEPTED, "SM1")


# --- the call ----------------------------------------------------------------------------------


@pytest.fixture
def gateway(monkeypatch):
    """Stands for Twilio: keeps what it was given and accepts it."""
    given = []

    async def send(client, outgoing):
        given.append(outgoing)
        return f"SM{len(given)}"

    monkeypatch.setattr(twilio, "send", send)
    return given


def test_a_message_is_written_for_its_person_and_valid_until_its_window_ends(
    person, launched, gateway
):
    person(first_name="Ada")
    launched(deadline=AT + timedelta(days=2))
    [attempt] = fenced()
    [called] = call([attempt])
    [outgoing] = gateway
    assert (called.outcome, called.provider_id) == (Outcome.ACCEPTED, "SM1")
    assert outgoing.body == "Harbor Coffee: Ada, the kettle is on. Reply STOP to cancel."
    assert (outgoing.to, outgoing.sender) == ("+12125550123", "+12125550100")
    assert outgoing.attempt == attempt.pk.hex
    assert outgoing.valid_for == timedelta(hours=7, minutes=45)  # to a quarter to nine


def test_a_message_is_not_valid_longer_than_its_campaign(person, launched, gateway):
    person()
    launched(deadline=AT + timedelta(hours=1))
    call(fenced())
    assert gateway[0].valid_for == timedelta(hours=1)


def test_an_answer_goes_to_who_wrote(sender, gateway):
    write("HELP")
    call(fenced())
    [outgoing] = gateway
    assert (outgoing.to, outgoing.sender) == ("+12125550123", "+12125550100")
    assert outgoing.valid_for == timedelta(minutes=5)


def test_a_worker_that_stood_still_past_half_its_lease_sends_nothing(attempt, gateway, settings):
    settings.LEASE = timedelta(seconds=-1)
    [called] = call([attempt])
    assert gateway == []
    assert (called.outcome, called.refusal.permanent) == (Outcome.REFUSED, False)


def test_who_cannot_be_decrypted_is_refused_and_nobody_else_suffers(people, launched, gateway):
    spoilt, other = people(new_york(2))
    launched()
    _move_token(spoilt, other)
    attempts = fenced()
    delivery.settle(called=call(attempts), at=AT)
    by_person = dict(Message.objects.values_list("subscriber", "status"))
    assert by_person == {spoilt.pk: Status.REFUSED, other.pk: Status.ACCEPTED}
    assert [outgoing.to for outgoing in gateway] == [other.number]


def _move_token(to, source):
    """Plant one person's encrypted number in another's row, where it cannot be decrypted."""
    keys = [to._meta.pk.get_db_prep_value(person.pk, connection) for person in (source, to)]
    moved = "(SELECT number FROM consent_subscriber WHERE id = %s)"
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE consent_subscriber SET number = {moved} WHERE id = %s", keys)


def test_a_turn_carries_a_batch_through_and_says_how_many(people, launched, gateway):
    people(new_york(3))
    launched()
    assert [delivery.turn(at=AT), delivery.turn(at=AT)] == [3, 0]
    assert Message.objects.filter(status=Status.ACCEPTED).count() == 3


def test_a_gateway_that_breaks_in_an_unforeseen_way_leaves_the_outcome_unknown(
    attempt, monkeypatch
):
    async def send(client, outgoing):
        raise ZeroDivisionError

    monkeypatch.setattr(twilio, "send", send)
    assert call([attempt]) == [Called(attempt, Outcome.UNKNOWN, code="ZeroDivisionError")]
