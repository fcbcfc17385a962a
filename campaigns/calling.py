"""Hands attempts over to their gateways, many at a time, while their worker turns to the next."""

import time
from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from pyreqwest.client import Client

from campaigns import answers, text
from campaigns.gateways import twilio
from campaigns.gateways.outcome import MaybeSent, NotSent, Outgoing
from campaigns.gateways.wire import wire
from campaigns.models import Attempt, Campaign, Message, Sender
from config.encryption.ring import CannotDecrypt

Outcome = Attempt.Outcome
GATEWAYS = {Sender.Gateway.TWILIO.value: twilio}
LOOK_EVERY = 0.2  # seconds between two looks at whether campaigns are still being sent


class Withheld(NotSent):
    """It was not handed over, by our own doing; it may be as soon as the fence lets it pass."""


@dataclass(frozen=True, slots=True)
class Called:
    """What came of handing one attempt over."""

    attempt: Attempt
    outcome: Attempt.Outcome
    provider_id: str = ""
    code: str = ""
    refusal: NotSent | None = None


class Calling:
    """A batch on its way, started by being made; it holds no transaction.

    `since` is the monotonic time, in seconds, at which its fence was asked. A worker that stood
    still since then hands nothing over: its messages may be another's by now.
    """

    def __init__(self, attempts: Sequence[Attempt], *, since: float) -> None:
        self._attempts = attempts
        self._until = since + settings.LEASE.total_seconds() / 2
        campaigns = (one.message.campaign_id for one in attempts)
        self._campaigns = {campaign for campaign in campaigns if campaign}
        self._halted: set[int] = set()
        self._answers = wire().start(self._hand_over, attempts)

    def called(self) -> list[Called]:
        """What came of each, once all are answered.

        What was not handed over yet when its campaign is paused or cancelled is withheld.
        """
        while self._campaigns and not wait([self._answers], timeout=LOOK_EVERY).done:
            going_on = Campaign.objects.filter(pk__in=self._campaigns).sending()
            self._halted = self._campaigns - set(going_on.values_list("pk", flat=True))
        told = zip(self._attempts, self._answers.result(), strict=True)
        return [read(attempt, answer) for attempt, answer in told]

    async def _hand_over(self, client: Client, attempt: Attempt) -> str:
        if time.monotonic() > self._until:
            raise Withheld("the worker stood still past half its lease")
        if attempt.message.campaign_id in self._halted:
            raise Withheld("the campaign was halted")
        outgoing = _outgoing(attempt)
        return str(await GATEWAYS[_sender(attempt.message).gateway].send(client, outgoing))


def read(attempt: Attempt, answer: str | Exception) -> Called:
    """What an answer, the provider's id or what the gateway raised, says of an attempt."""
    if isinstance(answer, str):
        return Called(attempt, Outcome.ACCEPTED, provider_id=answer)
    if isinstance(answer, NotSent):
        return Called(attempt, Outcome.REFUSED, code=answer.code, refusal=answer)
    if isinstance(answer, MaybeSent):
        return Called(attempt, Outcome.UNKNOWN, code=answer.code)
    return Called(attempt, Outcome.UNKNOWN, code=type(answer).__name__)


# --- what is handed over -----------------------------------------------------------------------


def _sender(message: Message) -> Sender:
    sender = message.from_sender
    assert sender is not None  # the fence lets none pass without
    return sender


def _outgoing(attempt: Attempt) -> Outgoing:
    message = attempt.message
    try:
        return Outgoing(
            to=_number(message),
            sender=_sender(message).address,
            body=_body(attempt),
            attempt=attempt.pk.hex,
            valid_for=_window_end(attempt) - attempt.at,
        )
    except CannotDecrypt:
        raise NotSent("its person cannot be decrypted", permanent=True) from None


def _number(message: Message) -> str:
    if message.subscriber is not None:
        return message.subscriber.number
    assert message.reply is not None  # the database says so
    return message.reply.number


def _body(attempt: Attempt) -> str:
    """The text that the fence let pass, filled in for this person."""
    message = attempt.message
    if message.campaign is None or message.subscriber is None:
        return answers.with_links(message.body)
    template = message.campaign.text_in(attempt.decision.told["text_in"])
    return text.render(template, {"first_name": message.subscriber.first_name})


def _window_end(attempt: Attempt) -> datetime:
    """When the provider must have given up: the end of the window or the message's own end."""
    closes_at = attempt.decision.told.get("closes_at")
    ends = [attempt.message.not_after]
    if closes_at:
        ends.append(datetime.fromisoformat(closes_at))
    return min(ends)
