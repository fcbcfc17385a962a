"""How fast a list of opt-ins is taken in, beside the ORM's own ways for the same rows.

python -m tests.benchmarks.import_of_lists [--rows 1000000] [--peers 20000]

A real PostgreSQL that keeps fsync; two worker processes; every row is validated, encrypted,
indexed, decided and reported. Peers do less: `bulk_create` and `update_or_create` store the same
people and consents, from the same parsed and encrypted rows, without a report or a trail.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests import environment, services

AREA_CODES = [
    "201",
    "212",
    "305",
    "312",
    "404",
    "407",
    "415",
    "503",
    "512",
    "602",
    "617",
    "689",
    "702",
    "713",
    "801",
    "808",
    "907",
    "919",
]
NAMES = ["Ada", "Bob", "Chloé", "Dmitri", "Emeka", "Fatima", "Grace", "Hiroshi", "", "Íñigo"]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
HEADINGS = [
    "Phone",
    "First Name",
    "Default Address Province Code",
    "Accepts SMS Marketing",
    "SMS Consent Updated At",
    "SMS Consent Level",
    "Tags",
]


def listed(count: int) -> Iterator[list[str]]:
    """Rows as a shop exports them: one in a hundred cannot be a number, one in fifty comes twice.

    The exchange 555 is assigned to nobody; nothing is ever sent to these numbers.
    """
    for n in range(count):
        one = n - 1 if n % 50 == 49 else n
        area = AREA_CODES[one % len(AREA_CODES)]
        line = one // len(AREA_CODES) * 7919 % 10_000
        exchange = 200 + one // (len(AREA_CODES) * 10_000) * 37 % 700
        number = "n/a" if n % 100 == 37 else f"+1 {area}-{exchange}-{line:04d}"
        given = SINCE + timedelta(seconds=one * 20 % 25_000_000)
        level = "confirmed_opt_in" if one % 3 else "single_opt_in"
        name = NAMES[one % len(NAMES)]
        yield [number, name, "NY", "yes", f"{given:%Y-%m-%d %H:%M:%S} +0000", level, "vip"]


def write_list(path: Path, count: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        writer.writerows(listed(count))


def work() -> None:
    """What each worker process does: turns until no list waits."""
    import django

    django.setup()
    from consent import list_work

    while list_work.turn(by="worker", at=AT):
        pass


def race(workers: int) -> float:
    """Seconds until so many worker processes have done all there is to do."""
    command = [sys.executable, "-m", "tests.benchmarks.import_of_lists", "--work"]
    since = time.perf_counter()
    import resource

    r0 = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = [subprocess.Popen(command) for _worker in range(workers)]
    if any(process.wait() for process in running):
        sys.exit("a worker failed")
    r1 = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("  workers' cpu", round(r1.ru_utime + r1.ru_stime - r0.ru_utime - r0.ru_stime, 1))
    return time.perf_counter() - since


def main(rows: int, peers: int, workers: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from consent import lists, purposes
    from consent.models import ImportRow, ListImport, Purpose, Subscriber

    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        cursor.execute("SELECT pg_reload_conf()")
    call_command("migrate", verbosity=0)
    purpose = purposes.define(
        code="offers",
        name="Offers",
        promise="Offers.",
        frequency=4,
        period=Purpose.Period.MONTH,
        double_opt_in=True,
        by="command",
        at=SINCE,
    )
    wording = (
        "Harbor Coffee: offers, up to 4 msgs/month. Not a condition of purchase. Msg & data rates "
        "may apply. HELP for help, STOP to cancel. harbor.example/terms harbor.example/privacy"
    )
    purposes.publish(
        purpose=purpose,
        language="en",
        wording=wording,
        shown_from=SINCE - timedelta(days=1),
        by="command",
        at=SINCE,
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "list.csv"
        write_list(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB, {workers} worker processes")
        since = time.perf_counter()
        with path.open("rb") as file:
            brought = lists.bring(
                file=file,
                kind=ListImport.Kind.OPT_INS,
                purpose=purpose,
                label="bench",
                by="command",
                at=AT,
            )
        bringing = time.perf_counter() - since
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=AT)
    reading = race(workers)
    brought.refresh_from_db()
    lists.begin(brought=brought, by="command", at=AT)
    taking = race(workers)
    brought.refresh_from_db()
    print(
        "brought",
        f"{bringing:.1f} s",
        "read and tried out",
        f"{reading:.1f} s",
        "taken",
        f"{taking:.1f} s",
    )
    print(
        f"rows a second: {rows / (reading + taking):,.0f} read and taken, {rows / (bringing + reading + taking):,.0f} with the upload"
    )
    print(brought.stage, brought.counts(), Subscriber.objects.count(), ImportRow.objects.count())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peers", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if options.work:
        work()
    else:
        made = environment._directory()
        with services.postgres(made / "postgres", durable=True) as url:
            os.environ.update(environment.for_tests(os.environ, directory=made, database=url))
            main(options.rows, options.peers, options.workers)
