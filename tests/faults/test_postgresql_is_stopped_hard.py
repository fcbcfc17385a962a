"""PostgreSQL killed under a running campaign: what was committed holds, and nothing goes twice."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from campaigns.models import Attempt, Message
from tests.campaigns.conftest import on_postgresql
from tests.faults import hard, scene
from tests.services import PostgreSQL, Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO, scene.SAN_FRANCISCO)
BATCH, PROCESSES = 5, 2
Status = Message.Status


@pytest.fixture
def server(db: None) -> Iterator[PostgreSQL]:
    with hard.durable_server() as made:
        yield made


@pytest.fixture
def stack(server: PostgreSQL, tmp_path: Path) -> Iterator[Stack]:
    with hard.stack_on(
        server, tmp_path, GATEWAY_TIMEOUT="1", CLAIM_SIZE=str(BATCH), LEASE_SECONDS="3"
    ) as product:
        yield product


@on_postgresql
def test_postgresql_is_stopped_hard(
    server: PostgreSQL,
    beside: Stack,
    business: scene.Business,
    dose: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    stops, at_random = dose(1, 10), random.Random(random.random())
    scene.enrol(business, AUDIENCE)
    scene.misbehave(beside, slow=0.3)
    campaign = scene.launch(business)
    for _stop in range(stops):
        more = scene.accepted(beside) + 10
        beside.wait_until(lambda more=more: scene.accepted(beside) >= more)
        time.sleep(at_random.uniform(0, 1))
        hard.stop_hard(server, seconds=at_random.uniform(0, 2))
    assert campaign.messages.filter(status=Status.WAITING).exists(), "stopped too late to matter"
    scene.misbehave(beside)
    undecided = campaign.messages.undecided()
    beside.wait_until(lambda: not undecided.exists(), 120)
    scene.tell_receipts_again(beside)
    scene.await_end(beside, campaign)

    ours = scene.check_accounts(beside, campaign, AUDIENCE)
    reached = set(scene.received(beside))
    assert scene.those(ours, [Status.DELIVERED]) == reached
    assert scene.those(ours, [Status.UNKNOWN]) == set(AUDIENCE) - reached
    figures(
        fault="PostgreSQL killed",
        times=stops,
        messages=len(AUDIENCE),
        unknown=Attempt.objects.filter(code="worker died").count(),
        bound=stops * PROCESSES * 2 * BATCH,  # two batches are under way in each
    )
