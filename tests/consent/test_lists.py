"""Every row of a list meets one fate, whoever stops, resumes, repeats or shares the work."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Count
from django.test.utils import CaptureQueriesContext

from audit import roles
from audit.models import Entry
from audit.trail import NotRecorded
from consent import ledger, lists, purposes, tasks
from consent.models import Consent, ImportRow, ListImport, Method, Purpose, Subscriber, Suppression
from consent.numbers import SENTENCES, Reason
from consent.rows import NotAList
from tests.conftest import WORDINGS, Clock, Enrol
from tests.consent.conftest import ADA, BOB, Permitted, TakeIn, Withdraw, as_csv

DATA = Path(__file__).parents[1] / "data"
DAY = timedelta(days=1)
WORDING_LACKS = lists.WORDING_LACKS.format(
    missing="the business's name nor that it is not a condition of purchase"
)
NO_NAME = "The first name looked like a formula and was left out."

# What becomes of the rows of the four sample lists, in the order in which they are brought.
FATES: dict[str, dict[tuple[str, str], int]] = {
    "provider_optouts.csv": {("suppressed", lists.OPTED_OUT): 400},
    "web_form_optins.csv": {
        ("accepted", ""): 1247,
        ("refused", WORDING_LACKS): 1562,
        ("suppressed", ledger.SUPPRESSED): 191,
    },
    "shop_customers.csv": {
        ("accepted", ""): 361,
        ("accepted", NO_NAME): 1,
        ("merged", ledger.MERGED): 19,
        ("merged", f"{ledger.MERGED} {NO_NAME}"): 1,
        ("merged", ledger.CONFIRMED_BY_ROW): 2,
        ("refused", WORDING_LACKS): 353,
        ("refused", lists.NOT_AGREED): 182,
        ("refused", lists.NO_DATE): 72,
        ("refused", lists.NO_SUCH_DATE): 1,
        ("refused", SENTENCES[Reason.EMPTY]): 1,
        ("refused", SENTENCES[Reason.NOT_A_NUMBER]): 1,
        ("refused", SENTENCES[Reason.SPREADSHEET_DAMAGED]): 1,
        ("refused", SENTENCES[Reason.SEVERAL_NUMBERS]): 1,
        ("refused", SENTENCES[Reason.EXTENSION]): 1,
        ("refused", SENTENCES[Reason.NO_AREA_CODE]): 1,
        ("refused", SENTENCES[Reason.TOLL_FREE]): 1,
        ("refused", SENTENCES[Reason.PREMIUM_RATE]): 1,
    },
    "eu_leads_cp1252.csv": {("refused", lists.NO_WORDING): 200},
}
LEFT_OUT = {
    "provider_optouts.csv": ["keyword", "sender"],
    "web_form_optins.csv": ["postal_code"],
    "shop_customers.csv": [
        *("Customer ID", "Last Name", "Email", "Accepts Email Marketing"),
        *("Default Address City", "Default Address Zip", "Tags", "Note"),
    ],
    "eu_leads_cp1252.csv": [],
}
Row = Callable[..., dict[str, str]]


@pytest.fixture
def sample(take_in: TakeIn, purpose: Purpose, at: datetime) -> Callable[..., ListImport]:
    """Takes in one of the four files, as the demo does: the wording of before 2025 is on record."""
    purposes.publish(
        purpose=purpose,
        language="en",
        wording=WORDINGS["before_2025"],
        shown_from=datetime(2020, 1, 1, tzinfo=UTC),
        by="command",
        at=at,
    )

    def taken(name: str, *, rows: int | None = None) -> ListImport:
        kind = "opt_outs" if name.startswith("provider") else "opt_ins"
        head = (DATA / name).read_bytes().splitlines(keepends=True)[: rows and rows + 1]
        return take_in(b"".join(head), kind=kind, label=name)

    return taken


@pytest.fixture
def row(at: datetime) -> Row:
    """A row that is accepted; other cells may be put in their place."""

    def cells(phone: str = ADA, **more: str) -> dict[str, str]:
        opted_in = (at - 30 * DAY).isoformat()
        return {"phone": phone, "opted_in_at": opted_in, "confirmed": "yes", **more}

    return cells


def fates(brought: ListImport) -> dict[tuple[str, str], int]:
    counted = brought.rows.values_list("fate", "reason").annotate(Count("pk")).order_by()
    return {(fate, reason): count for fate, reason, count in counted}


def lines(brought: ListImport) -> list[int]:
    return list(brought.rows.order_by("line").values_list("line", flat=True))


def state() -> tuple[Any, ...]:
    """Everybody's consents and refusals."""
    consents = Consent.objects.order_by("pk").values_list("pk", "confirmed_at", "withdrawn_at")
    refusals = Suppression.objects.order_by("pk").values_list("pk", "at", "lifted_at")
    return Subscriber.objects.count(), list(consents), list(refusals)


