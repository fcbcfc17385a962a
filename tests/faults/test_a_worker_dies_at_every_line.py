"""A worker killed at any line between take-up and settlement loses nobody and doubles nobody."""

import linecache
import os
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from campaigns import conversation, delivery, receipts
from campaigns.gateways.twilio import Inbound
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
EASTERN = ("201", "202", "203", "212", "301", "302", "304", "401", "404", "412", "419", "502")
EASTERN += ("517", "603", "610", "614", "617", "704", "717", "802", "803", "804", "860", "919")
WESTERN = ("206", "415", "503", "702", "916")
NORTHERN = ("207", "216", "240", "313", "330")
CLAIM_SIZE = 3
DEATHS, MOST_DEATHS = 25, 470
EACH = timedelta(seconds=3)  # of business time, between two lives
NOBODY = "http://127.0.0.1:9"
Status = Message.Status

# Functions that no batch comes by, and lines that it comes to only where they say.
ELSEWHERE = {
    "beside the way": [
        "delivery.py:turn",
        "delivery.py:judge",
        "delivery.py:sweep",
        "delivery.py:_locked",
        "delivery.py:_locked.<locals>.<listcomp>",
        "fence.py:leaves_of",
        "wire.py:Wire.gather",
        "wire.py:Wire.close",
        "wire.py:Wire._let_go",
        "wire.py:close",
    ],
    "when a provider calls us": [
        "twilio.py:is_signed",
        "twilio.py:is_signed.<locals>.<listcomp>",
        "twilio.py:signature",
        "twilio.py:signature.<locals>.<genexpr>",
        "twilio.py:read_inbound",
    ],
    "where a provider refuses for good, or knows of an opt-out": [
        "twilio.py:read_answer: raise NotSent(",
        "twilio.py:read_answer: str(code),",
        "twilio.py:read_answer: permanent=meaning != TEMPORARY,",
        "twilio.py:read_answer: opted_out=meaning == OPTED_OUT,",
        "twilio.py:_retry_after: return timedelta(0)",
        "delivery.py:_fate_of_refusal: return Fate(Status.REFUSED, reason)",
        "delivery.py:_believe_refusals: ledger.withdraw(",
        "delivery.py:_believe_refusals: number_index=person.number_index,",
        "delivery.py:_believe_refusals: channel=Suppression.Channel.PROVIDER,",
        'delivery.py:_believe_refusals: reason="the provider says opted out",',
        'delivery.py:_believe_refusals: by="gateway",',
        "delivery.py:_believe_refusals: at=at,",
    ],
    "when something is wrong with ourselves": [
        "calling.py:_outgoing: except CannotDecrypt:",
        'calling.py:_outgoing: raise NotSent("its person cannot be decrypted", permanent=True)'
        " from None",
        "calling.py:read: return Called(attempt, Outcome.UNKNOWN, code=type(answer).__name__)",
        "wire.py:_expected: raise result",
    ],
    "when a campaign was halted after it was taken up, or the worker stood still": [
        "calling.py:Calling._hand_over:"
        ' raise Withheld("the worker stood still past half its lease")',
        "delivery.py:_fate_of_refusal: return Fate(Status.WAITING,"
        ' f"It was withheld: {refusal.code}.", due_at=at)',
        'calling.py:Calling._hand_over: raise Withheld("the campaign was halted")',
        "fence.py:_verdict_on_campaign: return Verdict(Status.CANCELLED, NOT_NOW)",
        "fence.py:_verdict_on_campaign: return Verdict(Status.WAITING, NOT_NOW,"
        " due_at=message.due_at)",
    ],
    "where nothing of a batch may leave": [
        "delivery.py:settle: return",
        "fence.py:_record: return []",
    ],
    "of a sender without a pace, or one that may not send": [
        "delivery.py:_of_campaigns: ids += _take(due, share)",
        "fence.py:_verdict_on_answer: return Verdict(Status.BLOCKED, SENDER)",
        "fence.py:_verdict_on_campaign: return Verdict(Status.BLOCKED, SENDER)",
        "fence.py:_verdict_on_confirmation: return Verdict(Status.BLOCKED, SENDER)",
    ],
    "while an emergency stop stands": [
        "fence.py:_verdict_on_campaign: return waits",
        "fence.py:_wait_for_lifting: again = min(facts.at + emergency.LOOK_AGAIN,"
        " message.not_after)",
        "fence.py:_wait_for_lifting: return Verdict(Status.WAITING, emergency.because(stops[0]),"
        " due_at=again)",
    ],
    "where a cap is reached, or it is too late": [
        "fence.py:_verdict_on_caps: return Verdict(Status.BLOCKED, CAP_OF_DAY)",
        "fence.py:_verdict_on_caps: return Verdict(Status.BLOCKED, CAP_OF_BUSINESS)",
        "fence.py:_verdict_on_caps: return Verdict(Status.BLOCKED, CAP_OF_PURPOSE)",
        "fence.py:_verdict: return Verdict(Status.EXPIRED, TOO_LATE)",
        "fence.py:_wait_for: return Verdict(Status.EXPIRED, TOO_LATE)",
        "fence.py:_verdict_on_confirmation: return Verdict(Status.BLOCKED, NOT_TO_BE_CONFIRMED)",
        "fence.py:_verdict_on_confirmation: return _wait_for(window.next_opening, message)",
    ],
}
ON_THE_OTHER_DATABASE = {
    "sqlite": [
        "delivery.py:_tell_attempts: cursor.execute(TELL_ATTEMPTS, [json.dumps(rows)])",
        "fence.py:_held_campaigns: with connection.cursor() as cursor:",
        "fence.py:_held_campaigns: cursor.execute(",
        'fence.py:_held_campaigns: "SELECT 1 FROM campaigns_campaign WHERE id = ANY(%s)'
        ' ORDER BY id FOR SHARE",',
        "fence.py:_held_campaigns: [wanted],",
        "fence.py:_insert.<locals>.<listcomp>",
        "fence.py:_insert: rows = [",
        "fence.py:_insert: for one in attempts",
        "fence.py:_insert: with connection.cursor() as cursor:",
        "fence.py:_insert: cursor.execute(INSERT_ATTEMPTS, [claim, at, json.dumps(rows)])",
    ],
    "postgresql": [
        "delivery.py:_tell_attempts: cursor.executemany(TELL_ATTEMPT, rows)",
        "fence.py:_insert: Attempt.objects.bulk_create(attempts)",
        "fence.py:_insert: return",
    ],
}

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


