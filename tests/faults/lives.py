"""Many short lives of a worker that can be told where to die, with people enough for each."""

import linecache
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import CodeType
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from campaigns import conversation, delivery, receipts
from campaigns.gateways.told import Inbound
from campaigns.models import Attempt, Message, Sender
from campaigns.sandbox.provider import Account
from config.encryption import blind_index
from consent import ledger
from consent.models import Suppression
from tests.campaigns.conftest import Provider, beside
from tests.conftest import AT
from tests.faults import scene
from tests.faults.mortal import Life, Mortal, Order, functions, lines_of, mortal, name
from tests.services import database_url, wait_until

MORNING = AT - timedelta(hours=3)  # ten in New York and seven in San Francisco, where all is shut
YESTERDAY = MORNING - timedelta(hours=20)
EARLIER = "Harbor Coffee: tomorrow there will be new beans. Reply STOP to cancel."
EASTERN = ("201", "202", "203", "212", "301", "302", "304", "401", "404", "412", "419", "585")
EASTERN += ("517", "603", "610", "614", "617", "704", "717", "802", "803", "804", "860", "919")
WESTERN = ("206", "415", "503", "702", "916")
NORTHERN = ("207", "216", "240", "313", "330")
CLAIM_SIZE, PACE = 3, 100
LONGEST = 12  # minutes, which what was refused several times may have to wait
EACH = timedelta(seconds=3)  # of business time, between two lives
NOBODY = "http://127.0.0.1:9"
Status = Message.Status

# How the provider meets a life, and where it is: what one of these comes to is a line to die at.
MANNERS: dict[str, dict[str, float]] = {
    "takes all": {},
    "asks to wait": {"too_many": 1.0},
    "says nothing": {"hang": 1.0},
    "breaks off": {"reset_after_accept": 1.0},
    "fails": {"error_after_accept": 1.0},
    "breaks its answer": {"broken_json": 1.0},
    "is not there": {},
}


# Lines that a life comes to on a machine so busy that its worker stands still, and else not.
MAYBE = {
    'calling.py:Calling._hand_over: raise Withheld("the worker stood still past half its lease")',
    "delivery.py:_fate_of_refusal: return Fate(Status.WAITING,"
    ' f"It was withheld: {refusal.code}.", due_at=at)',
}


@dataclass(frozen=True, slots=True)
class Failpoint:
    """A line, how the provider is when a life comes to it, and how often it does."""

    line: str
    manner: str
    times: int


def surely_reached(points: Iterable[Failpoint]) -> list[Failpoint]:
    """Those that a life comes to on an idle machine, too."""
    maybe = {
        name(code, line)
        for code in functions()
        for line in lines_of(code)
        if f"{called(code)}: {text(code, line)}" in MAYBE
    }
    return [point for point in points if point.line not in maybe]


def called(code: CodeType) -> str:
    return name(code, code.co_firstlineno).rpartition("+")[0]


def text(code: CodeType, line: int) -> str:
    return linecache.getline(code.co_filename, line).strip()


