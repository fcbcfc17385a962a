"""A worker killed at any instant leaves nobody out and writes to nobody twice."""

import random
import time
from collections.abc import Callable

import pytest

from campaigns.models import Attempt, Message, Sender
from tests.faults import scene
from tests.services import Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO, scene.SAN_FRANCISCO)
BATCH = 5
PROCESSES = 2  # of one worker
Status = Message.Status


def kill_some(stack: Stack, times: int, at_random: random.Random) -> None:
    for _kill in range(times):
        time.sleep(at_random.uniform(0.1, 0.9))
        stack.kill_worker()
        stack.start_worker()


# Every second answer comes after the client's patience, so that nearly every instant is within a
# call; at a pace by which the campaign outlives the killing, however slow the machine.
@pytest.mark.stack(workers=2, GATEWAY_TIMEOUT="1", CLAIM_SIZE=str(BATCH), LEASE_SECONDS="3")
def test_a_killed_worker_loses_and_doubles_nothing(
    beside: Stack,
    business: scene.Business,
    dose: Callable[[int, int], int],
    figures: Callable[..., None],
) -> None:
    kills = dose(3, 12)
    scene.enrol(business, AUDIENCE)
    scene.misbehave(beside, slow=0.5)
    Sender.objects.update(segments_per_second=dose(6, 3))
    campaign = scene.launch(business)
    beside.wait_until(lambda: scene.accepted(beside) >= 10)
    kill_some(beside, kills, random.Random(20261124))
    assert campaign.messages.filter(status=Status.WAITING).exists(), "killed too late to matter"
    scene.misbehave(beside)
    Sender.objects.update(segments_per_second=None)
    scene.await_end(beside, campaign)

    ours = scene.check_accounts(beside, campaign, AUDIENCE)
    reached = set(scene.received(beside))
    assert scene.those(ours, [Status.DELIVERED]) == reached
    assert scene.those(ours, [Status.UNKNOWN]) == set(AUDIENCE) - reached
    assert Attempt.objects.filter(code="worker died").exists(), "no kill hit a call"
    unknown = campaign.messages.filter(status=Status.UNKNOWN)
    assert not unknown.filter(reason="").exists()
    died = Attempt.objects.filter(code="worker died").count()
    figures(
        fault="kill -9 at random",
        times=kills,
        messages=len(AUDIENCE),
        unknown=died,
        bound=kills * PROCESSES * 2 * BATCH,  # two batches are under way in each
    )
