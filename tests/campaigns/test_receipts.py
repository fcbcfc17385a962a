"""Receipts may come early, late, twice, out of order, or of nothing we know."""

import uuid
from datetime import timedelta

import pytest

from campaigns import calling, delivery, receipts
from campaigns.gateways.outcome import MaybeSent, NotSent
from campaigns.models import Attempt, Message, Receipt
from tests.campaigns.conftest import fenced, kept, new_york, queries
from tests.conftest import AT

Status = Message.Status


@pytest.fixture
def attempt(person, launched):
    person()
    launched()
    return fenced()[0]


def _settle(attempt, answer="SM1"):
    delivery.settle(called=[calling.read(attempt, answer)], at=AT)


def _keep(attempt, status, provider_id="SM1", code=""):
    receipts.keep(attempt=attempt, provider_id=provider_id, status=status, code=code, at=AT)


def _told(attempt, *statuses):
    """Where the message stands after these receipts, each read before the next comes."""
    for status in statuses:
        _keep(attempt.pk.hex, status)
        receipts.reconcile(at=AT)
    return Message.objects.get(pk=attempt.message_id).status


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["queued"], Status.ACCEPTED),
        (["sending"], Status.ACCEPTED),
        (["sent"], Status.ACCEPTED),
        (["delivered"], Status.DELIVERED),
        (["undelivered"], Status.UNDELIVERED),
        (["failed"], Status.UNDELIVERED),
        (["sent", "delivered"], Status.DELIVERED),
        (["delivered", "sent"], Status.DELIVERED),
        (["undelivered", "sent"], Status.UNDELIVERED),
        (["undelivered", "delivered"], Status.DELIVERED),
        (["delivered", "undelivered"], Status.DELIVERED),
        (["delivered", "failed", "queued"], Status.DELIVERED),
        (["of a kind we do not know"], Status.ACCEPTED),
    ],
)
def test_a_receipt_never_takes_back_what_a_better_one_told(attempt, statuses, status):
    _settle(attempt)
    assert _told(attempt, *statuses) == status


@pytest.mark.parametrize("order", [["sent", "delivered"], ["delivered", "sent"]])
def test_receipts_that_are_read_together_end_where_the_best_of_them_leads(attempt, order):
    _settle(attempt)
    for status in order:
        _keep(attempt.pk.hex, status)
    assert receipts.reconcile(at=AT) == 2
    assert Message.objects.get().status == Status.DELIVERED


def test_a_receipt_that_comes_before_the_answer_waits_for_it(attempt):
    _keep(attempt.pk.hex, "delivered")
    assert receipts.reconcile(at=AT) == 0
    assert Message.objects.get().status == Status.CALLING
    assert Receipt.objects.unread().count() == 1
    _settle(attempt)
    assert receipts.reconcile(at=AT) == 1
    assert Message.objects.get().status == Status.DELIVERED


def test_a_receipt_that_waits_keeps_no_other_from_being_read(people, launched, settings):
    settings.CLAIM_SIZE = 1
    people(new_york(2))
    launched()
    [early], [settled] = fenced(), fenced()
    _keep(early.pk.hex, "delivered", "SM1")
    _settle(settled, "SM2")
    _keep(settled.pk.hex, "delivered", "SM2")
    assert receipts.reconcile(at=AT) == 1
    assert Message.objects.get(pk=settled.message_id).status == Status.DELIVERED


def test_a_full_batch_of_receipts_that_wait_does_not_stop_those_behind(
    people, launched, settings, monkeypatch
):
    monkeypatch.setattr(receipts, "BATCH", 1)
    settings.CLAIM_SIZE = 1
    people(new_york(2))
    launched()
    [early], [settled] = fenced(), fenced()
    _keep(early.pk.hex, "delivered", "SM1")
    _settle(settled, "SM2")
    _keep(settled.pk.hex, "delivered", "SM2")
    for _beat in range(2):
        receipts.reconcile(at=AT)
    assert Message.objects.get(pk=settled.message_id).status == Status.DELIVERED