# --- the four sample lists ---------------------------------------------------------------------


def test_every_row_of_the_sample_lists_meets_its_fate_once(
    sample: Callable[..., ListImport], at: datetime
) -> None:
    for name, expected in FATES.items():
        brought = sample(name)
        assert fates(brought) == expected, name
        assert lines(brought) == list(range(2, brought.lines + 2))
        assert brought.taken == brought.lines == sum(expected.values())
        assert brought.columns_left_out == LEFT_OUT[name]
    assert Subscriber.objects.count() == 1247 + 361 + 1
    assert Consent.objects.permitting(at).count() == 1146
    assert Suppression.objects.standing().count() == 400
    reasons = ImportRow.objects.values_list("reason", flat=True).distinct()
    assert not [reason for reason in reasons if re.search(r"\d", reason)]
    shown = ImportRow.objects.values_list("shown_as", flat=True).distinct()
    assert not [number for number in shown if re.search(r"\d{4}", number)]


def test_the_sample_lists_again_change_nothing(sample: Callable[..., ListImport]) -> None:
    first = {name: sample(name, rows=500) for name in FATES}
    before = state()
    again = {name: sample(name, rows=500) for name in FATES}
    assert state() == before
    for name, brought in again.items():
        counts, counts_before = brought.counts(), first[name].counts()
        known = counts_before.pop("accepted", 0) + counts_before.pop("merged", 0)
        assert counts == {**counts_before, **({"merged": known} if known else {})}, name
    assert fates(again["provider_optouts.csv"]) == {("suppressed", lists.OPTED_OUT_BEFORE): 400}


# --- what a row says ---------------------------------------------------------------------------

ROWS: list[tuple[dict[str, str], str, str]] = [
    ({}, "accepted", ""),
    ({"opted_in_at": "2026-11-24 18:00:00"}, "accepted", ""),
    ({"opted_in_at": "2026-11-24 18:00:01"}, "refused", lists.IN_FUTURE),
    ({"opted_in_at": ""}, "refused", lists.NO_DATE),
    ({"opted_in_at": "2025-02-30"}, "refused", lists.NO_SUCH_DATE),
    ({"opted_in_at": "0001-01-01T00:00:00+05:00"}, "refused", lists.NO_SUCH_DATE),
    ({"opted_in_at": "2024-12-31"}, "refused", lists.NO_WORDING),
    ({"sms_consent": "yes"}, "accepted", ""),
    ({"sms_consent": "no"}, "refused", lists.NOT_AGREED),
    ({"sms_consent": ""}, "refused", lists.NOT_AGREED),
    ({"method": "paper_form"}, "accepted", ""),
    ({"method": ""}, "accepted", ""),
    ({"method": "bought"}, "refused", lists.NO_METHOD),
    ({"method": "restored"}, "refused", lists.NO_METHOD),
    ({"language": "EN-us"}, "accepted", ""),
    ({"language": "de"}, "refused", lists.NO_WORDING),
    ({"wording": WORDINGS["current"].replace(" ", "  ")}, "accepted", ""),
    ({"wording": "Text me!"}, "refused", lists.UNKNOWN_WORDING),
    ({"first_name": "Ada"}, "accepted", ""),
    ({"first_name": "=1+1"}, "accepted", NO_NAME),
    ({"first_name": "A" * 5000}, "accepted", "The first name was too long and was left out."),
    ({"phone": '="+12125550123"'}, "accepted", ""),
    ({"phone": ""}, "refused", SENTENCES[Reason.EMPTY]),
    ({"phone": "1.21256E+10"}, "refused", SENTENCES[Reason.SPREADSHEET_DAMAGED]),
    ({"phone": "07700 900123", "country": "gb"}, "accepted", ""),
    ({"phone": "2125550123", "country": "Atlantis"}, "refused", SENTENCES[Reason.UNKNOWN_COUNTRY]),
]


