"""A storm of every fault at once: nobody is left out and nobody is written to twice."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import connection

from campaigns.models import Attempt, Campaign, Message, Sender
from tests import services
from tests.conftest import AT
from tests.faults import hard, queue_server, scene
from tests.services import PostgreSQL, Stack

BATCH, PROCESSES, WORKERS = 20, 2, 2
AT_ONCE = 2_000  # people, who are enrolled together
RATES = {
    "hang": 0.005,
    "slow": 0.3,  # fails nothing, but most kills hit a call
    "too_many": 0.01,
    "error": 0.005,
    "error_after_accept": 0.01,
    "reset": 0.005,
    "reset_after_accept": 0.005,
    "broken_json": 0.005,
}
CHANGES = {"GATEWAY_TIMEOUT": "3", "CLAIM_SIZE": str(BATCH), "LEASE_SECONDS": "6"}
Status = Message.Status


@pytest.fixture
def server(db: None) -> Iterator[PostgreSQL | None]:
    """A server that can be killed, where the database is one."""
    if connection.vendor != "postgresql":
        yield None
        return
    with hard.durable_server() as made:
        yield made


@pytest.fixture
def stack(own_queue: None, server: PostgreSQL | None, tmp_path: Path) -> Iterator[Stack]:
    """The product on that server, or on a file."""
    file = str(tmp_path / "storm.sqlite3")
    if server is None:
        services.copy_database("sqlite:", f"{connection.settings_dict['NAME']}_pristine", file)
    database = server.url if server else services.database_url("sqlite:", file)
    with services.stack(
        tmp_path, database=database, clock=AT, workers=WORKERS, **CHANGES
    ) as product:
        yield product


class Storm:
    """What befalls a running product, each thing so many times, in any order."""

    def __init__(self, stack: Stack, server: PostgreSQL | None, leaving: ExitStack) -> None:
        self._stack, self._server, self._leaving = stack, server, leaving
        self._at_random = random.Random(random.random())
        self.befalls = {
            "worker": self._kill_worker,
            "emptied": lambda: queue_server.empty(stack),
            "queue": self._kill_queue,
            "database": self._kill_database,
        }

    def rage(self, **times: int) -> None:
        """Each of these so many times."""
        order = [what for what, count in times.items() for _time in range(count)]
        self._at_random.shuffle(order)
        for what in order:
            time.sleep(self._at_random.uniform(0.1, 0.9))
            self.befalls[what]()
            queue_server.supervise(self._stack)

    def _kill_worker(self) -> None:
        self._stack.kill_worker()
        self._stack.start_worker()

    def _kill_queue(self) -> None:
        queue_server.kill(self._stack)
        time.sleep(self._at_random.uniform(0, 1))
        self._leaving.enter_context(queue_server.another(self._stack))

    def _kill_database(self) -> None:
        if self._server:
            hard.stop_hard(self._server, seconds=self._at_random.uniform(0, 1))


def gather(business: scene.Business, count: int) -> list[str]:
    """So many people, who all want it."""
    audience = scene.crowd(count)
    for start in range(0, count, AT_ONCE):
        scene.enrol(business, audience[start : start + AT_ONCE])
    return audience


def look_after(stack: Stack, business: scene.Business, campaign: Campaign) -> None:
    queue_server.supervise(stack)
    scene.resume_if_paused(business, campaign)


@pytest.mark.skipif(
    os.environ.get("DOSE") != "full", reason="in a small dose each of its faults has its own test"
)
@pytest.mark.timeout(7200)
def test_everything_at_once(
    server: PostgreSQL | None,
    beside: Stack,
    business: scene.Business,
    dose: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    kills, stops = dose(2, 300), dose(1, 10) if server else 0
    audience = gather(business, dose(300, 100_000))
    Sender.objects.update(segments_per_second=dose(6, 60))  # so that it outlives the storm
    scene.misbehave(beside, **RATES)
    campaign = scene.launch(business)
    beside.wait_until(lambda: scene.accepted(beside) >= 10)
    with ExitStack() as leaving:
        storm = Storm(beside, server, leaving)
        storm.rage(worker=kills, emptied=dose(1, 10), queue=dose(1, 10), database=stops)
        waiting = campaign.messages.filter(status=Status.WAITING)
        assert waiting.exists(), "too late to matter"
        scene.misbehave(beside)
        Sender.objects.update(segments_per_second=None)
        check_end(beside, business, campaign, audience)
        beside.end()
    figures(
        fault="everything at once",
        times=kills + dose(2, 20) + stops,
        messages=len(audience),
        unknown=Attempt.objects.filter(code="worker died").count(),
        bound=(kills + stops * WORKERS + dose(1, 10) * WORKERS) * PROCESSES * 2 * BATCH,
    )


def check_end(
    stack: Stack, business: scene.Business, campaign: Campaign, audience: list[str]
) -> None:
    """All is decided, and both accounts agree."""

    def meanwhile() -> None:
        look_after(stack, business, campaign)

    undecided = campaign.messages.undecided()
    stack.wait_until(lambda: (meanwhile(), not undecided.exists())[1], 1200)
    scene.tell_receipts_again(stack)
    scene.await_end(stack, campaign, meanwhile=meanwhile, seconds=300)
    ours, reached = scene.check_accounts(stack, campaign, audience), set(scene.received(stack))
    assert scene.those(ours, [Status.DELIVERED]) == reached
    assert scene.those(ours, [Status.UNKNOWN]) == set(audience) - reached