@dataclass(frozen=True, slots=True)
class Failpoint:
    """A line, how the provider is when a life comes to it, and how often it does."""

    line: str
    manner: str
    times: int


class Lives:
    """People enough for so many lives: each has some to write to, due at an instant of its own."""

    def __init__(self, provider: Provider, worker: Mortal, lives: int) -> None:
        self.provider, self._worker, self._most, self.began = provider, worker, lives, 0
        self.awake = scene.fiction(*EASTERN)[: 5 * lives]
        self.leaving = self.awake[4::5]
        self.asleep = scene.fiction(*WESTERN)[:lives]
        self.audience = self.awake + self.asleep
        self.unconfirmed = scene.fiction(*NORTHERN)[:lives]

    def prepare(self) -> None:
        business = scene.open_business()
        business.sender.purposes.add(business.purpose)
        Sender.objects.update(segments_per_second=100)
        scene.enrol(business, self.audience)
        scene.launch(business, text=EARLIER, at=YESTERDAY)
        carry_out(YESTERDAY)
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

    def live(self, manner: str, *, die_at: str = "", time: int = 1) -> Life:
        """One more life, to which the provider has these manners."""
        at = self.at(self.began)
        self._put_off(at)
        ask_for_help(self.awake[5 * self.began], at)
        self.began += 1
        scene.misbehave(self.provider, **MANNERS[manner])
        url = NOBODY if manner == "is not there" else self.provider.url
        return self._worker.live(Order(at.isoformat(), url, die_at, time))

    def _put_off(self, at: datetime) -> None:
        """What earlier lives left to be tried again is no part of the next, so all are alike."""
        left = Message.objects.filter(status=Status.WAITING, due_at__lt=at)
        left.update(due_at=self.at(self._most))

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
        """What a living worker does with what is left, once the leases are over."""
        scene.misbehave(self.provider)
        held = Message.objects.filter(lease_until__gte=Now())
        wait_until(lambda: not held.exists(), seconds=30, what="leases are over")
        delivery.sweep(at=MORNING)
        for life in range(self.began):
            carry_out(self.at(life))
        carry_out(self.at(self._most) + timedelta(seconds=1))
        take_in_receipts(self.provider)


def leave(number: str) -> None:
    index = blind_index.of(number)
    staff = Suppression.Channel.STAFF
    ledger.withdraw(number_index=index, channel=staff, reason="test", by="command", at=MORNING)


