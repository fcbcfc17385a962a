"""The opt-in page: a box that is not ticked, an exact wording, and no word of who is known."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from config.encryption import blind_index
from consent import purposes
from consent.models import Allowance, Consent, Method, Notice, Purpose, Subscriber, Suppression
from tests.conftest import AT, WORDINGS, Clock, Enrol
from tests.consent.conftest import ADA, BOB, Withdraw

PAGE = "/join/offers/en/"
AGENT, ADDRESS = "Canary/7.0 (a browser of nobody)", "192.0.2.77"
TICKED = {"agreed": "on", "number": ADA}
TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"')

pytestmark = pytest.mark.usefixtures("clock", "notice")


def post(browser: Client, address: str = ADDRESS, page: str = PAGE, **fields: Any) -> Any:
    return browser.post(page, fields, REMOTE_ADDR=address, headers={"User-Agent": AGENT})


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


# --- what is shown -----------------------------------------------------------------------------


def test_the_page_shows_the_wording_beside_a_box_that_is_not_ticked(client: Client) -> None:
    page = client.get(PAGE)
    assert page.status_code == 200
    label = re.search(r"<label for=\"id_agreed\">(.*?)</label>", words(page))
    assert label
    assert "Consent is not a condition of purchase." in label[1]
    assert '<input type="checkbox" name="agreed" id="id_agreed"' in label[1]
    assert "checked" not in words(page)


def test_the_wording_is_word_for_word_the_one_on_record(client: Client, notice: Notice) -> None:
    label = re.search(r"<span>(.*?)</span>", words(client.get(PAGE)))
    assert label
    shown = re.sub(r"<[^>]+>", "", label[1]).replace("&amp;", "&")
    assert shown == notice.wording


def test_the_box_is_not_ticked_by_an_address(client: Client) -> None:
    assert "checked" not in words(client.get(PAGE, {"agreed": "on", "number": ADA}))


def test_the_page_needs_no_script(client: Client) -> None:
    assert "<script" not in words(client.get(PAGE))
    assert " required" not in words(client.get(PAGE))


def test_a_tick_and_a_number_opt_in(client: Client, notice: Notice) -> None:
    page = post(client, **TICKED)
    assert page.status_code == 200
    assert "Look at your phone" in words(page)
    consent = Consent.objects.get()
    assert (consent.method, consent.notice, consent.source) == (Method.WEB_FORM, notice, PAGE)
    assert (consent.given_at, consent.confirmation_due_at) == (AT, AT)
    assert consent.confirmed_at is None
    assert consent.subscriber.number == ADA


@pytest.mark.parametrize("spelling", ["(212) 555-0123", "212.555.0123", " +1 212 555 0123 "])
def test_a_number_is_understood_as_people_write_it(client: Client, spelling: str) -> None:
    post(client, agreed="on", number=spelling)
    assert Subscriber.objects.get().number == ADA


@pytest.mark.parametrize("number", ["", ADA, "nonsense"])
def test_without_a_tick_nothing_is_taken_and_no_number_is_demanded(
    client: Client, number: str
) -> None:
    page = post(client, number=number)
    assert page.status_code == 422
    assert "Tick the box if you want these messages." in words(page)
    assert list(page.context["form"].errors) == ["agreed"]
    assert not Subscriber.objects.exists()


@pytest.mark.parametrize("number", ["", "12", "nonsense", "+18005550199", "9" * 41])
def test_a_tick_without_a_number_that_we_can_reach_is_told_why(client: Client, number: str) -> None:
    page = post(client, agreed="on", number=number)
    assert page.status_code == 422
    assert list(page.context["form"].errors) == ["number"]
    assert 'class="errorlist"' in words(page)
    assert not Subscriber.objects.exists()


def test_a_form_with_a_fault_keeps_what_was_filled_in(client: Client) -> None:
    page = words(post(client, agreed="on", number="12"))
    assert "checked" in page
    assert 'value="12"' in page


def test_who_need_not_confirm_is_told_so(client: Client) -> None:
    Purpose.objects.update(double_opt_in=False)
    assert "answered it with YES" not in words(post(client, **TICKED))


# --- which wording -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    ["/join/offers/es/", "/join/offers/xx/", "/join/offers/EN/", "/join/news/en/", "/join/offers/"],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_purpose_or_language_that_is_not_offered_is_not_found(
    client: Client, page: str, method: str
) -> None:
    answer = getattr(client, method)(page, TICKED)
    assert answer.status_code == 404
    assert not Consent.objects.exists()


@pytest.mark.parametrize("language", ["%00", "e%00", "%F0%9F%98%80", "e" * 5000, "..", "%0A"])
def test_an_odd_language_is_not_found(client: Client, language: str) -> None:
    assert client.get(f"/join/offers/{language}/").status_code == 404


def test_a_language_without_a_wording_is_not_found(client: Client, purpose: Purpose) -> None:
    Purpose.objects.update(languages="en es")
    assert client.get("/join/offers/es/").status_code == 404


def publish(purpose: Purpose, wording: str, **more: Any) -> Notice:
    usual = {"language": "en", "shown_from": AT - timedelta(hours=1), "by": "command", "at": AT}
    return purposes.publish(purpose=purpose, wording=wording, **{**usual, **more})


def test_a_wording_that_leaves_something_out_is_not_shown(client: Client, purpose: Purpose) -> None:
    publish(purpose, WORDINGS["before_2025"], shown_from=AT - timedelta(days=2))
    assert client.get(PAGE).status_code == 404
    assert post(client, **TICKED).status_code == 404
    assert not Consent.objects.exists()


def test_a_wording_that_leaves_out_what_only_carriers_want_is_not_shown(
    client: Client, purpose: Purpose
) -> None:
    without_help = WORDINGS["current"].replace("Reply HELP for help, ", "")
    publish(purpose, without_help, shown_from=AT - timedelta(days=2))
    assert client.get(PAGE).status_code == 404


def test_a_wording_in_a_language_that_is_not_offered_is_not_shown(
    client: Client, purpose: Purpose
) -> None:
    publish(purpose, WORDINGS["current"] + " En espanol.", language="es")
    assert client.get("/join/offers/es/").status_code == 404
    Purpose.objects.update(languages="en es")
    assert client.get("/join/offers/es/").status_code == 200


def test_a_wording_of_a_poster_is_not_shown(client: Client, purpose: Purpose) -> None:
    poster = WORDINGS["current"].replace("I agree", "Text OFFERS to agree")
    publish(purpose, poster, channel=Notice.Channel.KEYWORD)
    assert "Text OFFERS" not in words(client.get(PAGE))


def test_the_wording_of_the_day_is_shown_and_stored(
    client: Client, purpose: Purpose, clock: Clock
) -> None:
    newer = publish(
        purpose, WORDINGS["current"] + " Carriers are not liable.", shown_from=AT + timedelta(1)
    )
    assert "not liable" not in words(client.get(PAGE))
    clock.at = AT + timedelta(days=1)
    assert "not liable" in words(client.get(PAGE))
    post(client, **TICKED)
    assert Consent.objects.get().notice == newer


def test_what_is_stored_is_what_the_person_saw(client: Client, purpose: Purpose) -> None:
    """A wording may change between the page and its form; then it is read again first."""
    shown = client.get(PAGE)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', words(shown)))
    newer = publish(purpose, WORDINGS["current"] + " Carriers are not liable.")
    page = post(client, **hidden, **TICKED)
    assert not Consent.objects.filter(notice=newer).exists()
    assert Consent.objects.exists() or "not liable" in words(page)


# --- age ---------------------------------------------------------------------------------------


@pytest.fixture
def adults(purpose: Purpose) -> Purpose:
    Purpose.objects.update(least_age=21)
    publish(purpose, WORDINGS["current"] + " You must be 21 or older.")
    return purpose


@pytest.mark.usefixtures("adults")
def test_who_does_not_say_that_they_are_old_enough_is_not_taken(client: Client) -> None:
    page = post(client, **TICKED)
    assert page.status_code == 422
    assert list(page.context["form"].errors) == ["of_age"]
    assert not Subscriber.objects.exists()


@pytest.mark.usefixtures("adults")
def test_who_says_so_is_taken(client: Client) -> None:
    assert "I am 21 or older." in words(client.get(PAGE))
    assert "checked" not in words(client.get(PAGE))
    assert post(client, of_age="on", **TICKED).status_code == 200
    assert Consent.objects.exists()


@pytest.mark.usefixtures("adults")
def test_that_they_said_so_is_kept(client: Client) -> None:
    post(client, of_age="on", **TICKED)
    assert "21" in json.dumps(json.loads(Consent.objects.get().evidence))


def test_a_page_without_an_age_asks_for_none(client: Client) -> None:
    assert "of_age" not in words(client.get(PAGE))


# --- what is kept ------------------------------------------------------------------------------


def test_the_address_and_the_browser_are_kept_as_evidence(client: Client) -> None:
    post(client, **TICKED)
    told = json.loads(Consent.objects.get().evidence)
    assert (told["ip_address"], told["user_agent"]) == (ADDRESS, AGENT)


def test_address_browser_and_number_stand_in_no_table_in_the_clear(client: Client) -> None:
    post(client, **TICKED)
    post(client, agreed="on", number="12")
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows = str(cursor.fetchall())
            assert [c for c in (ADDRESS, "Canary/7.0", ADA[2:]) if c in rows] == [], table


def test_a_browser_that_tells_nothing_of_itself_is_taken_too(client: Client) -> None:
    client.post(PAGE, TICKED, REMOTE_ADDR=ADDRESS)
    assert json.loads(Consent.objects.get().evidence)["user_agent"]


def test_a_page_that_is_only_looked_at_writes_nothing(client: Client) -> None:
    client.get(PAGE)
    client.head(PAGE)
    assert not Allowance.objects.exists()
    assert not Subscriber.objects.exists()


# --- forgery and floods ------------------------------------------------------------------------


def test_a_form_that_our_page_did_not_show_is_refused() -> None:
    stranger = Client(enforce_csrf_checks=True)
    assert post(stranger, **TICKED).status_code == 403
    assert not Consent.objects.exists()


def test_the_form_that_our_page_showed_is_taken() -> None:
    browser = Client(enforce_csrf_checks=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', words(browser.get(PAGE)))
    assert token
    assert post(browser, csrfmiddlewaretoken=token[1], **TICKED).status_code == 200
    assert Consent.objects.exists()


def test_the_twenty_first_form_of_an_hour_from_one_address_is_turned_away(
    client: Client, clock: Clock
) -> None:
    for line in range(20):
        assert post(client, agreed="on", number=f"+121255501{line:02}").status_code == 200
    page = post(client, agreed="on", number="+12125550199")
    assert page.status_code == 429
    assert "Nothing was saved. Try again in an hour." in words(page)
    assert Subscriber.objects.count() == 20
    assert post(client, "192.0.2.78", **TICKED).status_code == 200
    clock.at = AT + timedelta(hours=1)
    assert post(client, agreed="on", number="+12125550199").status_code == 200


def test_the_fourth_form_of_a_day_for_one_number_changes_nothing_and_looks_the_same(
    client: Client, clock: Clock
) -> None:
    withdrawn = [post(client, f"192.0.2.{n}", **TICKED) for n in range(3)]
    Consent.objects.update(lapsed_at=AT)
    fourth = post(client, **TICKED)
    assert (fourth.status_code, fourth.content) == (200, withdrawn[0].content)
    assert not Consent.objects.open().exists()
    clock.at = AT + timedelta(days=1)
    post(client, **TICKED)
    assert Consent.objects.open().exists()


def test_a_spelling_of_its_own_is_no_number_of_its_own(client: Client) -> None:
    for spelling in ("2125550123", "(212) 555-0123", ADA):
        post(client, agreed="on", number=spelling)
    Consent.objects.update(lapsed_at=AT)
    post(client, agreed="on", number="212-555-0123")
    assert not Consent.objects.open().exists()


# --- nobody learns who is known ----------------------------------------------------------------


def subscribed(person: Enrol, withdraw: Withdraw) -> None:
    person(ADA)


def unconfirmed(person: Enrol, withdraw: Withdraw) -> None:
    person(ADA, confirmed=False)


def stopped(person: Enrol, withdraw: Withdraw) -> None:
    person(ADA)
    withdraw(ADA)


def refused(person: Enrol, withdraw: Withdraw) -> None:
    withdraw(ADA)


def at_the_provider(person: Enrol, withdraw: Withdraw) -> None:
    withdraw(ADA, channel=Suppression.Channel.PROVIDER)


def known_elsewhere(person: Enrol, withdraw: Withdraw) -> None:
    person(ADA)
    Consent.objects.update(lapsed_at=AT)


@pytest.mark.parametrize(
    "known", [subscribed, unconfirmed, stopped, refused, at_the_provider, known_elsewhere]
)
def test_the_answer_is_the_same_for_everyone(
    client: Client, person: Enrol, withdraw: Withdraw, known: Callable[..., None]
) -> None:
    unknown = post(client, agreed="on", number=BOB)
    known(person, withdraw)
    answer = post(client, **TICKED)
    assert answer.status_code == unknown.status_code == 200
    assert TOKEN.sub(b"", answer.content) == TOKEN.sub(b"", unknown.content)
    differs = {"Set-Cookie", "Expires"}  # a token of its own, and the second of the answer
    assert {name: answer[name] for name in answer.headers if name not in differs} == {
        name: unknown[name] for name in unknown.headers if name not in differs
    }


def test_who_stopped_is_not_signed_up_by_a_form(client: Client, withdraw: Withdraw) -> None:
    withdraw(ADA)
    post(client, **TICKED)
    assert not Consent.objects.exists()
    assert Suppression.objects.standing().filter(number_index=blind_index.of(ADA)).exists()


# --- headers and oddities ----------------------------------------------------------------------


@pytest.mark.parametrize("fields", [None, TICKED, {"agreed": "on"}])
def test_no_page_is_kept_framed_or_scripted(client: Client, fields: Any) -> None:
    page = client.get(PAGE) if fields is None else client.post(PAGE, fields)
    assert "no-store" in page["Cache-Control"]
    assert page["X-Frame-Options"] == "DENY"
    policy = page["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert " style=" not in words(page)


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    assert getattr(client, method)(PAGE).status_code == 405


ODD = [
    "x" * 10_000,
    "\x00",
    f"{ADA}\x00",
    "😀📱",
    "‮+12125550123",
    "٠١٢",
    "<script>",
    "{{ 1 }}",
    "+",
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["number", "agreed", "of_age", "other"])
def test_an_odd_input_is_never_a_fault_of_ours(client: Client, field: str, odd: str) -> None:
    page = post(client, **{**TICKED, field: odd})
    assert page.status_code in (200, 422)
    assert "<script" not in words(page)


def test_two_numbers_are_one(client: Client) -> None:
    post(client, agreed=["on", "on"], number=[BOB, ADA])
    assert Subscriber.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"agreed": true, "number": ["+12125550123"]}'),
        ("application/x-www-form-urlencoded", b"agreed=on&number=%FF%FE%00"),
        ("application/x-www-form-urlencoded", b"a=1&" * 1001),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        ("text/plain", b""),
    ],
)
def test_an_odd_body_is_never_a_fault_of_ours(client: Client, kind: str, body: bytes) -> None:
    client.raise_request_exception = False
    assert client.post(PAGE, body, content_type=kind).status_code < 500
    assert not Consent.objects.exists()


@pytest.mark.parametrize("agent", ["x" * 10_000, "😀".encode().decode("latin-1"), "\x00"])
def test_an_odd_browser_is_never_a_fault_of_ours(client: Client, agent: str) -> None:
    page = client.post(PAGE, TICKED, HTTP_USER_AGENT=agent)
    assert page.status_code == 200
    assert len(json.loads(Consent.objects.get().evidence)["user_agent"]) <= 300
