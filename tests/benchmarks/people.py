"""Puts people with real tokens and indexes into the database fast, for campaigns that are sent.

No number is of anybody: they are made up, in memory and in a database that goes when the run ends,
and only a stub on this machine is told of them.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

from django.db import connection, connections

from config.encryption import blind_index
from consent import intake, places
from consent.intake import PERSON, OptIn, person_row
from consent.models import Notice, Purpose, Subscriber
from tests.benchmarks.stub_provider import fork

AREAS = [201, 212, 305, 312, 404, 407, 415, 503, 512, 602, 617, 689, 702, 713, 801, 808, 907, 919]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
LINES = 10_000  # of an exchange
BATCH = 2_000
PROCESSES = 2

CONSENTS_OF = """
INSERT INTO consent_consent (id, subscriber_id, purpose_id, notice_id, method, source, evidence,
    commitment, given_at, recorded_at, confirmed_at, confirmed_with)
SELECT gen_random_uuid(), id, %s, %s, 'web_form', 'list', '', '', %s, %s, %s, ''
FROM consent_subscriber
"""


def enrol(purpose: Purpose, notice: Notice, count: int) -> None:
    """So many people, all of whom want what `purpose` is about; into a database without any."""
    exchanges = range(200, 200 + -(-count // (LINES * len(AREAS))))
    prefixes = [f"+1{area}{exchange}" for exchange, area in product(exchanges, AREAS)]
    found = [places.of(f"{prefix}0100") for prefix in prefixes]
    keys = intake.area_keys(set(found))
    areas = [keys[place] for place in found]
    connections.close_all()
    _in_processes(count, list(zip(prefixes, areas, strict=True)), notice.pk)
    with connection.cursor() as cursor:
        cursor.execute(CONSENTS_OF, [purpose.pk, notice.pk, SINCE, SINCE, SINCE])
        cursor.execute("VACUUM ANALYZE")


def _in_processes(count: int, prefixes: list[tuple[str, int]], notice: int) -> None:
    shares = [range(place, count, PROCESSES) for place in range(PROCESSES)]
    writing = [fork.Process(target=_write, args=(share, prefixes, notice)) for share in shares]
    for process in writing:
        process.start()
    for process in writing:
        process.join()
        assert process.exitcode == 0


def _write(share: range, prefixes: list[tuple[str, int]], notice: int) -> None:
    for numbers in _batched(share):
        rows = [_person(n, prefixes, notice) for n in numbers]
        intake.write(Subscriber, PERSON, rows)
    connections.close_all()


def _batched(share: range) -> Iterator[range]:
    for start in range(0, len(share), BATCH):
        yield share[start : start + BATCH]


def _person(n: int, prefixes: list[tuple[str, int]], notice: int) -> tuple[Any, ...]:
    """Neighbours in the table live in different areas, as in any list."""
    line, place = divmod(n, len(prefixes))
    prefix, area = prefixes[place]
    number = f"{prefix}{line:04}"
    opt_in = OptIn(
        number_index=blind_index.of(number),
        e164=number,
        notice_id=notice,
        method="web_form",
        source="list",
        given_at=SINCE,
    )
    return person_row(uuid.uuid4(), opt_in, area)
