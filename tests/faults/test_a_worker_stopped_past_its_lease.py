"""A worker that stands still past its lease and then goes on doubles nothing of what others did."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from campaigns.models import Attempt
from tests.faults import scene
from tests.faults.lives import (
    CLAIM_SIZE,
    MANNERS,
    Failpoint,
    Lives,
    carry_out,
    check,
    living,
    surely_reached,
    sweep,
)
from tests.faults.mortal import functions, lines_of, name

# The functions at whose first line it matters most, and how much may leave afterwards of what was
# let pass before; elsewhere all that had passed its last look may.
ALWAYS = {
    "calling.py:Calling.__init__": 0,
    "calling.py:Calling._hand_over": 0,
    "twilio.py:send": 1,  # what is nearly on the wire
    "delivery.py:settle": 0,
}
MOST_STOPS = 60
IMPATIENT = {"postgresql": "SET lock_timeout = '1s'", "sqlite": "PRAGMA busy_timeout = 1000"}


@pytest.fixture
def lives(
    transactional_db: None, tmp_path: Path, settings: Any, dose: Callable[[int, int], int]
) -> Iterator[Lives]:
    times = len(MANNERS) + dose(len(ALWAYS), MOST_STOPS)
    with living(settings, tmp_path, lives=times, lease=2) as ready:
        yield ready


def test_a_worker_stopped_past_its_lease(
    lives: Lives, dose: Callable[[int, int], int], figures: Callable[..., None]
) -> None:
    lives.prepare()
    chosen = first_lines()
    most = {point.line: ALWAYS[point.line.rpartition("+")[0]] for point in chosen}
    if more := dose(0, MOST_STOPS - len(chosen)):
        chosen += random.Random(random.random()).sample(surely_reached(lives.failpoints()), more)
    with connection.cursor() as cursor:
        cursor.execute(IMPATIENT[connection.vendor])
    found = [stand_still(lives, point, most.get(point.line, CLAIM_SIZE)) for point in chosen]
    assert any(found), "none stood still where others could go on"
    connection.close()
    lives.carry_out()

    check(lives)
    figures(
        fault="SIGSTOP past the lease",
        times=len(chosen),
        messages=len(lives.audience),
        unknown=Attempt.objects.filter(code="worker died").count(),
        bound=len(chosen) * 2 * CLAIM_SIZE,  # two batches are under way
    )


def first_lines() -> list[Failpoint]:
    """The first line of each function where it always matters."""
    lines = [name(code, min(lines_of(code))) for code in functions()]
    found = {line.rpartition("+")[0]: line for line in lines}
    return [Failpoint(found[function], "takes all", times=1) for function in ALWAYS]


def stand_still(lives: Lives, point: Failpoint, most: int) -> bool:
    """Stop there, let others find and carry out what is left, and go on; whether they could.

    They cannot while it stands still within a transaction that holds what they need.
    """
    life = lives.live(point.manner, end_at=point.line, stop=True)
    assert life.stopped, f"{point} was not come to"
    scene.misbehave(lives.provider)
    try:
        sweep()
        carry_out(lives.at(lives.began - 1))
    except OperationalError:
        return False
    finally:
        assert go_on(lives) <= most, point
    return True


def go_on(lives: Lives) -> int:
    """How many are handed over by an attempt that was on record before, and not at the provider."""
    on_record = {attempt.hex for attempt in Attempt.objects.values_list("pk", flat=True)}
    on_record -= scene.attempts_at(lives.provider)
    assert not lives.go_on().died
    return len(on_record & scene.attempts_at(lives.provider))
