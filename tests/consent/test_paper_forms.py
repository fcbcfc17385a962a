"""A signed form that a clerk types in: its scan is wanted, kept encrypted, and opened on record."""

import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from audit import roles
from audit.models import Entry, Operator
from config.encryption import blind_index
from consent import evidence, numbers, purposes, signup
from consent.admission import Outcome
from consent.models import Consent, Method, Notice, Purpose, Scan, Subscriber, Suppression
from tests.conftest import AT, WORDINGS, Clock, Enrol
from tests.consent.conftest import ADA, Permitted, Withdraw

PAGE, SCAN = "/admin/consent/subscriber/paper/", "/admin/consent/subscriber/scan/{}/"
CANARY = b"signed by hand, Ada Lovelace"
PDF = b"%PDF-1.7\n" + CANARY + bytes(range(256))
PNG = b"\x89PNG\r\n\x1a\n" + CANARY
JPEG = b"\xff\xd8\xff\xe0" + CANARY
DAY = timedelta(days=1)
MAY_TYPE_IN = [roles.SUBSCRIBER_MANAGER]
MAY_OPEN = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER, roles.AUDITOR]
Browser = Callable[..., Client]
Paper = Callable[..., Notice]
Post = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def paper(purpose: Purpose) -> Paper:
    """A wording of paper forms, on record since 2025."""

    def published(wording: str = WORDINGS["current"], **more: Any) -> Notice:
        usual = {
            "purpose": purpose,
            "channel": Notice.Channel.PAPER,
            "language": "en",
            "shown_from": datetime(2025, 1, 1, tzinfo=UTC),
        }
        return purposes.publish(wording=wording, by="command", at=AT, **{**usual, **more})

    return published


@pytest.fixture
def form(paper: Paper) -> dict[str, Any]:
    """What a clerk types in, without the scan."""
    return {
        "notice": paper().pk,
        "given_on": "2026-11-20",
        "country": "us",
        "number": "(212) 555-0123",
        "first_name": "Ada",
        "state": "ny",
        "place": "store 12",
    }


@pytest.fixture
def clerk(signed_in: Browser) -> Client:
    return signed_in(roles.SUBSCRIBER_MANAGER)


@pytest.fixture
def post(clerk: Client, form: dict[str, Any]) -> Post:
    """Hands in the form, with these changes; a scan of None is left out."""

    def posted(scan: bytes | None = PDF, *, name: str = "form.pdf", **changes: Any) -> Any:
        fields = {**form, **changes}
        if scan is not None:
            fields["scan"] = SimpleUploadedFile(name, scan)
        return clerk.post(PAGE, fields)

    return posted


def said(answer: Any, field: str) -> str:
    """What stands beside a field."""
    assert answer.status_code == 200
    return " ".join(answer.context["form"].errors.get(field, []))


def nothing_is_kept() -> bool:
    kept = (Consent, Scan, Subscriber, Suppression)
    return not any(model.objects.exists() for model in kept)


