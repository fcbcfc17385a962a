"""A million opt-ins taken in by two workers, beside the ORM's own ways for the same rows.

Ours: every row read, validated, encrypted, indexed, tried out, decided, reported and told to the
trail. The peers do less: from rows that were read and validated before the clock started, they
encrypt and store people and consents, with no report, no decision on refusals and no trail.
"""

import csv
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from django.db import connection, connections

from config.encryption import blind_index
from consent import intake, list_work, lists, numbers, purposes, rows
from consent.intake import OptIn
from consent.list_rows import OptInReader, Refusal
from consent.models import Consent, ListImport, Notice, Purpose, Subscriber

ROWS = int(os.environ.get("ROWS", "1000000"))
PEER_ROWS = int(os.environ.get("PEER_ROWS", "50000"))
SLOW_PEER_ROWS = int(os.environ.get("SLOW_PEER_ROWS", "1000"))
WORKERS = 2
AREAS = [201, 212, 305, 312, 404, 407, 415, 503, 512, 602, 617, 689, 702, 713, 801, 808, 907, 919]
NAMES = ["Ada", "Bob", "Chloé", "Dmitri", "Emeka", "Fatima", "Grace", "Hiroshi", "", "Íñigo"]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
HEADINGS = [
    *("Phone", "First Name", "Default Address Province Code", "Accepts SMS Marketing"),
    *("SMS Consent Updated At", "SMS Consent Level", "Tags"),
]
WORDING = (
    "Offers from Harbor Coffee, up to 4 msgs/month. Not a condition of purchase. Msg & data rates "
    "may apply. HELP for help, STOP to cancel. harbor.example/terms harbor.example/privacy"
)

fork = multiprocessing.get_context("fork")


