"""The queue server may be emptied or killed: the table is the queue, so nothing is lost."""

import time

import pytest

from campaigns.models import Message
from tests.faults import scene
from tests.faults.queue_server import another, empty, kill, supervise
from tests.services import Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO)


def await_more(stack: Stack, messages: int) -> None:
    goal = scene.accepted(stack) + messages
    stack.wait_until(lambda: scene.accepted(stack) >= goal)


@pytest.mark.stack(CLAIM_SIZE="5", GATEWAY_TIMEOUT="3", LEASE_SECONDS="6")
def test_redis_may_vanish(own_queue: None, beside: Stack, business: scene.Business) -> None:
    scene.enrol(business, AUDIENCE)
    scene.misbehave(beside, slow=0.05)
    campaign = scene.launch(business)
    await_more(beside, 10)
    empty(beside)
    await_more(beside, 10)
    kill(beside)
    time.sleep(1)
    assert campaign.messages.filter(status=Message.Status.WAITING).exists(), "too late to matter"
    with another(beside):
        scene.misbehave(beside)
        scene.await_end(beside, campaign, meanwhile=lambda: supervise(beside))
        ours = scene.check_accounts(beside, campaign, AUDIENCE)
        assert scene.those(ours, [Message.Status.DELIVERED]) == set(AUDIENCE)
        beside.end()