@pytest.mark.parametrize(("cells", "fate", "reason"), ROWS)
def test_what_a_row_says_decides_its_fate(
    take_in: TakeIn, row: Row, cells: dict[str, str], fate: str, reason: str
) -> None:
    brought = take_in(as_csv(row(**cells)))
    assert fates(brought) == {(fate, reason): 1}
    assert Consent.objects.exists() == (fate == "accepted")


def test_a_wording_that_is_no_evidence_is_refused(
    take_in: TakeIn, row: Row, purpose: Purpose, at: datetime
) -> None:
    purposes.publish(
        purpose=purpose,
        language="en",
        wording="Harbor Coffee texts",
        shown_from=at - 99 * DAY,
        by="command",
        at=at,
    )
    brought = take_in(as_csv(row()))
    [(fate, reason)] = fates(brought)
    assert (fate, reason) == (
        "refused",
        lists.WORDING_LACKS.format(missing="that it is not a condition of purchase"),
    )


def test_a_row_cut_short_has_not_agreed(take_in: TakeIn, at: datetime) -> None:
    brought = take_in(f"phone,opted_in_at,sms_consent\n{ADA},{at.isoformat()}\n".encode())
    assert fates(brought) == {("refused", lists.NOT_AGREED): 1}


def test_an_accepted_row_becomes_a_consent_with_its_evidence(
    take_in: TakeIn, row: Row, at: datetime
) -> None:
    cells = {"first_name": "Ada", "state": "FL", "source": "till 3", "method": "keyword"}
    proof = {"ip": "203.0.113.7", "user_agent": "Browser/1"}
    brought = take_in(as_csv(row(**cells, **proof)))
    consent = Consent.objects.select_related("subscriber__area").get()
    assert (consent.method, consent.source) == (Method.KEYWORD, "till 3")
    assert (consent.given_at, consent.confirmed_at) == (at - 30 * DAY, at - 30 * DAY)
    assert consent.evidence == '{"ip_address": "203.0.113.7", "user_agent": "Browser/1"}'
    person = consent.subscriber
    assert (person.number, person.first_name, person.area.region) == (ADA, "Ada", "FL")
    assert brought.rows.get().shown_as == "+1 ••• ••• ••23"


@pytest.mark.parametrize(
    "source",
    ["", "call +12125550123", "ada@mail.example", "?name=Ada", "#ada"],
)
def test_a_source_that_says_nothing_or_too_much_is_the_lists_label(
    take_in: TakeIn, row: Row, source: str
) -> None:
    take_in(as_csv(row(source=source)), label="till")
    assert Consent.objects.get().source == "till"


def test_a_source_is_kept_without_what_an_address_says_of_a_person(
    take_in: TakeIn, row: Row
) -> None:
    take_in(as_csv(row(source="https://harbor.example/join?name=Ada#ada" + "x" * 300)))
    assert Consent.objects.get().source == "https://harbor.example/join"


def test_a_row_that_does_not_say_how_is_as_the_list_says(take_in: TakeIn, row: Row) -> None:
    take_in(as_csv(row()), method=Method.PAPER_FORM)
    assert Consent.objects.get().method == Method.PAPER_FORM


def test_a_row_that_does_not_say_where_is_where_the_list_says(take_in: TakeIn, row: Row) -> None:
    take_in(as_csv(row("07700 900123")), country="GB")
    assert Subscriber.objects.get().number == "+447700900123"


def test_only_a_confirmed_row_permits(take_in: TakeIn, row: Row, permitted: Permitted) -> None:
    take_in(as_csv(row(), row(BOB, confirmed="no")))
    assert permitted(ADA)
    assert not permitted(BOB)


def test_a_number_in_six_formats_is_one_person(take_in: TakeIn, row: Row) -> None:
    written = ["+12125550123", "(212) 555-0123", "212.555.0123", "1 212 555 0123"]
    written += ["001 212 555 0123", "\u200b２１２５５５０１２３"]
    brought = take_in(as_csv(*(row(number) for number in written)))
    assert brought.counts() == {"accepted": 1, "merged": 5}
    assert Subscriber.objects.get().number == ADA


def test_columns_that_are_not_wanted_are_named_and_forgotten(take_in: TakeIn, row: Row) -> None:
    brought = take_in(as_csv(row(Birthday="1 April 1990", Email="ada@mail.example")))
    assert brought.columns_left_out == ["Birthday", "Email"]
    entry = Entry.objects.get(verb="list.brought")
    assert entry.facts == {"kind": "opt_ins", "lines": 1, "columns_left_out": 2}


