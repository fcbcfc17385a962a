"""A worker killed at any instant leaves nobody out and writes to nobody twice."""

import random
import time

import pytest

from campaigns.models import Attempt, Message
from tests.faults import scene
from tests.services import Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO, scene.SAN_FRANCISCO)
KILLS = 3
Status = Message.Status


def kill_some(stack: Stack, at_random: random.Random) -> None:
    for _kill in range(KILLS):
        time.sleep(at_random.uniform(0.1, 0.9))
        stack.kill_worker()
        stack.start_worker()


# Every second answer comes after the client's patience, so that nearly every instant is within a
# call; five at a time, so that the campaign outlives the killing on any machine.
@pytest.mark.stack(workers=2, GATEWAY_TIMEOUT="1", CLAIM_SIZE="5", LEASE_SECONDS="3")
def test_a_killed_worker_loses_and_doubles_nothing(beside: Stack, business: scene.Business) -> None:
    scene.enrol(business, AUDIENCE)
    scene.misbehave(beside, slow=0.5)
    campaign = scene.launch(business)
    beside.wait_until(lambda: scene.accepted(beside) >= 10)
    kill_some(beside, random.Random(20261124))
    assert campaign.messages.filter(status=Status.WAITING).exists(), "killed too late to matter"
    scene.misbehave(beside)
    scene.await_end(beside, campaign)

    ours = scene.check_accounts(beside, campaign, AUDIENCE)
    reached = set(scene.received(beside))
    assert scene.those(ours, [Status.DELIVERED]) == reached
    assert scene.those(ours, [Status.UNKNOWN]) == set(AUDIENCE) - reached
    assert Attempt.objects.filter(code="worker died").exists(), "no kill hit a call"
    assert not campaign.messages.filter(status=Status.UNKNOWN, reason="").exists()
