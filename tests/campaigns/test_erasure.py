"""Erasing a person takes what identifies them, and leaves the refusal and the proofs."""

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps

from audit import checkpoints, roles
from audit.models import Detail, Entry, Operator
from campaigns import conversation, delivery, erasure
from campaigns.gateways.told import Inbound
from campaigns.models import Message, Reply
from config.encryption.fields import EncryptedText
from consent import ledger, list_work, lists, opt_outs
from consent.models import (
    Consent,
    ListImport,
    Notice,
    OptOutRequest,
    Purpose,
    Subscriber,
    Suppression,
)
from consent.numbers import parse
from tests.settling import seal

NUMBER, NAME = "+12125550123", "Ada Lovelace"


@pytest.fixture
def officer(operators: Callable[..., Operator]) -> Operator:
    return operators(roles.PRIVACY_OFFICER)


@pytest.fixture
def ada(person: Callable[..., Subscriber], sender: Any, officer: Operator, at: datetime) -> Any:
    """Somebody with a name, evidence, a reply, an opt-out told to staff and a note in the trail."""
    ada = person(NUMBER, first_name=NAME, evidence=f'{{"ip_address": "192.0.2.7", "by": "{NAME}"}}')
    inbound = Inbound(provider_id="SM1", number=NUMBER, sender=sender.address, text=f"I am {NAME}")
    conversation.receive(inbound, at=at)
    opt_outs.record(
        channel=OptOutRequest.Channel.LETTER,
        received_at=at,
        note=f"{NAME} wrote a letter",
        number=parse(NUMBER),
        by=officer,
        at=at,
    )
    return ada


def sealed_texts() -> list[str]:
    """Everything that any encrypted column of ours holds, decrypted."""
    found = []
    for model in apps.get_models():
        columns = [f.name for f in model._meta.fields if isinstance(f, EncryptedText)]
        for row in model._default_manager.all() if columns else []:
            found += [str(getattr(row, column) or "") for column in columns]
    return found


def test_nothing_that_is_kept_names_them(ada: Any, officer: Operator, at: datetime) -> None:
    before = " ".join(sealed_texts())
    assert NUMBER in before
    assert NAME in before
    erasure.erase(person=ada, by=officer, at=at)
    after = " ".join(sealed_texts())
    assert NUMBER not in after
    assert NAME not in after
    assert "192.0.2.7" not in after
    assert not Subscriber.objects.with_number(NUMBER).exists()


def test_the_refusal_stays_as_a_keyed_hash(ada: Any, officer: Operator, at: datetime) -> None:
    index = ada.number_index
    erasure.erase(person=ada, by=officer, at=at)
    assert Suppression.objects.against(index).exists()
    assert not Consent.objects.permitting(at).exists()


def test_who_never_refused_is_refused_from_their_erasure_on(
    person: Callable[..., Subscriber], officer: Operator, at: datetime
) -> None:
    grace = person("+12125550124")
    index = grace.number_index
    erasure.erase(person=grace, by=officer, at=at)
    assert Suppression.objects.against(index).get().reason == "erased at the person's wish"


@pytest.mark.usefixtures("notice")
def test_the_same_list_brought_again_meets_a_refusal(
    purpose: Purpose, officer: Operator, at: datetime
) -> None:
    raw = f"phone,first_name,opted_in_at,double_opt_in\n{NUMBER},Ada,2026-10-01,yes\n".encode()
    take_in(raw, purpose, at)
    erasure.erase(person=Subscriber.objects.get(), by=officer, at=at)
    brought = take_in(raw, purpose, at + timedelta(days=1))
    assert brought.counts() == {"suppressed": 1}
    assert not Subscriber.objects.with_number(NUMBER).exists()
    assert not Consent.objects.permitting(at + timedelta(days=1)).exists()


def take_in(raw: bytes, purpose: Purpose, at: datetime) -> ListImport:
    brought = lists.bring(
        file=io.BytesIO(raw),
        kind=ListImport.Kind.OPT_INS,
        purpose=purpose,
        label="shop",
        by="command",
        at=at,
    )
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=at)
    list(list_work.run(brought=brought, by="command", at=at))
    lists.begin(brought=brought, by="command", at=at)
    list(list_work.run(brought=brought, by="command", at=at))
    return brought


@pytest.mark.django_db(transaction=True)
def test_old_proofs_still_verify(ada: Any, officer: Operator, at: datetime) -> None:
    seal(at=at)
    erasure.erase(person=ada, by=officer, at=at)
    seal(at=at + timedelta(minutes=1))
    report = checkpoints.verified()
    assert report.ok, report.findings
    assert Entry.objects.filter(verb="person.erased").count() == 1


def test_what_staff_wrote_of_others_stays(
    ada: Any, person: Callable[..., Subscriber], officer: Operator, at: datetime
) -> None:
    bob = person("+12125550124", first_name="Bob")
    ledger.withdraw(
        number_index=bob.number_index,
        channel=Suppression.Channel.STAFF,
        reason="told to staff",
        note="Bob called",
        by=officer,
        at=at,
    )
    erasure.erase(person=ada, by=officer, at=at)
    assert Subscriber.objects.get(pk=bob.pk).first_name == "Bob"
    assert "Bob called" in {detail.text for detail in Detail.objects.all()}


def test_their_replies_stay_as_events_of_a_pseudonym(
    ada: Any, officer: Operator, at: datetime
) -> None:
    erasure.erase(person=ada, by=officer, at=at)
    reply = Reply.objects.get()
    assert (reply.number, reply.text) == ("", "")
    assert reply.number_index == Subscriber.objects.get().number_index


def test_a_new_opt_in_of_the_telephone_itself_begins_a_new_life(
    ada: Any, sender: Any, purpose: Purpose, notice: Notice, officer: Operator, at: datetime
) -> None:
    erasure.erase(person=ada, by=officer, at=at)
    inbound = Inbound(provider_id="SM2", number=NUMBER, sender=sender.address, text="START")
    conversation.receive(inbound, at=at + timedelta(days=1))
    assert not Consent.objects.permitting(at + timedelta(days=1)).exists()
    assert Subscriber.objects.count() == 1


def test_an_answer_that_waits_is_put_down_with_the_person(
    person: Callable[..., Subscriber], sender: Any, officer: Operator, at: datetime
) -> None:
    somebody = person(NUMBER)
    reply = conversation.receive(Inbound("SM1", NUMBER, sender.address, "HELP"), at=at)
    assert reply is not None
    erasure.erase(person=somebody, by=officer, at=at)
    answer = Message.objects.get(reply=reply)
    assert (answer.status, answer.reason) == (Message.Status.BLOCKED, erasure.ERASED)
    assert delivery.claim(at=at) == (0, [])
