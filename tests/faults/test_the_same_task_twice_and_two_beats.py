"""Two clocks that ring, and every task put into the queue many times, change nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from audit.models import Entry
from campaigns import dispatch
from campaigns.models import Message
from tests.conftest import AT
from tests.faults import scene
from tests.services import Server, Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO)
RING = """
from campaigns import tasks
for _time in range(10):
    for task in (tasks.keep_time, tasks.turn, tasks.sweep, tasks.reconcile):
        task.delay()
"""


@contextmanager
def second_beat(stack: Stack) -> Iterator[None]:
    env = {**stack.env, "BEAT_SCHEDULE": str(stack.directory / "second-schedule")}
    command = [sys.executable, "-m", "celery", "-A", "config", "beat", "--loglevel", "WARNING"]
    beat = Server(command, log=stack.directory / "second-beat.log", env=env)
    try:
        yield
    finally:
        beat.end()


@pytest.mark.stack(workers=2, CLAIM_SIZE="5", LEASE_SECONDS="6")
def test_the_same_task_twice_and_two_beats(beside: Stack, business: scene.Business) -> None:
    scene.enrol(business, AUDIENCE)
    campaign = scene.approved(business)
    with second_beat(beside):
        dispatch.schedule(campaign=campaign, by=business.approver, at=AT)
        beside.python(RING)
        beside.wait_until(campaign.messages.exists)
        scene.await_end(beside, campaign)
        beside.python(RING)
        finished = Entry.objects.filter(verb="campaign.finished")
        beside.wait_until(finished.exists)

    ours = scene.check_accounts(beside, campaign, AUDIENCE)
    assert scene.those(ours, [Message.Status.DELIVERED]) == set(AUDIENCE)
    for verb in ("campaign.sending", "campaign.enrolled", "campaign.finished"):
        assert Entry.objects.filter(verb=verb).count() == 1, verb
