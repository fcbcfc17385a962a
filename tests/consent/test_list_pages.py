"""How staff bring a list and read what became of its rows."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit import roles
from audit.models import Entry, Operator
from consent import list_rows, tasks
from consent.admin.lists import ROWS_SHOWN
from consent.models import ListImport, Method, Purpose, Subscriber, Suppression
from tests.consent.conftest import ADA, TakeIn, as_csv

LISTS = "/admin/consent/listimport/"
SEE = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER, roles.AUDITOR]
GOOD = as_csv(
    {"phone": ADA, "opted_in_at": "2026-10-01", "first_name": "Ada", "Email": "a@b.example"}
)
Browser = Callable[..., Client]
Upload = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("clock", "notice")


@pytest.fixture
def clerk(signed_in: Browser) -> Client:
    """The browser of a subscriber manager."""
    return signed_in(roles.SUBSCRIBER_MANAGER)


@pytest.fixture
def upload(clerk: Client, purpose: Purpose) -> Upload:
    """Fills in the form of a new list and sends it."""

    def sent(raw: bytes, *, by: Client = clerk, name: str = "people.csv", **more: Any) -> Any:
        usual = {"kind": "opt_ins", "purpose": purpose.pk, "label": "till", "method": "paper_form"}
        form = {**usual, "country": "us", "file": SimpleUploadedFile(name, raw), **more}
        return by.post(f"{LISTS}add/", form, follow=True)

    return sent


def press(client: Client, act: str, **form: str) -> Any:
    """Presses a button on the page of the one list there is."""
    return client.post(f"{LISTS}{ListImport.objects.get().pk}/{act}/", form, follow=True)


COLUMNS = {"column_0": "phone", "column_1": "given_at", "column_2": "first_name", "column_3": ""}


def take(client: Client, **columns: str) -> None:
    """Says what the columns mean, lets the worker try the list out, and has it taken in."""
    press(client, "columns", **(columns or COLUMNS))
    tasks.take_lists()
    press(client, "begin")
    tasks.take_lists()


def text(answer: Any) -> str:
    return str(answer.content.decode())


def page_of(brought: ListImport) -> str:
    return f"{LISTS}{brought.pk}/change/"


def errors(answer: Any) -> dict[str, list[str]]:
    """What the page says beside which field."""
    return {name: list(said) for name, said in answer.context["adminform"].form.errors.items()}


# --- bringing a list ---------------------------------------------------------------------------


def test_a_list_that_is_brought_waits_for_the_worker(
    upload: Upload, operators: Callable[..., Operator], purpose: Purpose, at: datetime
) -> None:
    answer = upload(GOOD)
    brought = ListImport.objects.get()
    assert answer.redirect_chain == [(page_of(brought), 302)]
    clerk = operators(roles.SUBSCRIBER_MANAGER)
    assert (brought.purpose, brought.label, brought.method) == (purpose, "till", Method.PAPER_FORM)
    assert (brought.country, brought.imported_by, brought.created_at) == ("US", clerk, at)
    assert (brought.lines, brought.stage, brought.finished_at) == (1, "brought", None)
    assert Entry.objects.get(verb="list.brought").actor == f"operator:{clerk.pk}"
    assert not Subscriber.objects.exists()


def test_nobody_is_touched_before_the_clerk_has_seen_what_would_become_of_them(
    upload: Upload, clerk: Client
) -> None:
    upload(GOOD, method="web_form")
    answer = press(clerk, "columns", **COLUMNS)
    assert "data-progress" in text(answer)
    tasks.take_lists()
    tried = text(clerk.get(page_of(ListImport.objects.get())))
    assert "What would become of the rows" in tried
    assert "accepted" in tried
    assert not Subscriber.objects.exists()
    press(clerk, "begin")
    tasks.take_lists()
    assert Subscriber.objects.get().number == ADA


def test_a_list_can_be_forgotten_before_it_is_taken_in(upload: Upload, clerk: Client) -> None:
    upload(GOOD)
    press(clerk, "columns", **COLUMNS)
    tasks.take_lists()
    assert "The list was forgotten." in text(press(clerk, "discard"))
    tasks.take_lists()
    assert not Subscriber.objects.exists()
    assert "Load the page again" in text(press(clerk, "begin"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({**COLUMNS, "column_0": ""}, "Say which column holds the telephone numbers."),
        ({**COLUMNS, "column_1": ""}, "Say which column holds when people opted in"),
        ({**COLUMNS, "column_2": "phone"}, "Two columns cannot both be the telephone number."),
        ({**COLUMNS, "column_3": "shoe size"}, "Select a valid choice."),
    ],
)
def test_columns_that_will_not_do_are_refused_on_the_page(
    upload: Upload, clerk: Client, columns: dict[str, str], said: str
) -> None:
    upload(GOOD)
    answer = press(clerk, "columns", **columns)
    assert answer.status_code == 200
    assert said in text(answer)
    assert ListImport.objects.get().stage == "brought"


def test_the_bar_asks_how_far_it_is(upload: Upload, clerk: Client) -> None:
    upload(GOOD)
    press(clerk, "columns", **COLUMNS)
    asked = f"{LISTS}{ListImport.objects.get().pk}/progress/"
    assert clerk.get(asked).json() == {"stage": "reading", "percent": 0}
    tasks.take_lists()
    assert clerk.get(asked).json()["stage"] == "foreseen"


def test_the_report_is_a_file_with_numbers_masked_and_no_formula(
    clerk: Client, take_in: TakeIn
) -> None:
    brought = take_in(as_csv({"phone": ADA, "opted_in_at": "2026-10-01"}))
    answer = clerk.get(f"{LISTS}{brought.pk}/report.csv")
    told = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert told.splitlines()[1:] == ["2,'+1 ••• ••• ••23,accepted,"]
    assert Entry.objects.get(verb="list.reported").subject == f"list:{brought.pk}"


@pytest.mark.parametrize("act", ["columns", "begin", "discard"])
@pytest.mark.parametrize("role", [roles.AUDITOR, roles.PRIVACY_OFFICER, roles.CAMPAIGN_AUTHOR])
def test_who_may_only_look_presses_nothing(
    upload: Upload, signed_in: Browser, role: str, act: str
) -> None:
    upload(GOOD)
    assert press(signed_in(role), act, **COLUMNS).status_code == 403
    assert ListImport.objects.get().stage == "brought"


def test_a_list_of_opt_outs_needs_no_purpose(upload: Upload, clerk: Client) -> None:
    upload(GOOD, kind="opt_outs", purpose="")
    take(clerk)
    assert Suppression.objects.get().channel == Suppression.Channel.PROVIDER


WRONG = [
    (b"phone\n\x00\x01", "This is no text file. Save the list as CSV"),
    (b"PK\x03\x04 and nothing more", "This Excel file cannot be read"),
    (f"{ADA},Ada\n".encode(), "The first line holds a number or an address of somebody."),
    (b"\n\n", "The file is empty."),
]


@pytest.mark.parametrize(("raw", "said"), WRONG, ids=["bytes", "zip", "no heading", "nothing"])
def test_a_wrong_file_is_refused_beside_its_field_and_leaves_nothing(
    upload: Upload, raw: bytes, said: str
) -> None:
    answer = upload(raw)
    assert answer.status_code == 200
    [message] = errors(answer).pop("file")
    assert message.startswith(said)
    assert message in text(answer)
    assert not ListImport.objects.exists()
    assert not Entry.objects.filter(verb="list.brought").exists()


@pytest.mark.parametrize("heading", ["phone," + "x" * 1_000_001, 'phone,"source'])
def test_a_file_that_cannot_be_read_is_refused_too(upload: Upload, heading: str) -> None:
    answer = upload(f"{heading}\n1,2\n".encode())
    assert list(errors(answer)) == ["file"]
    assert not ListImport.objects.exists()


@pytest.mark.parametrize(
    ("cells", "field", "said"),
    [
        ({"purpose": ""}, "purpose", "Say what these people opted in to."),
        ({"file": ""}, "file", "This field is required."),
        ({"label": ""}, "label", "This field is required."),
        ({"file": SimpleUploadedFile("empty.csv", b"")}, "file", "The submitted file is empty."),
    ],
)
def test_a_form_that_is_not_filled_in_says_what_is_missing(
    upload: Upload, cells: dict[str, Any], field: str, said: str
) -> None:
    answer = upload(GOOD, **cells)
    assert said in errors(answer)[field]
    assert said in text(answer)
    assert not ListImport.objects.exists()


def test_the_name_of_the_file_is_kept_nowhere(upload: Upload) -> None:
    answer = upload(GOOD, name="+12125550123 Adalovelace.csv")
    kept = ListImport.objects.values().get()
    assert "Adalovelace" not in text(answer) + str(kept)
    assert "5550123" not in text(answer)


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_a_subscriber_manager_brings_a_list(
    upload: Upload, signed_in: Browser, role: str
) -> None:
    may = role == roles.SUBSCRIBER_MANAGER
    answer = upload(GOOD, by=signed_in(role))
    assert answer.status_code == (200 if may else 403)
    assert ListImport.objects.exists() == may


def test_a_stranger_brings_nothing(upload: Upload) -> None:
    answer = upload(GOOD, by=Client())
    assert "sign-in" in answer.redirect_chain[-1][0]
    assert not ListImport.objects.exists()


# --- the report --------------------------------------------------------------------------------


def test_a_list_that_waits_says_so(clerk: Client, bring: TakeIn) -> None:
    shown = text(clerk.get(page_of(bring(GOOD))))
    assert "waits for the meaning of its columns" in shown
    assert "What the columns mean" in shown


def test_the_report_counts_every_fate_and_shows_numbers_masked(
    clerk: Client, take_in: TakeIn
) -> None:
    row = {"phone": ADA, "opted_in_at": "2026-10-01", "first_name": "Ada", "Email": "a@b.example"}
    brought = take_in(as_csv(row, row, row, {**row, "opted_in_at": ""}, {**row, "phone": "2 or 3"}))
    answer = clerk.get(page_of(brought))
    shown = text(answer)
    counted = [(fate, count) for fate, _reason, count in answer.context["reasons"]]
    assert counted == [("accepted", 1), ("merged", 2), ("refused", 1), ("refused", 1)]
    assert list_rows.NO_DATE in shown
    assert shown.count("+1 ••• ••• ••23") == 3
    assert "Email" in shown
    assert "taken in" in shown
    secrets = ("5550123", "Ada", "a@b.example", "2 or 3")
    assert not [secret for secret in secrets if secret in shown]


def test_the_report_shows_the_first_remarks_only(clerk: Client, take_in: TakeIn) -> None:
    brought = take_in(b"phone,opted_in_at\n" + b"nobody,\n" * (ROWS_SHOWN + 1))
    answer = clerk.get(page_of(brought))
    assert [row.line for row in answer.context["rows"]] == list(range(2, ROWS_SHOWN + 2))
    assert answer.context["reasons"][0][2] == ROWS_SHOWN + 1


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_some_roles_read_reports(signed_in: Browser, take_in: TakeIn, role: str) -> None:
    brought, client = take_in(GOOD), signed_in(role)
    for path in (LISTS, page_of(brought)):
        assert client.get(path).status_code == (200 if role in SEE else 403)


@pytest.mark.parametrize("act", ["change/", "delete/"])
def test_a_list_is_not_changed_or_deleted(clerk: Client, take_in: TakeIn, act: str) -> None:
    brought = take_in(GOOD)
    answer = clerk.post(f"{LISTS}{brought.pk}/{act}", {"label": "other", "post": "yes"})
    assert answer.status_code == 403
    assert ListImport.objects.get().label == "shop export"


def test_the_page_of_thirty_lists_costs_as_many_statements_as_of_three(
    clerk: Client, bring: TakeIn
) -> None:
    clerk.get(LISTS)
    costs = []
    for more in (3, 27):
        for _time in range(more):
            bring(GOOD)
        with CaptureQueriesContext(connection) as statements:
            clerk.get(LISTS)
        costs.append(len(statements))
    assert costs[0] == costs[1]


def test_a_long_report_costs_as_many_statements_as_a_short_one(
    clerk: Client, take_in: TakeIn
) -> None:
    costs = []
    for rows in (1, 3, 30):
        brought = take_in(b"phone,opted_in_at\n" + b"nobody,\n" * rows)
        with CaptureQueriesContext(connection) as statements:
            clerk.get(page_of(brought))
        costs.append(len(statements))
    assert costs[1] == costs[2]


def test_every_row_of_a_list_can_be_seen_with_its_fate(
    signed_in: Callable[..., Client], take_in: TakeIn, clock: Any
) -> None:
    brought = take_in(b"phone,opted_in_at\nnone,2026-01-01\n+12125550123,2026-01-01\n")
    client = signed_in(roles.SUBSCRIBER_MANAGER)
    report = client.get(reverse("admin:consent_listimport_change", args=[brought.pk]))
    address = f"{reverse('admin:consent_importrow_changelist')}?list_import__id__exact={brought.pk}"
    assert address in report.content.decode()
    shown = client.get(address).content.decode()
    assert "This is not a telephone number." in shown
    assert "••23" in shown
    assert "+12125550123" not in shown
