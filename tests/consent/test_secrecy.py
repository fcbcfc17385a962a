"""A number and a name driven through every door of consent are found in clear nowhere behind it."""

import io
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test import Client

from audit import roles
from audit.models import Entry
from audit.trail import NotRecorded
from config import logs
from consent import lists, tasks
from consent.models import Consent, ImportRow, ListImport, ListPart, Purpose, Subscriber
from tests.consent.conftest import TakeIn, as_csv

NUMBER, DIGITS = "+12125550177", "2125550177"
STRANGER = "+447700900177"
NAME, STREET, AGENT = "Xanthippe", "Quillfeather Lane", "Zyxbrowser/9.9"
ADDRESS, NOTE = "203.0.113.177", "Xanthippe rang from 212 555 0177, very angry"
SECRETS = [NUMBER, DIGITS, STRANGER[3:], NAME, STREET, AGENT, ADDRESS, "very angry"]
ROW = {
    "phone": "(212) 555-0177",
    "opted_in_at": "2026-10-01",
    "confirmed": "yes",
    "first_name": NAME,
    "source": f"https://harbor.example/join?name={NAME}",
    "ip": ADDRESS,
    "user_agent": AGENT,
    "Street": STREET,
    "Email": f"{NAME}@mail.example",
}
FAILING = [
    {"phone": "0212 555 0177 ext 9"},
    {"phone": "212 555 0177, +44 7700 900177"},
    {"phone": NUMBER, "opted_in_at": f"{NAME}, last May"},
    {"phone": NUMBER, "first_name": f"={NAME}"},
    {"phone": f"call {NAME}"},
    {"phone": NUMBER, "source": f"{NUMBER} {NAME}@mail.example"},
    {"phone": NUMBER, "language": NAME, "country": STREET, "method": NAME},
]

pytestmark = pytest.mark.usefixtures("clock", "notice")


def found(text: str) -> list[str]:
    """Which secrets stand in a text, however the digits of a number are set."""
    digits = re.sub(r"[\s().\-\u2011]", "", text)
    return [secret for secret in SECRETS if secret in text or secret in digits]


def tables() -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Every table of the database with all its rows, as a thief would read them."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            yield table, cursor.fetchall()


def leaks() -> dict[str, list[str]]:
    """What a copy of the database gives away, by table."""
    read = {table: found(str(rows)) for table, rows in tables()}
    return {table: secrets for table, secrets in read.items() if secrets}


class Statements(list[str]):
    """Every statement with its parameters, at the moment it leaves for the database."""

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.append(f"{sql} {params!r}")
        return execute(sql, params, many, context)


