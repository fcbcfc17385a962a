"""Every list is read as a clerk says, tried out before it is taken in, and forgotten after."""

import csv
import io
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import openpyxl
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count

from audit import roles
from audit.models import Entry
from consent import list_rows, list_work, lists, purposes, sheets, tasks
from consent.admission import CONFIRMED, MERGED, SUPPRESSED, WITHDRAWN
from consent.evidence import commitment
from consent.list_work import OPTED_OUT, OPTED_OUT_BEFORE
from consent.lists import StepRefused
from consent.models import (
    Consent,
    ImportRow,
    ListImport,
    ListPart,
    ListShare,
    Method,
    Notice,
    Purpose,
    SharePiece,
    Subscriber,
    Suppression,
)
from consent.numbers import SENTENCES, Reason
from consent.sheets import NotAList
from tests.conftest import WORDINGS, Clock, Enrol
from tests.consent.conftest import ADA, BOB, Permitted, TakeIn, Withdraw, as_csv, taken_in

DATA = Path(__file__).parents[1] / "data"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Stage = ListImport.Stage
WORDING_LACKS = list_rows.WORDING_LACKS.format(
    missing="the business's name nor that it is not a condition of purchase"
)
NO_NAME = "The first name looked like a formula and was left out."

# What becomes of the rows of the four sample lists, in the order in which they are brought.
FATES: dict[str, dict[tuple[str, str], int]] = {
    "provider_optouts.csv": {("suppressed", OPTED_OUT.reason): 400},
    "web_form_optins.csv": {
        ("accepted", ""): 1247,
        ("refused", WORDING_LACKS): 1562,
        ("suppressed", SUPPRESSED.reason): 191,
    },
    "shop_customers.csv": {
        ("accepted", ""): 361,
        ("accepted", NO_NAME): 1,
        ("merged", MERGED.reason): 19,
        ("merged", f"{MERGED.reason} {NO_NAME}"): 1,
        ("merged", CONFIRMED.reason): 2,
        ("refused", WORDING_LACKS): 353,
        ("refused", list_rows.NOT_AGREED): 182,
        ("refused", list_rows.NO_DATE): 72,
        ("refused", list_rows.NO_SUCH_DATE): 1,
        ("refused", SENTENCES[Reason.EMPTY]): 1,
        ("refused", SENTENCES[Reason.NOT_A_NUMBER]): 1,
        ("refused", SENTENCES[Reason.SPREADSHEET_DAMAGED]): 1,
        ("refused", SENTENCES[Reason.SEVERAL_NUMBERS]): 1,
        ("refused", SENTENCES[Reason.EXTENSION]): 1,
        ("refused", SENTENCES[Reason.NO_AREA_CODE]): 1,
        ("refused", SENTENCES[Reason.TOLL_FREE]): 1,
        ("refused", SENTENCES[Reason.PREMIUM_RATE]): 1,
    },
    "eu_leads_cp1252.csv": {("refused", list_rows.NO_WORDING): 200},
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
ILLEGAL_IN_EXCEL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
Row = Callable[..., dict[str, str]]


@pytest.fixture
def wordings(notice: Notice, purpose: Purpose, at: datetime) -> None:
    """What was shown before 2025 is on record beside what is shown today, as in the demo."""
    purposes.publish(
        purpose=purpose,
        language="en",
        wording=WORDINGS["before_2025"],
        shown_from=datetime(2020, 1, 1, tzinfo=UTC),
        by="command",
        at=at,
    )


@pytest.fixture
def sample(bring: TakeIn, wordings: None) -> Callable[..., ListImport]:
    """Brings one of the four files."""

    def brought(name: str, *, rows: int | None = None) -> ListImport:
        kind = "opt_outs" if name.startswith("provider") else "opt_ins"
        head = (DATA / name).read_bytes().splitlines(keepends=True)[: rows and rows + 1]
        return bring(b"".join(head), kind=kind, label=name)

    return brought


def as_excel(raw: bytes) -> bytes:
    """The same rows in the first sheet of a workbook."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    for cells in csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")):
        book.active.append(cells)
    for cell in chain(*book.active.iter_rows()):
        cell.data_type = "s" if cell.value else cell.data_type  # a formula in a CSV is a text
    book.save(file)
    return file.getvalue()


@pytest.fixture
def row(at: datetime) -> Row:
    """A row that is accepted; other cells may be put in their place."""

    def cells(phone: str = ADA, **more: str) -> dict[str, str]:
        opted_in = (at - 30 * DAY).isoformat()
        return {"phone": phone, "opted_in_at": opted_in, "confirmed": "yes", **more}

    return cells


def worked(brought: ListImport, at: datetime) -> ListImport:
    """Done by a worker as far as it goes by itself."""
    for _done in list_work.run(brought=brought, by="worker", at=at):
        pass
    return brought


def tried_out(brought: ListImport, at: datetime, columns: list[str] | None = None) -> ListImport:
    """Read and tried out; nothing is taken in."""
    lists.read_as(brought=brought, columns=columns or brought.columns, by="command", at=at)
    return worked(brought, at)


def fates(brought: ListImport) -> dict[tuple[str, str], int]:
    counted = brought.rows.values_list("fate", "reason").annotate(Count("pk")).order_by()
    return {(fate, reason): count for fate, reason, count in counted}


def report(brought: ListImport) -> list[tuple[Any, ...]]:
    """What the report says of every row."""
    told = brought.rows.order_by("line")
    return list(told.values_list("line", "fate", "reason", "shown_as"))


def lines(brought: ListImport) -> list[int]:
    return list(brought.rows.order_by("line").values_list("line", flat=True))


def lines_of(name: str) -> list[int]:
    """The line of the file on which each of its rows begins."""
    with (DATA / name).open("rb") as file:
        return [line for line, _cells in sheets.read(file).rows]


def state() -> tuple[Any, ...]:
    """Everybody's consents and refusals."""
    columns = ("pk", "confirmed_at", "withdrawn_at", "lapsed_at")
    consents = Consent.objects.order_by("pk").values_list(*columns)
    refusals = Suppression.objects.order_by("pk").values_list("pk", "at", "lifted_at")
    return Subscriber.objects.count(), list(consents), list(refusals)


# --- the four sample lists ---------------------------------------------------------------------


def test_every_row_of_the_sample_lists_meets_its_fate_once(
    sample: Callable[..., ListImport], at: datetime
) -> None:
    for name, expected in FATES.items():
        brought = taken_in(sample(name), at)
        assert fates(brought) == expected, name
        assert lines(brought) == lines_of(name)
        assert (brought.stage, brought.parts.count()) == (Stage.FINISHED, 0)
        assert brought.lines == sum(expected.values())
        assert brought.left_out == LEFT_OUT[name]
    assert Subscriber.objects.count() == 1247 + 361 + 1
    assert Consent.objects.permitting(at).count() == 1146
    assert Suppression.objects.standing().count() == 400
    reasons = ImportRow.objects.values_list("reason", flat=True).distinct()
    assert not [reason for reason in reasons if re.search(r"\d", reason)]
    shown = ImportRow.objects.values_list("shown_as", flat=True).distinct()
    assert not [number for number in shown if re.search(r"\d{4}", number)]


def test_the_sample_lists_again_change_nothing(
    sample: Callable[..., ListImport], at: datetime
) -> None:
    first = {name: taken_in(sample(name, rows=500), at) for name in FATES}
    before = state()
    again = {name: taken_in(sample(name, rows=500), at) for name in FATES}
    assert state() == before
    for name, brought in again.items():
        counts, counts_before = brought.counts(), first[name].counts()
        known = counts_before.pop("accepted", 0) + counts_before.pop("merged", 0)
        assert counts == {**counts_before, **({"merged": known} if known else {})}, name
    assert fates(again["provider_optouts.csv"]) == {("suppressed", OPTED_OUT_BEFORE.reason): 400}


@pytest.mark.usefixtures("wordings")
def test_a_shop_list_from_excel_meets_the_same_fates_as_the_csv(
    bring: TakeIn, at: datetime
) -> None:
    raw = ILLEGAL_IN_EXCEL.sub(b"", (DATA / "shop_customers.csv").read_bytes())
    plain, excel = tried_out(bring(raw), at), tried_out(bring(as_excel(raw)), at)
    assert excel.form == "Excel, sheet “Sheet”"
    assert (excel.headings, excel.columns) == (plain.headings, plain.columns)
    assert [told[1:] for told in report(excel)] == [told[1:] for told in report(plain)]
    assert lines(excel) == list(range(2, 1002))


# --- bringing ----------------------------------------------------------------------------------


def test_a_list_that_is_brought_is_kept_with_a_guess_of_its_columns(
    bring: TakeIn, row: Row
) -> None:
    brought = ListImport.objects.get(pk=bring(as_csv(row(Email="a@b.example"), row(BOB))).pk)
    assert brought.headings == ["phone", "opted_in_at", "confirmed", "Email"]
    assert brought.columns == ["phone", "given_at", "confirmed", ""]
    assert (brought.stage, brought.lines, brought.part_count) == (Stage.BROUGHT, 2, 1)
    assert (brought.form, brought.left_out) == ("UTF-8, separated by ,", ["Email"])


@pytest.mark.parametrize("heading", ["Ring +1 212 555 0123", "ada@mail.example", "2125550123"])
def test_a_first_line_that_holds_somebody_is_no_heading(bring: TakeIn, heading: str) -> None:
    with pytest.raises(sheets.NotAList, match="names of the columns"):
        bring(f"phone,{heading}\n1,2\n".encode())
    assert not ListImport.objects.exists()


@pytest.mark.parametrize("label", ["call 212-555-0123", "ada@mail.example"])
def test_a_source_that_names_a_person_is_refused(bring: TakeIn, row: Row, label: str) -> None:
    with pytest.raises(ValidationError, match="not a person or a number"):
        bring(as_csv(row()), label=label)
    assert not ListImport.objects.exists()


@pytest.mark.parametrize("wrong", [{"label": ""}, {"label": "x" * 81}, {"country": "USA"}])
def test_a_label_or_country_that_will_not_do_is_refused(
    bring: TakeIn, row: Row, wrong: dict[str, str]
) -> None:
    with pytest.raises(ValidationError):
        bring(as_csv(row()), **wrong)
    assert not ListPart.objects.exists()


@pytest.mark.parametrize("raw", [b"", b"phone\n\x00", b'phone,source\n1,"open\n2,b\n'])
def test_a_file_that_is_no_list_leaves_nothing(bring: TakeIn, raw: bytes) -> None:
    before = Entry.objects.count()
    with pytest.raises(NotAList):
        bring(raw)
    assert (ListImport.objects.count(), ListPart.objects.count()) == (0, 0)
    assert Entry.objects.count() == before


def test_a_fault_far_down_a_file_leaves_nothing_of_what_was_read_before(
    bring: TakeIn, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PART", 2)
    with pytest.raises(NotAList, match="quotation mark"):
        bring(as_csv(*[row()] * 9) + b'1,"open\n2,b\n')
    assert not ListPart.objects.exists()


def test_a_file_of_windows_is_read_with_its_signs(take_in: TakeIn, row: Row) -> None:
    take_in(as_csv(row(first_name="Zoë")).decode().encode("cp1252"))
    assert Subscriber.objects.get().first_name == "Zoë"


def stored(brought: ListImport) -> str:
    """What stands in the column, as a thief of the database reads it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM consent_listpart")
        return "".join(str(content) for (content,) in cursor.fetchall())


def test_a_part_is_encrypted_while_it_is_kept_and_forgotten_when_it_was_read(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    brought = bring(as_csv(row(first_name="Ada")))
    assert "Ada" in ListPart.objects.get().content
    assert stored(brought)[8:].startswith(".gAAAA")
    assert "5550123" not in stored(brought)
    tried_out(brought, at)
    assert stored(brought) == ""


# --- what its columns mean ---------------------------------------------------------------------

MEANT = ["phone", "given_at", "", "source"]
ODD = b"Cell,Joined,Rating,Shop\n2125550123,2026-10-01,5,till 3\n"


def test_columns_mean_what_the_clerk_says(bring: TakeIn, at: datetime) -> None:
    brought = bring(ODD)
    assert brought.columns == [""] * 4
    lists.read_as(brought=brought, columns=MEANT, by="command", at=at)
    assert worked(brought, at).counts() == {"accepted": 1}
    assert ListImport.objects.get().columns == MEANT
    assert brought.left_out == ["Rating"]
    lists.begin(brought=brought, by="command", at=at)
    worked(brought, at)
    assert Consent.objects.get().source == "till 3"


@pytest.fixture
def remembered(bring: TakeIn, at: datetime) -> ListImport:
    """A list of the source "club" whose columns somebody has said."""
    brought = bring(ODD, label="club")
    lists.read_as(brought=brought, columns=MEANT, by="command", at=at)
    return brought


@pytest.mark.usefixtures("remembered")
def test_what_columns_mean_is_remembered_for_the_source(bring: TakeIn) -> None:
    assert bring(ODD, label="club").columns == MEANT


@pytest.mark.usefixtures("remembered")
def test_the_last_word_on_columns_counts(bring: TakeIn, at: datetime) -> None:
    other = ["phone", "given_at", "", ""]
    later = bring(ODD, label="club", at=at + HOUR)
    lists.read_as(brought=later, columns=other, by="command", at=at)
    bring(ODD, label="club", at=at + 2 * HOUR)  # and nobody has said anything of this one
    assert bring(ODD, label="club", at=at + 3 * HOUR).columns == other


@pytest.mark.usefixtures("remembered")
@pytest.mark.parametrize(
    ("raw", "label"),
    [
        (ODD, "Club"),
        (ODD, "shop export"),
        (ODD.replace(b"Rating", b"Score"), "club"),
        (b"Joined,Cell,Rating,Shop\n1,2,3,4\n", "club"),
        (b"Cell,Joined,Rating\n1,2,3\n", "club"),
    ],
)
def test_what_columns_mean_is_not_remembered_for_another_source_or_other_columns(
    bring: TakeIn, raw: bytes, label: str
) -> None:
    assert set(bring(raw, label=label).columns) == {""}


def test_what_columns_mean_is_not_remembered_of_a_list_that_was_forgotten(
    bring: TakeIn, remembered: ListImport, at: datetime
) -> None:
    lists.discard(brought=remembered, by="command", at=at)
    assert set(bring(ODD, label="club").columns) == {""}


def test_columns_with_signs_of_other_languages_are_remembered(bring: TakeIn, at: datetime) -> None:
    raw = "Téléphone,Дата,日付\n2125550123,2026-10-01,x\n".encode()
    first = bring(raw)
    lists.read_as(brought=first, columns=["phone", "given_at", ""], by="command", at=at)
    assert bring(raw).columns == ["phone", "given_at", ""]


WRONG_COLUMNS = [
    (["", "given_at", "", ""], lists.NO_PHONE),
    (["", "", "", ""], lists.NO_PHONE),
    (["phone", "", "", ""], lists.NO_DATE),
    (["phone", "withdrawn_at", "", ""], lists.NO_DATE),
    (["phone", "given_at", "phone", ""], "Two columns cannot both be the telephone number."),
    (["phone", "given_at", "source", "source"], "both be the form or page of the opt-in."),
    (["phone", "given_at", "shoe size", ""], "These are not the columns of this list"),
    (["phone", "given_at"], "These are not the columns of this list"),
    (["phone", "given_at", "", "", "source"], "These are not the columns of this list"),
]


@pytest.mark.parametrize(("columns", "said"), WRONG_COLUMNS)
def test_columns_that_will_not_do_are_refused_in_words(
    bring: TakeIn, at: datetime, columns: list[str], said: str
) -> None:
    brought = bring(ODD)
    with pytest.raises(ValidationError) as refusal:
        lists.read_as(brought=brought, columns=columns, by="command", at=at)
    [words] = refusal.value.messages
    assert said in words
    assert not re.search(r"True|False|[{}'\[\]]", words)
    assert ListImport.objects.get().stage == Stage.BROUGHT
    assert not ListShare.objects.exists()


def test_opt_outs_need_no_date(bring: TakeIn, at: datetime) -> None:
    brought = tried_out(bring(ODD, kind="opt_outs"), at, ["phone", "", "", ""])
    assert brought.counts() == {"suppressed": 1}


@pytest.mark.parametrize("step", ["read_as", "begin", "discard"])
@pytest.mark.parametrize(
    ("stage", "may"),
    [
        ("brought", {"read_as", "discard"}),
        ("reading", {"discard"}),
        ("trying", {"discard"}),
        ("foreseen", {"begin", "discard"}),
        ("taking", set()),
        ("finished", set()),
        ("discarded", set()),
    ],
)
def test_every_step_is_taken_from_its_stage_only_and_refused_in_words(
    bring: TakeIn, row: Row, at: datetime, stage: str, may: set[str], step: str
) -> None:
    brought = bring(as_csv(row()))
    over = at if stage == "finished" else None
    ListImport.objects.update(stage=stage, finished_at=over)
    told = {"columns": brought.columns} if step == "read_as" else {}
    taken = getattr(lists, step)
    if step in may:
        taken(brought=brought, by="command", at=at, **told)
        return
    with pytest.raises(StepRefused, match="This list is .*Load the page again"):
        taken(brought=brought, by="command", at=at, **told)
    assert ListImport.objects.get().stage == stage


# --- tried out ---------------------------------------------------------------------------------


def test_nothing_is_written_for_anyone_before_an_operator_begins(
    bring: TakeIn, row: Row, person: Enrol, at: datetime
) -> None:
    person(BOB)
    before = state()
    told = Entry.objects.exclude(verb__startswith="list.").count()
    opt_ins = bring(as_csv(row(), row(BOB), row("+12125550125", opted_in_at="")))
    tried_out(opt_ins, at)
    tried_out(bring(as_csv(row(), row(BOB)), kind="opt_outs"), at)
    assert opt_ins.counts() == {"accepted": 1, "merged": 1, "refused": 1}
    assert state() == before
    assert Entry.objects.exclude(verb__startswith="list.").count() == told


@pytest.mark.usefixtures("notice")
@pytest.mark.parametrize("kind", ["opt_ins", "opt_outs"])
def test_what_was_foreseen_is_what_becomes_of_a_list_if_nothing_changes(
    bring: TakeIn, row: Row, person: Enrol, withdraw: Withdraw, at: datetime, kind: str
) -> None:
    person("+12125550125")
    person("+12125550126", confirmed=False)
    withdraw("+12125550127")
    withdraw("+12125550128", at=at - DAY)
    Suppression.objects.filter(at=at - DAY).update(lifted_at=at)
    people = [f"+121255501{line}" for line in (23, 24, 25, 26, 27, 28, 23, 24)]
    brought = bring(as_csv(*(row(one) for one in people), row("nobody")), kind=kind)
    foreseen = report(tried_out(brought, at))
    lists.begin(brought=brought, by="command", at=at)
    assert report(worked(brought, at)) == foreseen


def test_someone_whose_old_opt_in_is_over_is_foreseen_as_new(
    bring: TakeIn, row: Row, person: Enrol, purpose: Purpose, at: datetime
) -> None:
    person(confirmed=False)
    late = at + 2 * purpose.confirm_within * DAY
    brought = bring(as_csv(row()), at=late)
    foreseen = report(tried_out(brought, late))
    lists.begin(brought=brought, by="command", at=late)
    assert report(worked(brought, late)) == foreseen
    assert fates(brought) == {("accepted", ""): 1}


def test_the_report_is_put_right_if_someone_says_stop_between(
    bring: TakeIn, row: Row, withdraw: Withdraw, permitted: Permitted, at: datetime
) -> None:
    brought = tried_out(bring(as_csv(row(), row(BOB), row("nobody"))), at)
    assert brought.counts() == {"accepted": 2, "refused": 1}
    withdraw(ADA)
    lists.begin(brought=brought, by="command", at=at)
    worked(brought, at)
    assert [(line, fate, why) for line, fate, why, _shown in report(brought)] == [
        (2, "suppressed", SUPPRESSED.reason),
        (3, "accepted", ""),
        (4, "refused", SENTENCES[Reason.NOT_A_NUMBER]),
    ]
    assert [permitted(ADA), permitted(BOB)] == [False, True]
    assert not Subscriber.objects.with_number(ADA).exists()


# --- forgotten ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces_of_work", [0, 1, 2, 3, 4, 99])
def test_a_list_that_is_forgotten_leaves_nothing_but_its_name_and_its_trail(
    bring: TakeIn, row: Row, at: datetime, pieces_of_work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PART", 2)
    monkeypatch.setattr(lists, "SHARE", 2)
    brought = bring(as_csv(row(), row(BOB), row("nobody")))
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=at)
    for _piece in range(pieces_of_work):
        list_work.turn(by="worker", at=at)
    lists.discard(brought=brought, by="command", at=at)
    for model in (ListPart, ListShare, SharePiece, ImportRow, Subscriber):
        assert not model.objects.exists(), model
    assert ListImport.objects.get().stage == Stage.DISCARDED
    assert Entry.objects.filter(verb="list.discarded").count() == 1
    assert not list_work.turn(by="worker", at=at)


def tables() -> str:
    """All that stands in the database, as a thief would read it."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += cursor.fetchall()
    return str(found)


def kept_texts() -> str:
    """All that the product itself can open of the lists and of what they made."""
    sealed = [(ListPart, "content"), (SharePiece, "content"), (Consent, "evidence")]
    texts = [getattr(row, name) for model, name in sealed for row in model.objects.order_by("pk")]
    people = Subscriber.objects.order_by("pk")
    return str([*texts, *((one.number, one.first_name) for one in people)])


def test_columns_that_are_not_wanted_are_named_and_their_contents_forgotten(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    canary = "Quillfeather"
    brought = bring(as_csv(row(Street=canary), row("nobody", Street=canary)))
    assert brought.left_out == ["Street"]
    assert canary in kept_texts()  # sealed, until somebody has said what the columns mean
    assert canary not in tables()
    tried_out(brought, at)
    assert canary not in kept_texts() + tables()
    lists.begin(brought=brought, by="command", at=at)
    assert canary not in kept_texts() + tables() + str(report(worked(brought, at)))
    assert brought.left_out == ["Street"]


def test_a_list_that_was_taken_in_keeps_its_report_only(take_in: TakeIn, row: Row) -> None:
    brought = take_in(as_csv(row(), row("nobody")))
    for model in (ListPart, ListShare, SharePiece):
        assert not model.objects.exists(), model
    assert brought.rows.count() == 2


def test_a_list_of_no_rows_is_finished_at_once(take_in: TakeIn, at: datetime) -> None:
    brought = take_in(b"phone,opted_in_at\n")
    assert (brought.lines, brought.finished_at, brought.counts()) == (0, at, {})


# --- what a row says ---------------------------------------------------------------------------

ROWS: list[tuple[dict[str, str], str, str]] = [
    ({}, "accepted", ""),
    ({"opted_in_at": "2026-11-24 18:00:00"}, "accepted", ""),
    ({"opted_in_at": "2026-11-24 18:00:01"}, "refused", list_rows.IN_FUTURE),
    ({"opted_in_at": ""}, "refused", list_rows.NO_DATE),
    ({"opted_in_at": "2025-02-30"}, "refused", list_rows.NO_SUCH_DATE),
    ({"opted_in_at": "0001-01-01T00:00:00+05:00"}, "refused", list_rows.NO_SUCH_DATE),
    ({"opted_in_at": "2024-12-31"}, "refused", list_rows.NO_WORDING),
    ({"sms_consent": "yes"}, "accepted", ""),
    ({"sms_consent": "no"}, "refused", list_rows.NOT_AGREED),
    ({"sms_consent": ""}, "refused", list_rows.NOT_AGREED),
    ({"method": "paper_form"}, "accepted", ""),
    ({"method": ""}, "accepted", ""),
    ({"method": "bought"}, "refused", list_rows.NO_METHOD),
    ({"method": "restored"}, "refused", list_rows.NO_METHOD),
    ({"language": "EN-us"}, "accepted", ""),
    ({"language": "de"}, "refused", list_rows.NO_WORDING),
    ({"wording": WORDINGS["current"].replace(" ", "  ")}, "accepted", ""),
    ({"wording": "Text me!"}, "refused", list_rows.UNKNOWN_WORDING),
    ({"first_name": "Ada"}, "accepted", ""),
    ({"first_name": "=1+1"}, "accepted", NO_NAME),
    ({"first_name": "A" * 5000}, "accepted", "The first name was too long and was left out."),
    ({"phone": '="+12125550123"'}, "accepted", ""),
    ({"phone": ""}, "refused", SENTENCES[Reason.EMPTY]),
    ({"phone": "1.21256E+10"}, "refused", SENTENCES[Reason.SPREADSHEET_DAMAGED]),
    ({"phone": "07700 900123", "country": "gb"}, "accepted", ""),
    ({"phone": "2125550123", "country": "Atlantis"}, "refused", SENTENCES[Reason.UNKNOWN_COUNTRY]),
]


@pytest.fixture
def elsewhere(purpose: Purpose, at: datetime) -> None:
    """The wording of the web form was shown on posters and paper forms, too."""
    for channel in (Notice.Channel.KEYWORD, Notice.Channel.PAPER):
        purposes.publish(
            purpose=purpose,
            channel=channel,
            language="en",
            wording=WORDINGS["current"],
            shown_from=datetime(2025, 1, 1, tzinfo=UTC),
            by="command",
            at=at,
        )


def test_what_was_shown_elsewhere_only_was_not_shown_here(take_in: TakeIn, row: Row) -> None:
    brought = take_in(as_csv(row(method="keyword")))
    assert fates(brought) == {("refused", list_rows.NO_WORDING): 1}


@pytest.mark.usefixtures("elsewhere")
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
        list_rows.WORDING_LACKS.format(missing="that it is not a condition of purchase"),
    )


def test_a_row_cut_short_has_not_agreed(take_in: TakeIn, at: datetime) -> None:
    brought = take_in(f"phone,opted_in_at,sms_consent\n{ADA},{at.isoformat()}\n".encode())
    assert fates(brought) == {("refused", list_rows.NOT_AGREED): 1}


@pytest.mark.usefixtures("elsewhere")
def test_an_accepted_row_becomes_a_consent_with_its_evidence(
    take_in: TakeIn, row: Row, at: datetime
) -> None:
    cells = {"first_name": "Ada", "state": "FL", "source": "till 3", "method": "keyword"}
    proof = {"ip": "203.0.113.7", "user_agent": "Browser/1"}
    brought = take_in(as_csv(row(**cells, **proof)))
    consent = Consent.objects.select_related("subscriber__area").get()
    assert (consent.method, consent.source) == (Method.KEYWORD, "till 3")
    assert (consent.given_at, consent.confirmed_at) == (at - 30 * DAY, at - 30 * DAY)
    told = json.loads(consent.evidence)
    assert len(told.pop("salt")) == 32
    assert told == {"ip_address": "203.0.113.7", "user_agent": "Browser/1"}
    assert consent.commitment == commitment(consent.evidence)
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


@pytest.mark.usefixtures("elsewhere")
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


def test_the_trail_tells_who_brought_a_list_and_what_became_of_it(
    bring: TakeIn, row: Row, operators: Callable[..., Any], at: datetime
) -> None:
    clerk = operators(roles.SUBSCRIBER_MANAGER)
    brought = bring(as_csv(row(Email=""), row(BOB, opted_in_at="")), by=clerk)
    lists.read_as(brought=brought, columns=brought.columns, by=clerk, at=at + HOUR)
    worked(brought, at + 2 * HOUR)
    lists.begin(brought=brought, by=clerk, at=at + 3 * HOUR)
    worked(brought, at + DAY)
    told = Entry.objects.filter(subject=f"list:{brought.pk}").order_by("pk")
    by = f"operator:{clerk.pk}"
    assert [(entry.verb, entry.actor, entry.at) for entry in told] == [
        ("list.brought", by, at),
        ("list.mapped", by, at + HOUR),
        ("list.begun", by, at + 3 * HOUR),
        ("consents.opened", "worker", at + DAY),
        ("list.taken", "worker", at + DAY),
    ]
    facts = [entry.facts for entry in told]
    assert facts[:2] == [
        {"kind": "opt_ins", "lines": 2},
        {"columns": ["confirmed", "given_at", "phone"], "dropped": 1},
    ]
    assert facts[4] == {"accepted": 1, "refused": 1}
    assert brought.imported_by == clerk


# --- refusals and withdrawals ------------------------------------------------------------------


def test_no_list_lifts_a_refusal(
    take_in: TakeIn, row: Row, withdraw: Withdraw, permitted: Permitted, at: datetime
) -> None:
    withdraw(at=at - 99 * DAY)
    brought = take_in(as_csv(row()))
    assert fates(brought) == {("suppressed", SUPPRESSED.reason): 1}
    assert Suppression.objects.standing().exists()
    assert not permitted()


def test_no_list_opens_what_was_withdrawn_after_the_row(
    take_in: TakeIn, row: Row, person: Enrol, withdraw: Withdraw, permitted: Permitted, at: datetime
) -> None:
    person()
    withdraw(at=at - 10 * DAY)
    Suppression.objects.update(lifted_at=at)
    brought = take_in(as_csv(row()))
    assert fates(brought) == {("refused", WITHDRAWN.reason): 1}
    assert not permitted()


def test_a_list_of_opt_outs_withdraws_whoever_it_names(
    take_in: TakeIn, person: Enrol, permitted: Permitted
) -> None:
    person()
    brought = take_in(
        b"phone\n(212) 555-0123\n212 555 0124\n+12125550123\nnobody\n", kind="opt_outs"
    )
    assert fates(brought) == {
        ("suppressed", OPTED_OUT.reason): 2,
        ("suppressed", OPTED_OUT_BEFORE.reason): 1,
        ("refused", SENTENCES[Reason.NOT_A_NUMBER]): 1,
    }
    assert not permitted()
    refusals = Suppression.objects.filter(purpose=None).values_list("channel", "reason")
    assert list(refusals) == [("provider", "on a list of opt-outs")] * 2


def test_a_list_of_opt_outs_for_which_a_purpose_was_chosen_enrols_nobody(
    bring: TakeIn, row: Row, person: Enrol, purpose: Purpose, permitted: Permitted, at: datetime
) -> None:
    person(BOB)
    try:
        brought = bring(as_csv(row(), row(BOB)), kind="opt_outs", purpose=purpose)
    except ValidationError:  # to refuse the choice would do as well
        return
    assert tried_out(brought, at).counts() == {"suppressed": 2}
    lists.begin(brought=brought, by="command", at=at)
    assert worked(brought, at).counts() == {"suppressed": 2}
    assert not permitted(BOB)
    assert not Subscriber.objects.with_number(ADA).exists()


def test_opt_outs_go_before_opt_ins_of_a_later_list(
    take_in: TakeIn, row: Row, permitted: Permitted
) -> None:
    take_in(f"phone\n{ADA}\n".encode(), kind="opt_outs")
    assert take_in(as_csv(row())).counts() == {"suppressed": 1}
    assert not permitted()


# --- the worker and the command ----------------------------------------------------------------


@pytest.mark.usefixtures("clock")
def test_the_worker_does_all_that_waits_and_no_more(bring: TakeIn, row: Row, at: datetime) -> None:
    brought = bring(as_csv(row()))
    tasks.take_lists()
    assert ListPart.objects.exists()
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=at)
    tasks.take_lists()
    assert ListImport.objects.get().stage == Stage.FORESEEN
    tasks.take_lists()
    assert not Consent.objects.exists()
    lists.begin(brought=brought, by="command", at=at)
    tasks.take_lists()
    assert ListImport.objects.get().stage == Stage.FINISHED
    taken = Entry.objects.get(verb="list.taken")
    assert (taken.actor, taken.at) == ("worker", at)


def test_the_worker_has_nothing_to_do_twice(take_in: TakeIn, row: Row, clock: Clock) -> None:
    take_in(as_csv(row()))
    before = Entry.objects.count()
    tasks.take_lists()
    assert (ImportRow.objects.count(), Entry.objects.count()) == (1, before)


@pytest.mark.usefixtures("clock")
def test_the_worker_makes_room_for_others(
    bring: TakeIn, row: Row, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PATIENCE", 0)
    brought = bring(as_csv(row()))
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=at)
    tasks.take_lists()
    assert ListImport.objects.get().stage == Stage.READING
    assert not ListPart.objects.exists()


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


@pytest.mark.usefixtures("clock", "notice", "elsewhere")
def test_the_command_takes_a_list_in_and_tells_what_became_of_it(file: Path) -> None:
    told = said(file, "--label", "till", "--purpose", "offers", "--method", "paper_form")
    assert told.splitlines() == [
        "being read: 100%",
        "being tried out: 0%",
        "being tried out: 100%",
        "tried out; nothing is taken in yet: 0%",
        "being taken in: 100%",
        "taken in: 100%",
        "accepted: 1",
        "merged: 1",
        "refused: 1",
        "columns left out: Email",
    ]
    assert "555" not in told
    consent = Consent.objects.get()
    assert (consent.source, consent.method) == ("till", Method.PAPER_FORM)
    assert Entry.objects.get(verb="list.taken").actor == "command"


@pytest.mark.usefixtures("clock", "notice")
def test_the_command_can_tell_what_would_happen_and_leave_nothing(file: Path) -> None:
    told = said(file, "--label", "till", "--purpose", "offers", "--dry-run")
    assert told.splitlines()[-4:] == [
        "accepted: 1",
        "merged: 1",
        "refused: 1",
        "columns left out: Email",
    ]
    assert ListImport.objects.get().stage == Stage.DISCARDED
    for model in (ListPart, ImportRow, Subscriber, Consent):
        assert not model.objects.exists(), model


@pytest.mark.usefixtures("clock", "notice")
def test_the_command_can_say_of_a_list_without_dates_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("phone\n2125550123\n")
    with pytest.raises(CommandError, match="when people opted in"):
        said(path, "--label", "till", "--purpose", "offers")
    assert not ListPart.objects.exists()


@pytest.mark.usefixtures("clock", "notice")
@pytest.mark.django_db(transaction=True)
def test_the_command_waits_for_a_worker_that_helps_it(
    file: Path, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker still holds a share when the command finds nothing left to do."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer, who waits")
    monkeypatch.setattr(lists, "SHARE", 1)
    foresee, ours, held = list_work._foreseen, current_thread(), Event()

    def helped() -> None:
        with closing(connection):
            list_work.advance(brought=ListImport.objects.get(), by="worker", at=at)

    def slow(*told: Any) -> Any:
        if current_thread() is not ours:
            held.set()
            Event().wait(1)
        elif not held.is_set():
            helping.submit(helped)
            assert held.wait(20)
        return foresee(*told)

    monkeypatch.setattr(list_work, "_foreseen", slow)
    with ThreadPoolExecutor(1) as helping:
        assert "accepted: 1" in said(file, "--label", "till", "--purpose", "offers")
    assert ListImport.objects.get().stage == Stage.FINISHED


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
    path.write_bytes(b"Dear customer\n\0")
    with pytest.raises(CommandError, match="This is no text file"):
        said(path, "--label", "till", "--purpose", "offers")
    assert not ListImport.objects.exists()


@pytest.mark.usefixtures("clock", "notice")
@pytest.mark.parametrize(
    ("more", "said_of_it"),
    [(["--label", "2125550123"], "not a person"), (["--label", "a", "--country", "USA"], "2")],
)
def test_the_command_says_in_words_what_will_not_do(
    file: Path, more: list[str], said_of_it: str
) -> None:
    with pytest.raises(CommandError, match=said_of_it):
        said(file, "--purpose", "offers", *more)
