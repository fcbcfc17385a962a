"""Hands attempts over to their gateways, many at a time, while their worker turns to the next."""

import time
from collections.abc import Sequence
from concurrent.futures import wait
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from pyreqwest.client import Client

from campaigns import answers, text
from campaigns.fence import Passed
from campaigns.gateways.directory import GATEWAYS
from campaigns.gateways.outcome import MaybeSent, NotSent, Outgoing
from campaigns.gateways.wire import wire
from campaigns.models import Attempt, Campaign
from config.encryption.fields import EncryptedText
from config.encryption.ring import CannotDecrypt
from consent.models import Subscriber

Outcome = Attempt.Outcome
NUMBER: EncryptedText = Subscriber._meta.get_field("number")
FIRST_NAME: EncryptedText = Subscriber._meta.get_field("first_name")
LOOK_EVERY = 0.2  # seconds between two looks at whether campaigns are still being sent


class Withheld(NotSent):
    """It was not handed over, by our own doing; it may be as soon as the fence lets it pass."""


class Called(NamedTuple):
    """What came of handing one attempt over."""

    attempt: Passed
    outcome: Attempt.Outcome
    provider_id: str = ""
    code: str = ""
    refusal: NotSent | None = None


class Calling:
    """A batch on its way, started by being made; it holds no transaction.

    `since` is the monotonic time, in seconds, at which its fence was asked. A worker that stood
    still since then hands nothing over: its messages may be another's by now.
    """

    def __init__(self, attempts: Sequence[Passed], *, since: float) -> None:
        self._attempts = attempts
        self._until = since + settings.LEASE.total_seconds() / 2
        campaigns = (one.message.campaign for one in attempts)
        self._campaigns = {campaign.pk for campaign in campaigns if campaign}
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

    async def _hand_over(self, client: Client, attempt: Passed) -> str:
        campaign = attempt.message.campaign
        if time.monotonic() > self._until:
            raise Withheld("the worker stood still past half its lease")
        if campaign is not None and campaign.pk in self._halted:
            raise Withheld("the campaign was halted")
        gateway = GATEWAYS[attempt.sender.gateway]
        if not gateway.has_account():
            raise NotSent("there is no account with its gateway")
        return await gateway.send(client, _outgoing(attempt))


def read(attempt: Passed, answer: str | Exception) -> Called:
    """What an answer, the provider's id or what the gateway raised, says of an attempt."""
    if isinstance(answer, str):
        return Called(attempt, Outcome.ACCEPTED, provider_id=answer)
    if isinstance(answer, NotSent):
        return Called(attempt, Outcome.REFUSED, code=answer.code, refusal=answer)
    if isinstance(answer, MaybeSent):
        return Called(attempt, Outcome.UNKNOWN, code=answer.code)
    return Called(attempt, Outcome.UNKNOWN, code=type(answer).__name__)


# --- what is handed over -----------------------------------------------------------------------


def _outgoing(attempt: Passed) -> Outgoing:
    try:
        return Outgoing(
            to=_number(attempt),
            sender=attempt.sender.address,
            body=_body(attempt),
            attempt=attempt.pk.hex,
            valid_for=_window_end(attempt) - attempt.at,
        )
    except CannotDecrypt:
        raise NotSent("its person cannot be decrypted", permanent=True) from None


def _number(attempt: Passed) -> str:
    person, answer = attempt.person, attempt.message.answer
    if person is not None:
        return NUMBER.decrypt(person.number, pk=person.pk) or ""
    assert answer is not None  # the database says so
    assert answer.reply is not None
    return answer.reply.number


def _body(attempt: Passed) -> str:
    """The text that the fence let pass, filled in for this person."""
    campaign, answer, person = attempt.message.campaign, attempt.message.answer, attempt.person
    if answer is not None:
        return answers.with_links(answer.body)
    assert campaign is not None  # what is no answer has one, and a person
    assert person is not None
    template = campaign.text_in(attempt.decision.told["text_in"])
    first_name = FIRST_NAME.decrypt(person.first_name, pk=person.pk) or ""
    return text.render(template, {"first_name": first_name})


def _window_end(attempt: Passed) -> datetime:
    """When the provider must have given up: the end of the window or the message's own end."""
    closes_at, ends_at = attempt.decision.told.get("closes_at"), attempt.message.not_after
    return min(ends_at, datetime.fromisoformat(closes_at)) if closes_at else ends_at
