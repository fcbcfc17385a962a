"""Messages handed over by two workers, beside the same client in a bare loop.

The provider is a stub over TLS in a process of its own, on the same two cores; it answers at once,
and after 100 ms. The bare loop only posts: it claims, asks, decrypts and writes nothing.
"""

import os
import resource
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import aiohttp.connector
import pytest
from django.db import connection, connections
from django.test import override_settings

from campaigns import delivery
from campaigns.gateways import twilio, wire
from campaigns.gateways.outcome import Outgoing
from campaigns.models import Attempt, Campaign, Message, Sender
from config.celery import spare_the_collector
from consent import ledger, numbers
from consent.intake import OptIn
from consent.models import Method, Notice, Purpose
from tests.benchmarks import stub_provider
from tests.benchmarks.launch_of_campaigns import AREAS, AT, SINCE, approved, notice, purpose, sender
from tests.benchmarks.stub_provider import fork

__all__ = ["notice", "purpose", "sender"]

MESSAGES = int(os.environ.get("ROWS", "20000"))
DELAYS = (0.0, 0.1)  # seconds
CONCURRENCY = 200  # calls at once, per process
SETTINGS = {"CLAIM_SIZE": 1_000, "GATEWAY_CONCURRENCY": CONCURRENCY, "LEASE": timedelta(minutes=5)}
BODY = "Harbor Coffee: new beans. Reply STOP to cancel."


def seconds(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def in_processes(count: int, work: Callable[[int], None]) -> None:
    """The same work in so many processes, each with a connection and a client of its own."""
    connections.close_all()
    wire.close()
    spare_the_collector()  # as a worker's process does; and the bare loop, for fairness
    running = [fork.Process(target=work, args=(place,)) for place in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join()
        assert process.exitcode == 0


def _work(_place: int) -> None:
    delivery.turns(now=lambda: AT, until=float("inf"))
    wire.close()
    connections.close_all()


def bare_loop(processes: int) -> Callable[[int], None]:
    """Posts a share of as many messages, a thousand at a time."""
    share = MESSAGES // processes

    def post(_place: int) -> None:
        outgoing = Outgoing(
            to="+12125550100",
            sender="+18885550100",
            body=BODY,
            attempt="0" * 32,
            valid_for=timedelta(hours=1),
        )
        for start in range(0, share, 1_000):
            batch = [outgoing] * min(1_000, share - start)
            answers = wire.wire().gather(twilio.send, batch)
            assert all(isinstance(answer, str) for answer in answers)
        wire.close()

    return post


def _populate(purpose: Purpose, notice: Notice) -> None:
    for start in range(0, MESSAGES, 5_000):
        opt_ins = [_opt_in(n, notice) for n in range(start, min(start + 5_000, MESSAGES))]
        ledger.enrol(opt_ins=opt_ins, purpose=purpose, by="command", at=AT)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _opt_in(n: int, notice: Notice) -> OptIn:
    """Numbers that are made up, in memory and in a database that goes; none is written to."""
    exchange, line = divmod(n // len(AREAS), 10_000)
    number = numbers.parse(f"+1{AREAS[n % len(AREAS)]}{200 + exchange}{line:04}")
    told = {"method": Method.WEB_FORM, "source": "list", "given_at": SINCE, "confirmed_at": SINCE}
    return OptIn.of(number, notice_id=notice.pk, **told)


def _again(campaign: Campaign) -> None:
    """As if nothing of it had been handed over; for the next measurement only."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE campaigns_attempt")
    campaign.messages.update(
        status="waiting", claim=None, lease_until=None, fenced_at=None, tries=0
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE campaigns_message")


def test_dispatch(
    purpose: Purpose,
    notice: Notice,
    sender: Sender,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Sender.objects.update(segments_per_second=None)
    _populate(purpose, notice)
    campaign = approved(purpose, sender, "dispatch")
    delivery.dispatch.launch(campaign=campaign, by="worker", at=AT)
    assert campaign.messages.count() == MESSAGES
    _key, chain = stub_provider.certificate(tmp_path)
    aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(chain)
    with capsys.disabled():
        print(f"\n{MESSAGES:,} messages")
    for delay in DELAYS:
        with (
            stub_provider.serving(tmp_path, delay=delay) as url,
            override_settings(TWILIO_BASE_URL=url, PUBLIC_URL="https://volens.example", **SETTINGS),
        ):
            _measure(campaign, delay, capsys)


def _measure(campaign: Campaign, delay: float, capsys: pytest.CaptureFixture[str]) -> None:
    limit = MESSAGES / seconds(lambda: in_processes(2, bare_loop(2)))
    reached = {}
    for workers in (1, 2):
        _again(campaign)
        reached[workers] = MESSAGES / seconds(lambda n=workers: in_processes(n, _work))  # type: ignore[misc]
        accepted = campaign.messages.filter(status=Message.Status.ACCEPTED).count()
        assert accepted == MESSAGES == Attempt.objects.filter(outcome="accepted").count()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    of_limit, of_one = reached[2] / limit, reached[2] / reached[1]
    with capsys.disabled():
        print(f"  answers after {delay * 1000:.0f} ms")
        print(f"    bare loop, 2 processes {limit:>8,.0f} a second   wanted: 0.80 of it")
        print(f"    ours, 2 workers        {reached[2]:>8,.0f} a second   {of_limit:.2f} of it")
        print(f"    ours, 1 worker         {reached[1]:>8,.0f} a second   two are {of_one:.2f}")
        print(f"    a worker's memory {peak:.0f} MB at most")
