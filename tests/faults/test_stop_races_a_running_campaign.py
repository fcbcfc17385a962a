"""Once a STOP has committed, no attempt to that person does, however close the two ran."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from campaigns import conversation, delivery
from campaigns.gateways.told import Inbound
from campaigns.models import Attempt, Campaign, Message
from campaigns.sandbox.provider import Account
from config.encryption import blind_index
from consent import ledger
from consent.models import Suppression
from tests.campaigns.conftest import Provider, at_once, beside
from tests.conftest import AT
from tests.faults import scene

WORKERS, WRITERS, CLAIM_SIZE = 2, 3, 10
AHEAD = 3 * CLAIM_SIZE  # of the first who waits, anyone so near may write
A_RACE_IN = 2  # messages
NOBODY = "http://127.0.0.1:9"
Status = Message.Status
Attempts = frozenset[uuid.UUID]


@pytest.fixture
def provider(transactional_db: None, tmp_path: Path, settings: Any) -> Iterator[Provider]:
    settings.CLAIM_SIZE, settings.PUBLIC_URL = CLAIM_SIZE, NOBODY
    account = Account(
        sid=settings.TWILIO_ACCOUNT_SID, auth_token=settings.TWILIO_AUTH_TOKEN, inbound_url=NOBODY
    )
    with beside(account, tmp_path / "provider.jsonl") as running:
        settings.TWILIO_BASE_URL = running.url
        yield running


class Race:
    """Workers that carry out a campaign, and people who write STOP shortly before their turn."""

    def __init__(self, campaign: Campaign, times: int) -> None:
        self._campaign, self._times = campaign, times
        self._waiting = campaign.messages.filter(status=Status.WAITING)
        messages = campaign.messages.order_by("due_at", "pk").select_related("subscriber")
        self._places = {message.pk: place for place, message in enumerate(messages)}
        self._numbers = [m.subscriber.number for m in messages if m.subscriber]
        self._one = threading.Lock()
        self.stopped: dict[str, Attempts] = {}  # with what was on record when it was

    def run(self) -> None:
        for came_of_it in at_once(*[self.work] * WORKERS, *[self.write] * WRITERS):
            if isinstance(came_of_it, BaseException):
                raise came_of_it

    def work(self) -> None:
        """Carry out batches, not so fast that nobody can be quick enough to write."""
        while self._waiting.exists():
            delivery.turns(now=self._now, until=float("inf"))

    def _now(self) -> datetime:
        until = time.monotonic() + 10
        while self._first() > A_RACE_IN * len(self.stopped) < A_RACE_IN * self._times:
            assert time.monotonic() < until, "nobody writes"
            time.sleep(0.001)
        return AT

    def write(self) -> None:
        at_random = random.Random(random.random())
        while len(self.stopped) < self._times and self._waiting.exists():
            time.sleep(at_random.uniform(0, 0.005))
            if number := self._next(at_random):
                self.stopped[number] = stop(number, at_random)

    def _next(self, at_random: random.Random) -> str | None:
        """Somebody whose turn is near and who has not written yet, if there is one."""
        with self._one:
            near = self._numbers[self._first() :][:AHEAD]
            free = [number for number in near if number not in self.stopped]
            if not free or len(self.stopped) >= self._times:
                return None
            number = at_random.choice(free)
            self.stopped[number] = frozenset()
            return number

    def _first(self) -> int:
        """The place of the first who waits for their turn."""
        first = self._waiting.order_by("due_at", "pk").values_list("pk", flat=True).first()
        return len(self._numbers) if first is None else self._places[first]


@transaction.atomic
def stop(number: str, at_random: random.Random) -> Attempts:
    """Opt out by one way or another; the attempts on record at the last moment before it commits.

    One that is recorded between that look and the commit has run past the lock on the person.
    """
    if at_random.random() < 0.5:
        text = Inbound(f"SM{uuid.uuid4().hex}", number, scene.HARBOR, "STOP")
        assert conversation.receive(text, at=AT)
    else:
        assert ledger.withdraw(
            number_index=blind_index.of(number),
            channel=Suppression.Channel.STAFF,
            reason="test",
            by="command",
            at=AT,
        )
    return attempts_to(number)


def attempts_to(number: str) -> Attempts:
    ours = Attempt.objects.filter(message__subscriber__number_index=blind_index.of(number))
    return frozenset(ours.values_list("pk", flat=True))


def test_stop_races_a_running_campaign(
    provider: Provider, dose: Callable[[int, int], int], figures: Callable[..., None]
) -> None:
    races = dose(200, 10_000)
    audience = scene.crowd(races * A_RACE_IN + AHEAD)
    business = scene.open_business()
    scene.enrol(business, audience)
    campaign = scene.launch(business)
    race = Race(campaign, races)
    race.run()

    late = {n for n, on_record in race.stopped.items() if attempts_to(n) != on_record}
    assert late == set(), "an attempt was recorded after the opt-out"
    assert len(race.stopped) == races
    too_late = {number for number, on_record in race.stopped.items() if on_record}
    in_time = set(race.stopped) - too_late
    assert in_time, "nobody was quick enough"
    assert too_late, "nobody was late"
    ours = scene.check_accounts(provider, campaign, audience)
    assert scene.those(ours, [Status.BLOCKED]) == in_time
    assert scene.those(ours, [Status.ACCEPTED]) == set(audience) - in_time
    figures(fault="STOP races the fence", times=races, messages=len(audience), unknown=0, bound=0)