def test_the_trail_tells_who_brought_a_list_and_what_became_of_it(
    bring: TakeIn, row: Row, operators: Callable[..., Any], at: datetime
) -> None:
    clerk = operators(roles.SUBSCRIBER_MANAGER)
    brought = bring(as_csv(row(), row(BOB, opted_in_at="")), by=clerk)
    list(lists.take(brought=brought, by="worker", at=at + DAY))
    came, taken = Entry.objects.filter(subject=f"list:{brought.pk}").order_by("pk")
    assert (came.verb, came.actor, came.at) == ("list.brought", f"operator:{clerk.pk}", at)
    assert (taken.verb, taken.actor, taken.at) == ("list.taken", "worker", at + DAY)
    assert taken.facts == {"accepted": 1, "refused": 1}
    assert brought.imported_by == clerk


# --- refusals and withdrawals ------------------------------------------------------------------


def test_no_list_lifts_a_refusal(
    take_in: TakeIn, row: Row, withdraw: Withdraw, permitted: Permitted, at: datetime
) -> None:
    withdraw(at=at - 99 * DAY)
    brought = take_in(as_csv(row()))
    assert fates(brought) == {("suppressed", ledger.SUPPRESSED): 1}
    assert Suppression.objects.standing().exists()
    assert not permitted()


def test_no_list_opens_what_was_withdrawn_after_the_row(
    take_in: TakeIn, row: Row, person: Enrol, withdraw: Withdraw, permitted: Permitted, at: datetime
) -> None:
    person()
    withdraw(at=at - 10 * DAY)
    Suppression.objects.update(lifted_at=at)
    brought = take_in(as_csv(row()))
    assert fates(brought) == {("refused", ledger.WITHDRAWN_SINCE): 1}
    assert not permitted()


def test_a_list_of_opt_outs_withdraws_whoever_it_names(
    take_in: TakeIn, person: Enrol, permitted: Permitted
) -> None:
    person()
    brought = take_in(
        b"phone\n(212) 555-0123\n212 555 0124\n+12125550123\nnobody\n", kind="opt_outs"
    )
    assert fates(brought) == {
        ("suppressed", lists.OPTED_OUT): 2,
        ("suppressed", lists.OPTED_OUT_BEFORE): 1,
        ("refused", SENTENCES[Reason.NOT_A_NUMBER]): 1,
    }
    assert not permitted()
    refusals = Suppression.objects.filter(purpose=None).values_list("channel", "reason")
    assert list(refusals) == [("provider", "on a list of opt-outs")] * 2


def test_opt_outs_go_before_opt_ins_of_a_later_list(
    take_in: TakeIn, row: Row, permitted: Permitted
) -> None:
    take_in(f"phone\n{ADA}\n".encode(), kind="opt_outs")
    assert take_in(as_csv(row())).counts() == {"suppressed": 1}
    assert not permitted()