class Lives:
    """People enough for so many lives: each has some to write to, due at an instant of its own."""

    def __init__(self, provider: Provider, worker: Mortal, lives: int) -> None:
        self.provider, self._worker, self._most, self.began = provider, worker, lives, 0
        mixed = sorted(scene.fiction(*EASTERN), key=lambda number: number[-4:])
        self.awake = mixed[: 5 * lives]  # neighbours live in different states
        self.leaving = self.awake[4::5]
        self.asleep = scene.fiction(*WESTERN)[:lives]
        self.audience = self.awake + self.asleep
        self.unconfirmed = scene.fiction(*NORTHERN)[:lives]

    def prepare(self) -> None:
        business = scene.open_business()
        business.sender.purposes.add(business.purpose)
        scene.enrol(business, self.audience)
        scene.launch(business, text=EARLIER, at=YESTERDAY)
        carry_out(YESTERDAY)
        Sender.objects.update(segments_per_second=PACE)
        self.campaign = scene.launch(business, at=MORNING)
        scene.enrol(business, self.unconfirmed, confirmed=False, confirmation_due_at=MORNING)
        while conversation.confirm_opt_ins(at=MORNING):
            pass
        self._spread()

    def _spread(self) -> None:
        """Five who are awake and one who is not, one to confirm; of the five one has left."""
        people = Message.objects.filter(status=Status.WAITING).select_related("subscriber")
        keys = {m.subscriber.number: m.pk for m in people if m.subscriber}
        for life in range(self._most):
            numbers = [*self.awake[5 * life : 5 * life + 5], self.asleep[life]]
            ours = Message.objects.filter(pk__in=map(keys.get, [*numbers, self.unconfirmed[life]]))
            ours.update(due_at=self.at(life))
        for number in self.leaving:
            leave(number)

    def at(self, life: int) -> datetime:
        return MORNING + life * EACH

    def live(self, manner: str, *, end_at: str = "", time: int = 1, stop: bool = False) -> Life:
        """One more life, to which the provider has these manners; it ends or stops at a line."""
        at = self.at(self.began)
        self._put_off(at)
        ask_for_help(self.awake[5 * self.began], at)
        self.began += 1
        scene.misbehave(self.provider, **MANNERS[manner])
        url = NOBODY if manner == "is not there" else self.provider.url
        return self._worker.live(Order(at.isoformat(), url, end_at, time, stop))

    def _put_off(self, at: datetime) -> None:
        """What earlier lives left to be tried again is no part of the next, so all are alike."""
        left = Message.objects.filter(status=Status.WAITING, due_at__lt=at)
        left.update(due_at=self.at(self._most))

    def go_on(self) -> Life:
        """The rest of the life that stopped."""
        return self._worker.go_on()

    def failpoints(self) -> list[Failpoint]:
        """Every line that a life comes to which does not end, each once."""
        found: dict[str, Failpoint] = {}
        for manner in MANNERS:
            life = self.live(manner)
            assert not life.died
            for line, times in life.reached.items():
                found.setdefault(line, Failpoint(line, manner, times))
        return list(found.values())

    def carry_out(self) -> None:
        """What a living worker does with what is left, once the leases are over.

        It knows no pace: on a busy machine hundreds are left, and a pace would leave some for the
        hour in which those who sleep are woken.
        """
        scene.misbehave(self.provider)
        Sender.objects.update(segments_per_second=None)
        sweep()
        for life in range(self.began):
            carry_out(self.at(life))
        for minute in range(1, 1 + LONGEST):
            carry_out(self.at(self._most) + timedelta(minutes=minute))
        scene.tell_receipts_again(self.provider)
        while receipts.reconcile(at=MORNING):
            pass


def sweep() -> None:
    """What the clock does once the leases are over, by the database's clock."""
    held = Message.objects.filter(lease_until__gte=Now())
    wait_until(lambda: not held.exists(), seconds=30, what="leases are over")
    delivery.sweep(at=MORNING)


def leave(number: str) -> None:
    index = blind_index.of(number)
    staff = Suppression.Channel.STAFF
    ledger.withdraw(number_index=index, channel=staff, reason="test", by="command", at=MORNING)


def ask_for_help(number: str, at: datetime) -> None:
    inbound = Inbound(f"SM{uuid.uuid4().hex}", number, scene.HARBOR, "HELP")
    assert conversation.receive(inbound, at=at)


def carry_out(at: datetime) -> None:
    delivery.turns(now=lambda: at, until=float("inf"))


@contextmanager
def living(settings: Any, directory: Path, *, lives: int, lease: int) -> Iterator[Lives]:
    """So many lives on the test's own database, with leases of so many seconds."""
    account = Account(
        sid=settings.TWILIO_ACCOUNT_SID, auth_token=settings.TWILIO_AUTH_TOKEN, inbound_url=NOBODY
    )
    name = str(connection.settings_dict["NAME"])
    env = {
        **os.environ,
        "DATABASE_URL": database_url(os.environ["DATABASE_URL"], name),
        "PUBLIC_URL": NOBODY,
        "CLAIM_SIZE": str(CLAIM_SIZE),
        "LEASE_SECONDS": str(lease),
        "GATEWAY_TIMEOUT": "0.5",
    }
    with beside(account, directory / "provider.jsonl") as provider, mortal(env) as worker:
        settings.TWILIO_BASE_URL, settings.PUBLIC_URL = provider.url, NOBODY
        yield Lives(provider, worker, lives)


def check(lives: Lives) -> None:
    """By the provider's count nobody was written to twice, and everybody else is accounted for."""
    ours = scene.check_accounts(lives.provider, lives.campaign, lives.audience)
    assert lives.provider.truth()["sent_twice"] == 0
    assert not Attempt.objects.filter(outcome=Attempt.Outcome.PENDING).exists()
    wanted, reached = set(lives.awake) - set(lives.leaving), set(scene.received(lives.provider))
    assert reached <= wanted
    assert scene.those(ours, [Status.DELIVERED]) == reached
    left = {number: ours[number] for number in wanted - reached}
    assert set(left.values()) <= {Status.UNKNOWN}, Counter(left.values())
