"""A running product on a PostgreSQL server of its own, which may be killed and started again."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from tests.conftest import AT
from tests.services import PostgreSQL, Stack, database_url, stack


@contextmanager
def durable_server() -> Iterator[PostgreSQL]:
    """A server that keeps what is committed, with every table there is and nothing in them."""
    directory = Path(os.environ["VOLENS_TEST_DIR"]) / "durable"
    server = PostgreSQL(directory, durable=True)
    try:
        server.start()
        pristine = f"{connection.settings_dict['NAME']}_pristine"
        server.fill(database_url(os.environ["DATABASE_URL"], pristine))
        yield server
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def stack_on(server: PostgreSQL, directory: Path, **changes: str | int) -> Iterator[Stack]:
    """The whole product on that server."""
    with stack(directory, database=server.url, clock=AT, **changes) as product:
        yield product


def stop_hard(server: PostgreSQL, *, seconds: float) -> None:
    """Kill every process of it, and start it again on the same files a while later."""
    server.stop_hard()
    time.sleep(seconds)
    server.start()
    connection.close()  # it does not know yet