# --- stopped, resumed, shared ------------------------------------------------------------------


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of two rows."""
    monkeypatch.setattr(lists, "CHUNK", 2)


def people(row: Row, count: int) -> bytes:
    """A list of so many people."""
    return as_csv(*(row(f"+121255501{number:02}") for number in range(count)))


def loaded(brought: ListImport) -> ListImport:
    """The list as another process finds it."""
    return ListImport.objects.get(pk=brought.pk)


def taking(brought: ListImport, at: datetime) -> Iterator[int]:
    return lists.take(brought=loaded(brought), by="worker", at=at)


@pytest.mark.usefixtures("pairs")
def test_a_list_that_was_left_half_way_is_taken_up_there(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    brought = bring(people(row, 5))
    assert list(islice(taking(brought, at), 1)) == [2]
    assert (loaded(brought).taken, loaded(brought).finished_at) == (2, None)
    assert list(taking(brought, at)) == [4, 5]
    assert lines(brought) == [2, 3, 4, 5, 6]
    assert loaded(brought).counts() == {"accepted": 5}
    assert loaded(brought).finished_at == at


@pytest.mark.usefixtures("pairs")
def test_the_chunk_that_fails_leaves_nothing_and_the_ones_before_stay(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    brought = bring(people(row, 5))
    assert list(islice(taking(brought, at), 1)) == [2]
    with pytest.raises(NotRecorded):
        list(lists.take(brought=loaded(brought), by="somebody", at=at))
    assert loaded(brought).taken == ImportRow.objects.count() == Subscriber.objects.count() == 2


def test_a_finished_list_is_not_taken_again(take_in: TakeIn, row: Row, at: datetime) -> None:
    brought = take_in(people(row, 2))
    before = Entry.objects.count()
    assert list(taking(brought, at)) == []
    assert (ImportRow.objects.count(), Entry.objects.count()) == (2, before)


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("lead", [1, 2, 3, 4])
def test_a_worker_that_comes_late_takes_no_row_for_another(
    bring: TakeIn, row: Row, at: datetime, lead: int
) -> None:
    brought = bring(people(row, 9))
    late, early = taking(brought, at), taking(brought, at)
    assert list(islice(early, lead))[-1] == 2 * lead
    for _taken in late:
        next(early, None)
    assert loaded(brought).finished_at
    assert lines(brought) == list(range(2, 11))
    assert brought.counts() == {"accepted": 9}
    assert Subscriber.objects.count() == 9


@pytest.mark.usefixtures("pairs")
def test_no_row_is_lost_if_a_late_worker_takes_over_and_ends_too(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    brought = bring(people(row, 9))
    late, early = taking(brought, at), taking(brought, at)
    for worker in (early, late):
        list(islice(worker, 2))
    list(taking(brought, at))
    assert lines(brought) == list(range(2, 11))
    assert Subscriber.objects.count() == 9


@pytest.mark.usefixtures("pairs")
@pytest.mark.django_db(transaction=True)
def test_two_workers_at_the_same_list_take_every_row_once(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    brought = bring(people(row, 30))
    together = threading.Barrier(2, timeout=20)

    def work() -> None:
        with closing(connection):
            steps = taking(brought, at)
            together.wait()
            list(steps)

    with ThreadPoolExecutor(2) as workers:
        for done in [workers.submit(work) for _worker in range(2)]:
            done.result(timeout=60)
    assert lines(brought) == list(range(2, 32))
    assert brought.counts() == {"accepted": 30}
    assert Entry.objects.filter(verb="list.taken").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_list_locks_people_in_the_one_order_that_cannot_deadlock(
    bring: TakeIn, person: Enrol, at: datetime
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer and locks no rows")
    first, last = sorted([person(ADA), person(BOB)], key=lambda one: one.pk)
    brought = bring(f"phone\n{last.number}\n{first.number}\n".encode(), kind="opt_outs")

    def work() -> None:
        with closing(connection):
            list(taking(brought, at))

    with ThreadPoolExecutor(1) as workers:
        with transaction.atomic():
            list(Subscriber.objects.filter(pk=first.pk).in_lock_order())
            done = workers.submit(work)
            _wait_until_someone_waits()
            list(Subscriber.objects.filter(pk=last.pk).in_lock_order())
        done.result(timeout=20)
    assert loaded(brought).counts() == {"suppressed": 2}


def _wait_until_someone_waits() -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _time in range(200):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.05)
    pytest.fail("the other worker never came to wait")


def test_a_chunk_of_thirty_costs_as_many_statements_as_one_of_three(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    list(taking(bring(people(row, 1)), at))
    taken = []
    for numbers in (range(10, 13), range(20, 50)):
        brought = bring(as_csv(*(row(f"+121255501{number}") for number in numbers)))
        with CaptureQueriesContext(connection) as statements:
            list(taking(brought, at))
        taken.append(len(statements))
    assert taken[0] == taken[1]


# --- the file itself ---------------------------------------------------------------------------


def stored(brought: ListImport) -> str:
    """What stands in the column, as a thief of the database reads it."""
    with connection.cursor() as cursor:
        key = ListImport._meta.pk.get_db_prep_value(brought.pk, connection)
        cursor.execute("SELECT content FROM consent_listimport WHERE id = %s", [key])
        return str(cursor.fetchone()[0])


def test_the_file_is_encrypted_while_it_is_kept_and_forgotten_when_it_was_taken(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    brought = bring(as_csv(row(first_name="Ada")))
    assert "Ada" in loaded(brought).content
    assert stored(brought)[8:].startswith(".gAAAA")
    assert "5550123" not in stored(brought)
    list(taking(brought, at))
    assert stored(brought) == ""


def test_a_list_of_no_rows_is_finished_at_once(take_in: TakeIn) -> None:
    brought = take_in(b"phone,opted_in_at\n")
    assert (brought.lines, brought.finished_at is None, brought.counts()) == (0, False, {})


def test_a_file_of_just_ten_megabytes_is_kept_and_one_byte_more_is_refused(
    bring: TakeIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lists.LARGEST == 10 * 1024 * 1024
    raw = b"phone\n" + b"1\n" * 47
    monkeypatch.setattr(lists, "LARGEST", len(raw))
    bring(raw)
    with pytest.raises(NotAList, match="larger than 10 MB. Split it"):
        bring(raw + b"\n")
    assert ListImport.objects.count() == 1


@pytest.mark.parametrize("raw", [b"", b"name\nAda\n", b"phone\n\x00", "phone\n1".encode("utf-16")])
def test_a_file_that_is_no_list_leaves_nothing(bring: TakeIn, raw: bytes) -> None:
    before = Entry.objects.count()
    with pytest.raises(NotAList):
        bring(raw)
    assert (ListImport.objects.count(), Entry.objects.count()) == (0, before)


def test_a_file_of_windows_is_read_with_its_signs(take_in: TakeIn, row: Row) -> None:
    take_in(as_csv(row(first_name="Zoë")).decode().encode("cp1252"))
    assert Subscriber.objects.get().first_name == "Zoë"


# --- the worker and the command ----------------------------------------------------------------


def test_the_worker_takes_every_list_that_waits_the_oldest_first(
    bring: TakeIn, row: Row, clock: Clock, at: datetime
) -> None:
    bring(as_csv(row()), label="second", at=at)
    bring(f"phone\n{ADA}\n".encode(), kind="opt_outs", label="first", at=at - DAY)
    tasks.take_lists()
    assert not ListImport.objects.unfinished().exists()
    assert ListImport.objects.get(label="second").counts() == {"suppressed": 1}
    assert set(Entry.objects.filter(verb="list.taken").values_list("actor", "at")) == {
        ("worker", at)
    }


def test_the_worker_has_nothing_to_do_twice(bring: TakeIn, row: Row, clock: Clock) -> None:
    bring(as_csv(row()))
    tasks.take_lists()
    before = Entry.objects.count()
    tasks.take_lists()
    assert (ImportRow.objects.count(), Entry.objects.count()) == (1, before)


def said(*arguments: object) -> str:
    """What `import_list` prints."""
    out = io.StringIO()
    call_command("import_list", *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path, row: Row) -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(as_csv(row(Email="a@mail.example"), row(), row("nobody")))
    return path


@pytest.mark.usefixtures("clock", "notice")
def test_the_command_takes_a_list_in_and_tells_what_became_of_it(file: Path) -> None:
    told = said(file, "--label", "till", "--purpose", "offers", "--method", "paper_form")
    assert told.splitlines() == [
        "3 of 3 rows",
        "accepted: 1",
        "merged: 1",
        "refused: 1",
        "columns left out: Email",
    ]
    assert "555" not in told
    consent = Consent.objects.get()
    assert (consent.source, consent.method) == ("till", Method.PAPER_FORM)
    assert Entry.objects.get(verb="list.taken").actor == "command"


@pytest.mark.usefixtures("clock", "db")
def test_the_command_takes_opt_outs_for_no_purpose(file: Path) -> None:
    assert "suppressed: 2" in said(file, "--label", "provider", "--opt-outs")
    assert Suppression.objects.get().purpose is None


@pytest.mark.usefixtures("clock", "db")
def test_the_command_knows_where_the_numbers_are(tmp_path: Path) -> None:
    path = tmp_path / "uk.csv"
    path.write_bytes(b"phone\n07700 900123\n")
    assert "suppressed: 1" in said(path, "--label", "uk", "--opt-outs", "--country", "gb")


@pytest.mark.usefixtures("clock", "notice", "news")
@pytest.mark.parametrize("chosen", [["--purpose", "offer"], []])
def test_the_command_names_the_purposes_there_are(file: Path, chosen: list[str]) -> None:
    with pytest.raises(CommandError, match="--purpose must be one of: news, offers"):
        said(file, "--label", "till", *chosen)
    assert not ListImport.objects.exists()


@pytest.mark.usefixtures("clock", "db")
def test_the_command_says_that_there_is_no_purpose_yet(file: Path) -> None:
    with pytest.raises(CommandError, match="none exists yet"):
        said(file, "--label", "till", "--purpose", "offers")


@pytest.mark.usefixtures("clock", "notice")
def test_the_command_says_that_a_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        said(tmp_path / "gone.csv", "--label", "till", "--purpose", "offers")


@pytest.mark.usefixtures("clock", "notice")
def test_the_command_says_that_a_file_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear customer\n")
    with pytest.raises(CommandError, match="no column of phone numbers"):
        said(path, "--label", "till", "--purpose", "offers")
    assert not ListImport.objects.exists()