def everything_stored() -> str:
    """All that stands in any column of any table."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        rows = []
        for table in tables:
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += cursor.fetchall()
    return str(rows)


# --- a form that is right ----------------------------------------------------------------------


def test_a_signed_form_opens_a_consent_that_waits_for_its_confirmation(
    post: Post, form: dict[str, Any], permitted: Permitted
) -> None:
    answer = post()
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    consent = Consent.objects.select_related("subscriber").get()
    assert (consent.method, consent.source) == (Method.PAPER_FORM, "store 12")
    assert consent.notice_id == form["notice"]
    assert consent.given_at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert (consent.recorded_at, consent.confirmation_due_at, consent.confirmed_at) == (
        *(AT, AT),
        None,
    )
    assert consent.subscriber.number == ADA
    assert consent.subscriber.first_name == "Ada"
    assert not permitted()


def test_the_clerk_is_told_that_it_is_done(post: Post, clerk: Client) -> None:
    post()
    shown = clerk.get(PAGE).content.decode()
    assert "on record, and its confirmation is due" in shown


def test_the_state_of_the_address_counts_for_quiet_hours(post: Post) -> None:
    post(state="ca")
    assert {"NY", "CA"} <= set(Subscriber.objects.select_related("area").get().area.states.split())


def test_the_trail_tells_who_recorded_it(post: Post, operators: Callable[..., Operator]) -> None:
    post()
    entry = Entry.objects.get(verb="consent.opened")
    assert entry.actor == f"operator:{operators(roles.SUBSCRIBER_MANAGER).pk}"
    consent = Consent.objects.get()
    assert entry.facts["evidence"] == evidence.commitment(str(consent.evidence))
    assert hashlib.sha256(PDF).hexdigest() in str(consent.evidence)


def test_a_form_of_today_is_dated_no_later_than_now(
    post: Post, clock: Clock, settings: Any
) -> None:
    settings.TIME_ZONE = "America/New_York"
    clock.at = datetime(2026, 11, 24, 14, tzinfo=UTC)  # nine in the morning there
    assert post(given_on="2026-11-24").status_code == 302
    assert Consent.objects.get().given_at == clock.at


def test_a_form_signed_on_the_day_its_wording_came_out_is_taken(post: Post, paper: Paper) -> None:
    """A form tells no hour, so it cannot be older than the wording on it."""
    fresh = paper(f"{WORDINGS['current']} New.", shown_from=AT - timedelta(hours=2))
    assert post(notice=fresh.pk, given_on="2026-11-24").status_code == 302
    assert fresh.shown_from <= Consent.objects.get().given_at <= AT


def test_one_who_is_subscribed_already_is_said_to_be(
    post: Post, clerk: Client, person: Enrol, permitted: Permitted
) -> None:
    person()
    assert post().status_code == 302
    assert "This person is subscribed already" in clerk.get(PAGE).content.decode()
    assert Consent.objects.count() == 1
    assert permitted()


def test_a_form_lifts_no_refusal_and_says_so_as_a_warning(
    post: Post, clerk: Client, withdraw: Withdraw, permitted: Permitted
) -> None:
    withdraw()
    assert post().status_code == 302
    answer = clerk.get(PAGE)
    [told] = answer.context["messages"]
    assert "refused messages" in str(told)
    assert told.level_tag == "warning"
    assert not Scan.objects.exists()
    assert not permitted()


# --- the scan ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (PDF, "form.pdf", Scan.Kind.PDF),
        (PNG, "form.png", Scan.Kind.PNG),
        (JPEG, "form.jpeg", Scan.Kind.JPEG),
        (PNG, "form.pdf.exe", Scan.Kind.PNG),
        (JPEG, "form", Scan.Kind.JPEG),
    ],
)
def test_what_a_scan_is_its_content_says_and_not_its_name(
    post: Post, content: bytes, name: str, kind: Scan.Kind
) -> None:
    post(content, name=name)
    scan = Scan.objects.get()
    assert (scan.kind, scan.consent_id) == (kind, Consent.objects.get().pk)
    assert (scan.fingerprint, scan.uploaded_at) == (hashlib.sha256(content).hexdigest(), AT)


@pytest.mark.parametrize(
    "content",
    [b"MZ\x90\x00" + CANARY, b"<html>", b"GIF89a", b"PK\x03\x04", b" %PDF-1.7", b"\x89PN", b"x"],
)
def test_a_file_that_is_no_picture_is_refused_beside_the_field(post: Post, content: bytes) -> None:
    assert "must be a PDF, PNG or JPEG file" in said(post(content, name="form.pdf"), "scan")
    assert nothing_is_kept()


@pytest.mark.parametrize("content", [None, b""])
def test_a_form_without_its_scan_is_refused(post: Post, content: bytes | None) -> None:
    assert said(post(content), "scan")
    assert nothing_is_kept()


def test_a_scan_above_five_megabytes_is_refused_in_words(post: Post) -> None:
    large = PDF.ljust(signup.MOST_SCAN + 1, b"x")
    assert "larger than 5 MB" in said(post(large), "scan")
    assert nothing_is_kept()


def test_a_scan_of_five_megabytes_is_kept_whole(post: Post) -> None:
    whole = PDF.ljust(signup.MOST_SCAN, b"\xff")
    assert post(whole).status_code == 302
    assert str(Scan.objects.get().content).encode("latin-1") == whole


def test_the_verb_itself_keeps_no_scan_that_is_too_large(paper: Paper) -> None:
    with pytest.raises(ValidationError, match="larger than 5 MB"):
        sign_up_on_paper(paper(), scan=PDF.ljust(signup.MOST_SCAN + 1, b"x"))
    assert nothing_is_kept()


def sign_up_on_paper(notice: Notice, **more: Any) -> Outcome:
    usual: dict[str, Any] = {"scan": PDF, "number": numbers.parse(ADA), "source": "store 12"}
    times = {"given_at": AT - DAY, "at": AT}
    return signup.sign_up_on_paper(notice=notice, by="command", **{**usual, **times, **more})


def test_nothing_of_a_scan_stands_anywhere_in_clear(post: Post) -> None:
    post()
    assert Scan.objects.get().content
    stored = everything_stored()
    assert hashlib.sha256(PDF).hexdigest() in stored  # so that a trace would be found
    assert not [trace for trace in (CANARY.decode(), CANARY.hex(), "%PDF") if trace in stored]


# --- opening it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind", "ending"),
    [(PDF, "application/pdf", "pdf"), (PNG, "image/png", "png"), (JPEG, "image/jpeg", "jpg")],
)
def test_a_scan_is_handed_out_as_it_was_and_kept_by_no_cache(
    post: Post, clerk: Client, content: bytes, kind: str, ending: str
) -> None:
    post(content)
    scan = Scan.objects.get()
    answer = clerk.get(SCAN.format(scan.pk))
    assert answer.content == content
    assert answer["Content-Type"] == kind
    assert answer["Content-Disposition"] == f'attachment; filename="form-{scan.pk}.{ending}"'
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_trail_tells_who_opened_a_scan_and_whose_it_is(
    post: Post, clerk: Client, operators: Callable[..., Operator]
) -> None:
    post()
    scan = Scan.objects.get()
    for _time in range(2):
        clerk.get(SCAN.format(scan.pk))
    first, second = Entry.objects.filter(verb="scan.opened").order_by("pk")
    assert first.subject == second.subject == f"subscriber:{Subscriber.objects.get().pk}"
    assert first.actor == f"operator:{operators(roles.SUBSCRIBER_MANAGER).pk}"
    assert first.facts == {"scan": scan.fingerprint}


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_some_roles_open_a_scan(signed_in: Browser, paper: Paper, role: str) -> None:
    sign_up_on_paper(paper())
    answer = signed_in(role).get(SCAN.format(Scan.objects.get().pk))
    assert answer.status_code == (200 if role in MAY_OPEN else 403)
    assert Entry.objects.filter(verb="scan.opened").exists() == (role in MAY_OPEN)
    assert (CANARY in answer.content) == (role in MAY_OPEN)


def test_a_scan_that_does_not_exist_is_not_found(clerk: Client) -> None:
    assert clerk.get(SCAN.format("0" * 8 + "-0000-4000-8000-" + "0" * 12)).status_code == 404
    assert not Entry.objects.filter(verb="scan.opened").exists()


def test_a_scan_that_was_erased_is_not_found(post: Post, clerk: Client) -> None:
    post()
    Scan.objects.update(content="")
    assert clerk.get(SCAN.format(Scan.objects.get().pk)).status_code == 404


def test_a_persons_page_leads_to_their_scan(post: Post, clerk: Client) -> None:
    post()
    page = f"/admin/consent/subscriber/{Subscriber.objects.get().pk}/change/"
    assert SCAN.format(Scan.objects.get().pk) in clerk.get(page).content.decode()


# --- the wording -------------------------------------------------------------------------------


def test_only_wordings_of_paper_forms_are_offered(
    post: Post, clerk: Client, form: dict[str, Any], notice: Notice
) -> None:
    assert said(post(notice=notice.pk), "notice")
    assert nothing_is_kept()
    offered = clerk.get(PAGE).context["form"].fields["notice"].queryset
    assert [wording.pk for wording in offered] == [form["notice"]]


def test_a_wording_that_lacks_an_essential_is_refused_with_what_it_lacks(
    post: Post, paper: Paper
) -> None:
    old = paper(WORDINGS["before_2025"])
    told = said(post(notice=old.pk), "notice")
    assert "does not state the business's name nor that it is not a condition of purchase" in told
    assert nothing_is_kept()


# --- dates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_on", "words"),
    [
        (str(AT.date() + DAY), "cannot lie in the future"),
        ("9999-12-31", "cannot lie in the future"),
        ("2024-12-31", "was not shown yet at that time"),
        ("0001-01-01", "was not shown yet at that time"),
        ("", "required"),
        ("31.11.2026", "valid date"),
        ("yesterday", "valid date"),
    ],
)
def test_a_date_that_cannot_be_is_refused_beside_the_field(
    post: Post, given_on: str, words: str
) -> None:
    assert words in said(post(given_on=given_on), "given_on")
    assert nothing_is_kept()
    assert not Entry.objects.filter(verb="consent.opened").exists()


def test_tomorrow_is_tomorrow_where_the_business_is(
    post: Post, clock: Clock, settings: Any
) -> None:
    settings.TIME_ZONE = "America/New_York"
    clock.at = datetime(2026, 11, 25, 3, tzinfo=UTC)  # late on the 24th there
    assert "future" in said(post(given_on="2026-11-25"), "given_on")
    assert post(given_on="2026-11-24").status_code == 302


# --- what else may be wrong --------------------------------------------------------------------

WRONG: list[tuple[str, list[Any]]] = [
    ("notice", ["", "0", "999", "x", "-1", "9" * 40]),
    ("country", ["", "USA"]),
    ("number", ["", "911", "nobody", "+1 800 555 0100", "2.12556E+11", "1" * 101]),
    ("first_name", ["x" * 61]),
    ("state", ["NEWY"]),
    ("place", ["", "   ", "x" * 121, "+1 212 555 0123", "ada@example.com"]),
]


@pytest.mark.parametrize(
    ("field", "typed"), [(field, typed) for field, values in WRONG for typed in values]
)
def test_what_is_wrong_is_said_beside_its_field(post: Post, field: str, typed: str) -> None:
    assert said(post(**{field: typed}), field)
    assert nothing_is_kept()


def test_a_form_with_everything_wrong_says_it_all_at_once(post: Post) -> None:
    wrong = {field: values[-1] for field, values in WRONG}
    answer = post(b"", given_on="x", **wrong)
    for field in (*wrong, "given_on", "scan"):
        assert said(answer, field), field
    assert nothing_is_kept()


@pytest.mark.parametrize("fields", [{}, {"scan": "a text, no file"}, {"number": "\x00"}])
def test_a_form_that_no_browser_sends_is_no_fault_of_ours(
    clerk: Client, fields: dict[str, str]
) -> None:
    assert clerk.post(PAGE, fields).status_code == 200
    assert clerk.post(PAGE, {"country": "\x00", "given_on": "\x00", **fields}).status_code == 200


@pytest.mark.parametrize("state", ["ZZ", "1", "É"])
def test_a_state_that_is_none_adds_nothing(post: Post, state: str) -> None:
    assert post(state=state).status_code == 302
    assert Subscriber.objects.select_related("area").get().area.states == "NY"


# --- what stands nowhere, and who may ----------------------------------------------------------


def test_a_number_that_was_typed_in_is_shown_and_told_nowhere(
    post: Post, clerk: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        wrong, right = post(given_on="x"), post()
    pages = wrong.content.decode() + clerk.get(PAGE).content.decode()
    lines = [record.getMessage() for record in caplog.records]
    told = f"{pages} {right['Location']} {lines} {everything_stored()}"
    assert not [trace for trace in ("555-0123", "5550123", "Ada") if trace in told]


def test_a_wrong_form_keeps_what_names_nobody(post: Post) -> None:
    shown = post(given_on="x").content.decode()
    assert 'value="store 12"' in shown


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_some_roles_type_in_a_form(
    signed_in: Browser, form: dict[str, Any], role: str
) -> None:
    client = signed_in(role)
    allowed = role in MAY_TYPE_IN
    assert client.get(PAGE).status_code == (200 if allowed else 403)
    answer = client.post(PAGE, {**form, "scan": SimpleUploadedFile("form.pdf", PDF)})
    assert answer.status_code == (302 if allowed else 403)
    assert Consent.objects.exists() == allowed


@pytest.mark.parametrize("role", MAY_OPEN)
def test_the_way_to_the_form_is_shown_to_those_who_may_go_it(signed_in: Browser, role: str) -> None:
    shown = signed_in(role).get("/admin/consent/subscriber/").content.decode()
    assert (PAGE in shown) == (role in MAY_TYPE_IN)


def test_a_stranger_is_sent_to_the_sign_in(client: Client, paper: Paper) -> None:
    sign_up_on_paper(paper())
    for page in (PAGE, SCAN.format(Scan.objects.get().pk)):
        answer = client.get(page, follow=True)
        assert answer.redirect_chain[-1][0].startswith("/sign-in/")


def test_a_second_form_of_one_person_leaves_the_first_scan(
    post: Post, clerk: Client, paper: Paper
) -> None:
    post()
    post(PNG)
    assert Scan.objects.get().fingerprint == hashlib.sha256(PDF).hexdigest()
    assert Subscriber.objects.get().number_index == blind_index.of(ADA)
