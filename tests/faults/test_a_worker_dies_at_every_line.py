"""A worker killed at any line between take-up and settlement loses nobody and doubles nobody."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from django.db import connection

from campaigns.models import Attempt
from tests.faults.lives import (
    CLAIM_SIZE,
    MANNERS,
    MAYBE,
    Failpoint,
    Lives,
    called,
    check,
    living,
    surely_reached,
    text,
)
from tests.faults.mortal import functions, lines_of, name

DEATHS, MOST_DEATHS = 25, 470

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
        "twilio.py:read_receipt",
    ],
    "where a provider refuses for good, or knows of an opt-out": [
        "twilio.py:read_answer: raise refused(str(code), meaning)",
        "delivery.py:_fate_of_refusal: return Fate(Status.REFUSED, reason)",
        "delivery.py:_believe_refusals: ledger.withdraw(",
        "delivery.py:_believe_refusals: number_index=number_index,",
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
        'calling.py:Calling._hand_over: raise NotSent("there is no account with its gateway")',
    ],
    "when a campaign was halted after it was taken up": [
        'calling.py:Calling._hand_over: raise Withheld("the campaign was halted")',
        "verdicts.py:_verdict_on_campaign: return Verdict(Status.CANCELLED, NOT_NOW)",
    ],
    "where nothing of a batch may leave": [
        "delivery.py:settle: return",
        "fence.py:_record: return []",
    ],
    "of a sender that another one stands in for": [
        "delivery.py:_in_turns",
        "delivery.py:_in_turns.<locals>.<listcomp>",
        "verdicts.py:sender_of: return stand_in",
    ],
    "of a sender that may not send": [
        "verdicts.py:_verdict_on_answer: return Verdict(Status.BLOCKED, SENDER)",
        "verdicts.py:_verdict_on_campaign: return Verdict(Status.BLOCKED, SENDER)",
        "verdicts.py:_verdict_on_confirmation: return Verdict(Status.BLOCKED, SENDER)",
    ],
    "while an emergency stop stands": [
        "verdicts.py:_verdict_on_campaign: return waits",
        "verdicts.py:_wait_for_lifting: again = min(facts.at + emergency.LOOK_AGAIN,"
        " message.not_after)",
        "verdicts.py:_wait_for_lifting: return Verdict(Status.WAITING, emergency.because(stops[0]),"
        " due_at=again)",
    ],
    "where a cap is reached, or it is too late": [
        "verdicts.py:_verdict_on_caps: return Verdict(Status.BLOCKED, CAP_OF_DAY)",
        "verdicts.py:_verdict_on_caps: return Verdict(Status.BLOCKED, CAP_OF_BUSINESS)",
        "verdicts.py:_verdict_on_caps: return Verdict(Status.BLOCKED, CAP_OF_PURPOSE)",
        "verdicts.py:of: return Verdict(Status.EXPIRED, TOO_LATE)",
        "verdicts.py:_wait_for: return Verdict(Status.EXPIRED, TOO_LATE)",
        "verdicts.py:_verdict_on_confirmation: return Verdict(Status.BLOCKED, NOT_TO_BE_CONFIRMED)",
        "verdicts.py:_verdict_on_confirmation: return _wait_for(window.next_opening, message)",
    ],
}
ON_THE_OTHER_DATABASE = {
    "sqlite": [
        "delivery.py:_tell_attempts: cursor.execute(TELL_ATTEMPTS, [json.dumps(rows)])",
        "delivery.py:_let_go_if_we_stand_still: with connection.cursor() as cursor:",
        "delivery.py:_let_go_if_we_stand_still: cursor.execute("
        "\"SET LOCAL idle_in_transaction_session_timeout = '30s'\")",
        "facts.py:hold_campaigns: with connection.cursor() as cursor:",
        "facts.py:hold_campaigns: cursor.execute(HOLD, [keys])",
        "fence.py:_insert: with connection.cursor() as cursor:",
        "fence.py:_insert: cursor.execute(INSERT_ATTEMPTS, [claim, at, json.dumps(rows)])",
    ],
    "postgresql": [
        "delivery.py:_tell_attempts: cursor.executemany(TELL_ATTEMPT, rows)",
        "fence.py:_insert: Attempt.objects.bulk_create(Attempt(claim=claim, at=at, **row)"
        " for row in rows)",
        "fence.py:_insert.<locals>.<genexpr>",
        "fence.py:_insert: return",
    ],
}


@pytest.fixture
def lives(
    transactional_db: None, tmp_path: Path, settings: Any, dose: Callable[[int, int], int]
) -> Iterator[Lives]:
    times = len(MANNERS) + dose(DEATHS, MOST_DEATHS)
    with living(settings, tmp_path, lives=times, lease=6) as ready:
        yield ready


def check_complete(points: Iterable[Failpoint]) -> None:
    """Every line of every function is one to die at, or stands above with the reason why not."""
    reached = {point.line for point in points}
    missed = {place for code in functions() for place in missed_in(code, reached)}
    said = {place for places in ELSEWHERE.values() for place in places}
    assert missed - MAYBE == said | set(ON_THE_OTHER_DATABASE[connection.vendor])


def missed_in(code: CodeType, reached: set[str]) -> Iterator[str]:
    """Lines of a function that no life came to, in their own words; or all of it."""
    lines = lines_of(code)
    missed = [line for line in lines if name(code, line) not in reached]
    if len(missed) == len(lines):
        yield called(code)
    else:
        yield from (f"{called(code)}: {text(code, line)}" for line in missed)


def test_a_worker_dies_at_every_line(
    lives: Lives, dose: Callable[[int, int], int], figures: Callable[..., None]
) -> None:
    lives.prepare()
    at_random = random.Random(random.random())
    points = lives.failpoints()
    check_complete(points)
    points = surely_reached(points)
    chosen = at_random.sample(points, min(dose(DEATHS, MOST_DEATHS), len(points)))
    survived = [one for one in chosen if not die_at(lives, one, at_random)]
    lives.carry_out()

    assert [f"{one.line} {one.manner} {one.times}" for one in survived] == []
    check(lives)
    assert Attempt.objects.filter(code="worker died", outcome="accepted").exists(), "all too early"
    died = Attempt.objects.filter(code="worker died").count()
    figures(
        fault="kill -9 at every line",
        times=len(chosen),
        messages=len(lives.audience),
        unknown=died,
        bound=len(chosen) * 2 * CLAIM_SIZE,  # two batches are under way
    )


def die_at(lives: Lives, point: Failpoint, at_random: random.Random) -> bool:
    """Die there at one time of many, or at the first in another life if this one has fewer."""
    times = (at_random.randint(1, max(1, point.times // 2)), 1)
    return any(lives.live(point.manner, end_at=point.line, time=time).died for time in times)