def listed(count: int) -> Iterator[list[str]]:
    """Rows as a shop exports them: one in a hundred holds no number, one in fifty comes twice.

    No number is of anybody: they are made up, in memory and in a file that goes when the run ends,
    and nothing can send to them.
    """
    for n in range(count):
        one = n - 1 if n % 50 == 49 else n
        area = AREAS[one % len(AREAS)]
        exchange, line = divmod(one // len(AREAS), 10_000)
        number = "n/a" if n % 100 == 37 else f"+1 {area}-{200 + exchange}-{line * 7919 % 10_000:04}"
        given = SINCE + timedelta(seconds=one * 20 % 25_000_000)
        level = "confirmed_opt_in" if one % 3 else "single_opt_in"
        name = NAMES[one % len(NAMES)]
        yield [number, name, "NY", "yes", f"{given:%Y-%m-%d %H:%M:%S} +0000", level, "vip"]


@pytest.fixture
def purpose(transactional_db: None) -> Purpose:
    return purposes.define(
        code="offers",
        name="Offers",
        promise="Offers.",
        frequency=4,
        period=Purpose.Period.MONTH,
        double_opt_in=True,
        by="command",
        at=SINCE,
    )


@pytest.fixture
def notice(purpose: Purpose) -> Notice:
    return purposes.publish(
        purpose=purpose, language="en", wording=WORDING, shown_from=SINCE, by="command", at=AT
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([HEADINGS, *listed(ROWS)])
    return path


def seconds(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def by_workers() -> None:
    """All that lists wait for, done by worker processes."""
    connections.close_all()
    running = [fork.Process(target=_work) for _worker in range(WORKERS)]
    for process in running:
        process.start()
    for process in running:
        process.join()
        assert process.exitcode == 0


def _work() -> None:
    while list_work.turn(by="worker", at=AT):
        pass
    connections.close_all()


def test_a_list_is_taken_in(
    purpose: Purpose, notice: Notice, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _let_the_log_grow()
    brought, bringing = _bring(file, purpose)
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=AT)
    trying = seconds(by_workers)
    brought.refresh_from_db()
    lists.begin(brought=brought, by="command", at=AT)
    taking = seconds(by_workers)
    brought.refresh_from_db()
    assert brought.stage == ListImport.Stage.FINISHED
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    ours = ROWS / (trying + taking)
    with capsys.disabled():
        print(f"\n{ROWS:,} rows, {file.stat().st_size / 1e6:.0f} MB, {WORKERS} workers")
        print(f"  brought (upload, one process)   {ROWS / bringing:>9,.0f} rows a second")
        print(f"  read, validated, tried out      {ROWS / trying:>9,.0f}")
        print(f"  decided, encrypted, taken in    {ROWS / taking:>9,.0f}")
        print(f"  read to taken in, in all        {ours:>9,.0f}   the limit set: 20,000")
        print(f"  fates {brought.counts()}, a worker's memory {peak:.0f} MB")
        _print_peers(purpose, notice, ours)


def _let_the_log_grow() -> None:
    """As a server for this work is set up; the default makes a checkpoint every few seconds."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        cursor.execute("SELECT pg_reload_conf()")


def _bring(file: Path, purpose: Purpose) -> tuple[ListImport, float]:
    since = time.perf_counter()
    with file.open("rb") as opened:
        brought = lists.bring(
            file=opened,
            kind=ListImport.Kind.OPT_INS,
            purpose=purpose,
            label="shop export",
            by="command",
            at=AT,
        )
    return brought, time.perf_counter() - since


# --- peers -------------------------------------------------------------------------------------


def _print_peers(purpose: Purpose, notice: Notice, ours: float) -> None:
    peers = {
        "bulk_create, 2 processes": (_bulk_create, PEER_ROWS),
        "update_or_create, 2 processes": (_update_or_create, SLOW_PEER_ROWS),
    }
    for name, (work, count) in peers.items():
        _forget_everyone()
        reached = count / seconds(
            lambda work=work, count=count: _both(work, count, purpose, notice)
        )  # type: ignore[misc]
        print(f"  {name:31} {reached:>9,.0f}   ours is {ours / reached:.1f} times that")


def _both(
    work: Callable[[list[OptIn], Notice], None], count: int, purpose: Purpose, notice: Notice
) -> None:
    """The same work on two halves of people whom nobody else brings, as an ORM user would."""
    brought = ListImport(purpose=purpose, label="peer", created_at=AT)
    reader, columns = OptInReader(brought), rows.guess(HEADINGS)
    cells = islice(listed(count * 2), count)
    read = [reader.read(line, rows.named(columns, row)) for line, row in enumerate(cells)]
    people = {row.opt_in.number_index: row.opt_in for row in read if not isinstance(row, Refusal)}
    halves = [list(people.values())[part::WORKERS] for part in range(WORKERS)]
    connections.close_all()
    running = [fork.Process(target=work, args=(half, notice)) for half in halves]
    for process in running:
        process.start()
    for process in running:
        process.join()
        assert process.exitcode == 0


def _forget_everyone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table in ("consent_consent", "consent_subscriber"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM consent_consent")
        cursor.execute("DELETE FROM consent_subscriber")
        for table in ("consent_consent", "consent_subscriber"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        cursor.execute("SET session_replication_role = origin")


def _person(opt_in: OptIn, area: int) -> Subscriber:
    return Subscriber(
        number=opt_in.e164,
        number_index=opt_in.number_index,
        area_id=area,
        language=opt_in.language,
        first_name=opt_in.first_name,
    )


def _consent(opt_in: OptIn, person: Subscriber, notice: Notice) -> Consent:
    return Consent(
        subscriber=person,
        purpose_id=notice.purpose_id,
        notice=notice,
        method=opt_in.method,
        source=opt_in.source,
        given_at=opt_in.given_at,
        recorded_at=AT,
        confirmed_at=opt_in.confirmed_at,
    )


def _bulk_create(people: list[OptIn], notice: Notice) -> None:
    areas = intake.areas(people)
    for start in range(0, len(people), 1_000):
        some, places = people[start : start + 1_000], areas[start : start + 1_000]
        made = Subscriber.objects.bulk_create(map(_person, some, places))
        Consent.objects.bulk_create(
            _consent(opt_in, person, notice) for opt_in, person in zip(some, made, strict=True)
        )
    connections.close_all()


def _update_or_create(people: list[OptIn], notice: Notice) -> None:
    for opt_in, area in zip(people, intake.areas(people), strict=True):
        number = numbers.parse(opt_in.e164)
        person, _new = Subscriber.objects.update_or_create(
            number_index=blind_index.of(number.e164),
            defaults={"number": number.e164, "area_id": area, "language": opt_in.language},
        )
        Consent.objects.update_or_create(
            subscriber=person,
            purpose_id=notice.purpose_id,
            withdrawn_at=None,
            defaults={
                "notice": notice,
                "method": opt_in.method,
                "source": opt_in.source,
                "given_at": opt_in.given_at,
                "recorded_at": AT,
            },
        )
    connections.close_all()
