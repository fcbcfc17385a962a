"""Messages handed over by two workers, beside the same client in a bare loop.

The provider is a stub over TLS in a process of its own, on the same two cores; it answers at once,
and after 100 ms. The bare loop only posts: it claims, asks, decrypts and writes nothing.
"""

import os
import resource
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from django.db import connection, connections
from django.test import override_settings

from campaigns import delivery, dispatch
from campaigns.gateways import twilio, wire
from campaigns.gateways.outcome import Outgoing
from campaigns.models import Attempt, Campaign, Message, Sender
from config.celery import spare_the_collector
from consent.models import Notice, Purpose
from tests.benchmarks import people, stub_provider
from tests.benchmarks.launch_of_campaigns import AT, approved, notice, purpose, sender
from tests.benchmarks.stub_provider import fork

__all__ = ["notice", "purpose", "sender"]

pytestmark = pytest.mark.timeout(3_600)

MESSAGES = int(os.environ.get("ROWS", "20000"))
DELAYS = (0.0, 0.1)  # seconds
CONCURRENCY = 200  # calls at once, per process
SETTINGS = {"CLAIM_SIZE": 1_000, "GATEWAY_CONCURRENCY": CONCURRENCY, "LEASE": timedelta(minutes=5)}
BODY = "Harbor Coffee: new beans. Reply STOP to cancel."


def seconds(act: Callable[[], object]) -> float:
    since = time.perf_counter()
    act()
    return time.perf_counter() - since


def in_processes(count: int, act: Callable[[int], None]) -> None:
    """The same work in so many processes, each with a connection and a client of its own."""
    connections.close_all()
    wire.close()
    spare_the_collector()  # as a worker's process does; and the bare loop, for fairness
    running = [fork.Process(target=act, args=(place,)) for place in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join()
        assert process.exitcode == 0


def work(_place: int) -> None:
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


def launched(purpose: Purpose, notice: Notice, sender: Sender, count: int) -> Campaign:
    """A campaign to so many people, with nothing handed over and no pace."""
    Sender.objects.update(segments_per_second=None)
    people.enrol(purpose, notice, count)
    campaign = approved(purpose, sender, f"to-{count}")
    dispatch.launch(campaign=campaign, by="worker", at=AT)
    assert campaign.messages.filter(status=Message.Status.WAITING).count() == count
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE campaigns_message")
    return campaign


@cache
def trusted() -> Path:
    """Where a stub's certificate lies, whose authority this process and its children believe."""
    directory = Path(os.environ["VOLENS_TEST_DIR"]) / "stub"
    directory.mkdir()
    os.environ["SSL_CERT_FILE"] = str(stub_provider.certificate(directory))
    return directory


def again(campaign: Campaign) -> None:
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
    capsys: pytest.CaptureFixture[str],
) -> None:
    campaign = launched(purpose, notice, sender, MESSAGES)
    with capsys.disabled():
        print(f"\n{MESSAGES:,} messages")
    for delay in DELAYS:
        with (
            stub_provider.serving(trusted(), delay=delay) as url,
            override_settings(TWILIO_BASE_URL=url, PUBLIC_URL="https://volens.example", **SETTINGS),
        ):
            _measure(campaign, delay, capsys)


def _measure(campaign: Campaign, delay: float, capsys: pytest.CaptureFixture[str]) -> None:
    limit = MESSAGES / seconds(lambda: in_processes(2, bare_loop(2)))
    reached = {}
    for workers in (1, 2):
        again(campaign)
        reached[workers] = MESSAGES / seconds(lambda n=workers: in_processes(n, work))  # type: ignore[misc]
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