def ask_for_help(number: str, at: datetime) -> None:
    inbound = Inbound(f"SM{uuid.uuid4().hex}", number, scene.HARBOR, "HELP")
    assert conversation.receive(inbound, at=at)


def carry_out(at: datetime) -> None:
    delivery.turns(now=lambda: at, until=float("inf"))


def take_in_receipts(provider: Provider) -> None:
    for message in scene.provider_messages(provider):
        attempt = scene.attempt_of(message)
        receipts.keep(
            attempt=attempt, provider_id=message["sid"], status="delivered", code="", at=MORNING
        )
    while receipts.reconcile(at=MORNING):
        pass


@pytest.fixture
def lives(
    transactional_db: None, tmp_path: Path, settings: Any, dose: Callable[[int, int], int]
) -> Iterator[Lives]:
    account = Account(
        sid=settings.TWILIO_ACCOUNT_SID, auth_token=settings.TWILIO_AUTH_TOKEN, inbound_url=NOBODY
    )
    name = str(connection.settings_dict["NAME"])
    env = {
        **os.environ,
        "DATABASE_URL": database_url(os.environ["DATABASE_URL"], name),
        "PUBLIC_URL": NOBODY,
        "CLAIM_SIZE": str(CLAIM_SIZE),
        "LEASE_SECONDS": "4",
        "GATEWAY_TIMEOUT": "0.5",
    }
    with beside(account, tmp_path / "provider.jsonl") as provider, mortal(env) as worker:
        settings.TWILIO_BASE_URL, settings.PUBLIC_URL = provider.url, NOBODY
        yield Lives(provider, worker, len(MANNERS) + dose(DEATHS, MOST_DEATHS))


def check_complete(points: Iterable[Failpoint]) -> None:
    """Every line of every function is one to die at, or stands above with the reason why not."""
    reached = {point.line for point in points}
    missed = {place for code in functions() for place in missed_in(code, reached)}
    said = {place for places in ELSEWHERE.values() for place in places}
    assert missed == said | set(ON_THE_OTHER_DATABASE[connection.vendor])


def missed_in(code: CodeType, reached: set[str]) -> Iterator[str]:
    """Lines of a function that no life came to, in their own words; or all of it."""
    lines = lines_of(code)
    missed = [line for line in lines if name(code, line) not in reached]
    if len(missed) == len(lines):
        yield called(code)
    else:
        yield from (f"{called(code)}: {text(code, line)}" for line in missed)


def called(code: CodeType) -> str:
    return name(code, code.co_firstlineno).rpartition("+")[0]


def text(code: CodeType, line: int) -> str:
    return linecache.getline(code.co_filename, line).strip()


def test_a_worker_dies_at_every_line(
    lives: Lives, dose: Callable[[int, int], int], figures: Callable[..., None]
) -> None:
    lives.prepare()
    at_random = random.Random()
    points = lives.failpoints()
    check_complete(points)
    chosen = at_random.sample(points, min(dose(DEATHS, MOST_DEATHS), len(points)))
    survived = [one for one in chosen if not die_at(lives, one, at_random)]
    lives.carry_out()

    assert survived == []
    check(lives)
    died = Attempt.objects.filter(code="worker died").count()
    figures(
        fault="kill -9 at every line",
        times=len(chosen),
        messages=len(lives.audience),
        unknown=died,
        bound=len(chosen) * 2 * CLAIM_SIZE,  # two batches are under way
    )


def die_at(lives: Lives, point: Failpoint, at_random: random.Random) -> bool:
    time = at_random.randint(1, max(1, point.times // 2))
    return lives.live(point.manner, die_at=point.line, time=time).died


def check(lives: Lives) -> None:
    """By the provider's count nobody was written to twice, and everybody else is accounted for."""
    ours = scene.check_accounts(lives.provider, lives.campaign, lives.audience)
    assert lives.provider.truth()["sent_twice"] == 0
    assert not Attempt.objects.filter(outcome=Attempt.Outcome.PENDING).exists()
    wanted, reached = set(lives.awake) - set(lives.leaving), set(scene.received(lives.provider))
    assert reached <= wanted
    assert Attempt.objects.filter(code="worker died", outcome="accepted").exists(), "all too early"
    assert scene.those(ours, [Status.DELIVERED]) == reached
    assert scene.those(ours, [Status.UNKNOWN]) == wanted - reached
