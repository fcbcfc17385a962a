"""Takes in what people write, does what they ask, and answers once."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from audit import trail
from campaigns.gateways.twilio import Inbound
from campaigns.models import Message, Reply, Sender
from config.encryption import blind_index
from consent import ledger, numbers, replies
from consent.models import Suppression
from consent.numbers import NumberRefused
from consent.replies import Intent

# 47 CFR 64.1200(a)(12): one confirmation, within five minutes, with no marketing in it.
ANSWER_WITHIN = timedelta(minutes=5)
STOPPED = "{business}: you are unsubscribed and will get no more messages. Reply START to resume."
HELP = "{business}: help at {help}. Msg & data rates may apply. Reply STOP to cancel."
RESTORED = "{business}: you are subscribed again. Reply HELP for help, STOP to cancel."


@transaction.atomic
def receive(inbound: Inbound, *, at: datetime) -> Reply | None:
    """Keep a message from a person and act on it, in one transaction; None if it came before.

    An opt-out takes effect here, whoever wrote it, whether or not we ever wrote to them, and even
    if the sender it was written to is not registered here.
    """
    reading = replies.read(inbound.text)
    index = blind_index.of(_e164(inbound.number))
    reply, is_new = Reply.objects.get_or_create(
        provider_id=inbound.provider_id,
        defaults={
            "sender": Sender.objects.filter(address=inbound.sender).first(),
            "number": inbound.number,
            "number_index": index,
            "text": inbound.text[:1600],
            "intent": reading.intent,
            "received_at": at,
        },
    )
    if not is_new:
        return None
    trail.record(
        verb="reply.received",
        subject=f"reply:{reply.pk}",
        by="person",
        at=at,
        facts={"intent": reading.intent},
    )
    _act(reply, reading.intent, at)
    return reply


def _e164(number: str) -> str:
    """The number as the rest of the product knows it; a provider's own spelling otherwise."""
    try:
        return numbers.parse(number).e164
    except NumberRefused:
        return number


def _act(reply: Reply, intent: Intent, at: datetime) -> None:
    if intent == Intent.STOP:
        _stop(reply, at)
    elif intent == Intent.HELP:
        _answer(reply, HELP, at)
    elif intent == Intent.START and _start(reply, at):
        _answer(reply, RESTORED, at)


def _stop(reply: Reply, at: datetime) -> None:
    is_new = ledger.withdraw(
        number_index=reply.number_index,
        channel=Suppression.Channel.SMS,
        reason="replied with a word that stops",
        by="person",
        at=at,
    )
    if is_new:
        _answer(reply, STOPPED, at)


def _start(reply: Reply, at: datetime) -> int:
    return ledger.restore(
        number_index=reply.number_index, evidence=f"reply {reply.pk}", by="person", at=at
    )


def _answer(reply: Reply, wording: str, at: datetime) -> None:
    """Put an answer into the queue; it goes out though the number has just been suppressed."""
    if reply.sender is None:
        return
    Message.objects.create(
        reply=reply,
        body=wording.format(business=settings.BUSINESS_NAME, help=settings.BUSINESS_HELP),
        due_at=at,
        not_after=at + ANSWER_WITHIN,
    )