@pytest.fixture
def statements(db: None) -> Iterator[Statements]:
    heard = Statements()
    with connection.execute_wrapper(heard):
        yield heard


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, as the handlers of the product write it."""
    caplog.handler.setFormatter(logs.formatter())
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def clerk(signed_in: Callable[..., Client]) -> Client:
    return signed_in(roles.SUBSCRIBER_MANAGER)


@pytest.fixture
def upload(clerk: Client, purpose: Purpose) -> Callable[..., str]:
    """Sends a list by its page; gives back what the browser shows in the end."""

    def sent(raw: bytes, **more: Any) -> str:
        file = SimpleUploadedFile(f"{NUMBER} {NAME}.csv", raw)
        form = {"kind": "opt_ins", "purpose": purpose.pk, "label": "till", "method": "web_form"}
        path = "/admin/consent/listimport/add/"
        answer = clerk.post(path, {**form, "country": "US", "file": file, **more}, follow=True)
        return str(answer.content.decode())

    return sent


def test_the_search_of_this_file_finds_what_is_there(take_in: TakeIn) -> None:
    brought = take_in(as_csv(ROW), label=f"list of {NAME}")
    assert found("call +1 (212) 555-0177 now") == [NUMBER, DIGITS]
    assert leaks() == {"consent_listimport": [NAME]}
    assert str(brought) == f"list of {NAME}"


CALL = {"channel": "phone", "received_at": "2026-11-24 12:00"}


def worked_off() -> None:
    """Everything of the one list there is, with what rests between the steps searched as well."""
    brought = ListImport.objects.get()
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=brought.created_at)
    tasks.take_lists()
    assert leaks() == {}
    brought.refresh_from_db()
    lists.begin(brought=brought, by="command", at=brought.created_at)
    tasks.take_lists()


def test_a_list_leaves_nothing_in_clear_while_it_is_kept_or_after(
    upload: Callable[..., str], statements: Statements, lines: pytest.LogCaptureFixture
) -> None:
    shown = upload(as_csv(ROW, *({**ROW, **cells} for cells in FAILING)))
    assert NUMBER[-4:] in ListPart.objects.get().content
    assert leaks() == {}
    worked_off()
    assert Subscriber.objects.get().first_name == NAME
    assert Consent.objects.get().evidence
    assert leaks() == {}
    assert found(shown + lines.text + str(statements)) == []
    assert found(str([record.getMessage() for record in lines.records])) == []


def test_the_report_of_a_list_shows_nothing_of_the_rows(clerk: Client, take_in: TakeIn) -> None:
    brought = take_in(as_csv(ROW, *({**ROW, **cells} for cells in FAILING)))
    assert brought.rows.exclude(fate=ImportRow.Fate.ACCEPTED).count() == len(FAILING)
    pages = [f"/admin/consent/listimport/{brought.pk}/change/", "/admin/consent/listimport/"]
    assert found("".join(clerk.get(page).content.decode() for page in pages)) == []


def test_a_list_of_opt_outs_leaves_no_number_of_those_who_were_never_known(
    upload: Callable[..., str], statements: Statements, lines: pytest.LogCaptureFixture
) -> None:
    raw = as_csv({"phone": NUMBER, "reason": NAME}, {"phone": STRANGER, "reason": NOTE})
    shown = upload(raw, kind="opt_outs", purpose="")
    worked_off()
    assert leaks() == {}
    assert found(shown + lines.text + str(statements)) == []


@pytest.mark.parametrize(
    "raw",
    [
        f"{NUMBER},{NAME}\n".encode(),
        f"phone,{NAME}\n\x00{NUMBER}".encode(),
    ],
)
def test_a_file_that_is_refused_is_repeated_nowhere(
    upload: Callable[..., str],
    statements: Statements,
    lines: pytest.LogCaptureFixture,
    raw: bytes,
) -> None:
    shown = upload(raw)
    assert "errorlist" in shown
    assert leaks() == {}
    assert found(shown + lines.text + str(statements)) == []


def test_finding_and_opting_out_leave_nothing_in_clear(
    clerk: Client, take_in: TakeIn, statements: Statements, lines: pytest.LogCaptureFixture
) -> None:
    take_in(as_csv(ROW))
    found_at = clerk.post(
        "/admin/consent/subscriber/find/", {"country": "US", "sought": "212 555 0177"}
    )
    path = found_at["Location"]
    answer = clerk.post(path.replace("change", "opt-out"), {**CALL, "note": NOTE}, follow=True)
    assert Entry.objects.filter(verb="consent.withdrawn").exists()
    shown = answer.content.decode() + str(answer.redirect_chain) + path
    assert found(shown + lines.text + str(statements)) == []
    assert leaks() == {}


def test_the_sessions_and_the_trail_hold_nothing_personal(clerk: Client, take_in: TakeIn) -> None:
    take_in(as_csv(ROW))
    form = {"country": "US", "sought": NUMBER}
    path = clerk.post("/admin/consent/subscriber/find/", form)["Location"]
    clerk.post("/admin/consent/subscriber/find/", {"country": "GB", "sought": STRANGER})
    clerk.post(path.replace("change", "opt-out"), {**CALL, "note": NOTE})
    sessions = [session.get_decoded() for session in Session.objects.order_by("pk")]
    entries = list(Entry.objects.order_by("pk").values())
    assert sessions
    assert found(f"{sessions} {entries}") == []


def test_a_stop_and_a_start_leave_nothing_in_clear(
    take_in: TakeIn,
    withdraw: Callable[..., bool],
    restore: Callable[..., int],
    statements: Statements,
    lines: pytest.LogCaptureFixture,
) -> None:
    take_in(as_csv(ROW))
    withdraw(NUMBER, note=NOTE)
    assert restore(NUMBER, evidence=NOTE) == 1
    assert leaks() == {}
    assert found(lines.text + str(statements)) == []


@pytest.mark.parametrize("rows", [[ROW], [{**ROW, **cells} for cells in FAILING]])
def test_the_command_shows_nothing_of_the_rows(
    tmp_path: Path, lines: pytest.LogCaptureFixture, rows: list[dict[str, str]]
) -> None:
    file, out = tmp_path / "people.csv", io.StringIO()
    file.write_bytes(as_csv(*rows))
    call_command("import_list", str(file), "--label=till", "--purpose=offers", stdout=out)
    assert "taken in: 100%" in out.getvalue()
    assert found(out.getvalue() + lines.text) == []


def test_a_fault_in_the_middle_of_a_list_tells_nothing_of_the_row(
    bring: TakeIn, lines: pytest.LogCaptureFixture
) -> None:
    brought = bring(as_csv(ROW))
    with pytest.raises(NotRecorded) as fault:
        lists.read_as(brought=brought, columns=brought.columns, by="nobody", at=brought.created_at)
    logging.getLogger("celery").error("a task failed", exc_info=fault.value)
    assert "NotRecorded" in lines.text
    assert found(lines.text + repr(fault.value)) == []
    assert leaks() == {}


def test_a_person_prints_as_a_pseudonym(take_in: TakeIn) -> None:
    take_in(as_csv(ROW))
    consent = Consent.objects.select_related("subscriber").get()
    printed = [repr(row) for row in (consent, consent.subscriber, *ListImport.objects.all())]
    assert found(" ".join(printed)) == []
    assert consent.subscriber.pseudonym in printed[1]