def test_the_inbox_is_read_to_its_end_over_all_gaps(people, launched, monkeypatch):
    monkeypatch.setattr(receipts, "BATCH", 2)
    people(new_york(7))
    launched()
    attempts = fenced()
    for attempt in attempts:
        _settle(attempt, attempt.pk.hex)
        _keep(attempt.pk.hex, "delivered", attempt.pk.hex)
    for gap in (attempts[1], attempts[2], attempts[3], attempts[5]):
        Receipt.objects.filter(attempt=gap.pk).update(read_at=AT)
    assert receipts.reconcile(at=AT) == 3
    assert not Receipt.objects.unread().exists()
    assert Message.objects.filter(status=Status.DELIVERED).count() == 3


def test_a_receipt_told_twice_is_kept_once(attempt):
    _settle(attempt)
    for _time in range(2):
        _keep(attempt.pk.hex, "delivered")
    assert Receipt.objects.count() == 1
    assert [receipts.reconcile(at=AT), receipts.reconcile(at=AT)] == [1, 0]
    _keep(attempt.pk.hex, "delivered")
    assert receipts.reconcile(at=AT) == 0


def test_a_receipt_of_an_attempt_that_is_not_ours_is_read_and_moves_nothing(attempt):
    _settle(attempt)
    _keep(uuid.uuid4().hex, "undelivered", "SM9")
    assert receipts.reconcile(at=AT) == 1
    assert Message.objects.get().status == Status.ACCEPTED
    assert Receipt.objects.get().read_at == AT


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("sent", Status.ACCEPTED),
        ("delivered", Status.DELIVERED),
        ("undelivered", Status.UNDELIVERED),
    ],
)
def test_a_receipt_ends_an_unknown_outcome(attempt, told, status):
    _settle(attempt, MaybeSent("HTTP 500"))
    assert _told(attempt, told) == status
    attempt = kept(attempt)
    assert (attempt.outcome, attempt.provider_id) == (Attempt.Outcome.ACCEPTED, "SM1")
    assert Message.objects.get().reason == ""


def test_a_receipt_of_a_kind_we_do_not_know_ends_no_unknown_outcome_of_a_message(attempt):
    _settle(attempt, MaybeSent("HTTP 500"))
    assert _told(attempt, "accepted by the moon") == Status.UNKNOWN


@pytest.mark.parametrize("refusal", [NotSent("429"), NotSent("21211", permanent=True)])
def test_a_receipt_does_not_revive_what_was_certainly_not_sent(attempt, refusal):
    _settle(attempt, refusal)
    before = Message.objects.get().status
    assert _told(attempt, "delivered") == before


@pytest.mark.parametrize("attempt_id", ["", "x", "12345", "g" * 32, "0" * 33])
def test_a_malformed_attempt_is_refused_and_not_kept(db, attempt_id):
    with pytest.raises(ValueError):
        _keep(attempt_id, "sent")
    assert not Receipt.objects.exists()


def test_overlong_words_of_a_provider_are_cut_to_fit(attempt):
    _keep(attempt.pk.hex, "s" * 99, "p" * 99, "c" * 99)
    kept = Receipt.objects.get()
    assert (len(kept.status), len(kept.provider_id), len(kept.code)) == (20, 64, 20)


def test_the_number_of_queries_does_not_grow_with_receipts(people, launched):
    counts = []
    for phones in (new_york(5), new_york(40)[5:]):
        people(phones)
        campaign = launched()
        Message.objects.exclude(campaign=campaign).update(due_at=AT + timedelta(days=9))
        attempts = fenced()
        for attempt in attempts:
            _settle(attempt, f"SM{attempt.pk.hex}")
            _keep(attempt.pk.hex, "delivered", f"SM{attempt.pk.hex}")
        counts.append(queries(lambda: receipts.reconcile(at=AT)))
    assert counts[0] == counts[1]
