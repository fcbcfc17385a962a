"""Another system tells of opt-ins: what is opened, with which evidence, and what is not."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from audit.models import Entry
from config.encryption import blind_index
from consent import limits, purposes
from consent.models import Consent, Notice, Subscriber
from tests.conftest import AT, WORDINGS
from tests.consent.calls import FORM, a_key, call
from tests.consent.conftest import ADA

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def key(notice) -> str:
    return a_key("consents:write")


def _told(answer) -> tuple[int, dict]:
    return answer.status_code, answer.json()


def test_an_opt_in_opens_a_consent_that_waits_for_its_confirmation(key, notice) -> None:
    answer = call(key, "consents", FORM)
    assert _told(answer) == (201, {"status": "opened", "confirmation": "awaited"})
    consent = Consent.objects.get()
    assert consent.subscriber.number == ADA
    assert (consent.notice, consent.method) == (notice, "web_form")
    assert (consent.given_at, consent.confirmation_due_at) == (AT, AT)
    assert consent.confirmed_at is None


def test_a_purpose_without_double_opt_in_needs_no_confirmation(key, news_notice, permitted) -> None:
    answer = call(key, "consents", {**FORM, "purpose": "news"})
    assert _told(answer) == (201, {"status": "opened", "confirmation": "not needed"})
    assert permitted(ADA, about=news_notice.purpose)


def test_the_evidence_is_what_the_form_saw_and_who_told_it(key) -> None:
    call(key, "consents", FORM)
    kept = json.loads(Consent.objects.get().evidence)
    assert kept["ip_address"] == "192.0.2.7"
    assert kept["user_agent"] == "Browser/1.0"
    assert kept["told_by"] == "shop"


def test_the_trail_says_that_the_web_told_it(key) -> None:
    call(key, "consents", FORM)
    entry = Entry.objects.get(verb="consent.opened")
    assert entry.actor == "web"


def test_without_a_page_the_source_is_the_integration(key) -> None:
    call(key, "consents", FORM)
    assert Consent.objects.get().source == "integration shop"


@pytest.mark.parametrize(
    ("page", "source"),
    [
        ("https://shop.example/join?who=Ada#top", "shop.example/join"),
        ("https://ada:secret@shop.example:8443/join", "shop.example/join"),
        ("https://shop.example/of/%2B12125550123/", "shop.example"),
        ("https://shop.example/of/ada@mail.example", "shop.example"),
        ("https://shop.example/" + "x" * 300, "shop.example/" + "x" * 187),
    ],
)
def test_of_a_page_only_host_and_path_are_kept_and_nothing_personal(key, page, source) -> None:
    assert call(key, "consents", {**FORM, "page": page}).status_code == 201
    assert Consent.objects.get().source == source


def test_name_state_and_language_are_kept(key) -> None:
    told = {**FORM, "first_name": "Ada", "state": "ca", "language": "en"}
    assert call(key, "consents", told).status_code == 201
    person = Subscriber.objects.get()
    assert (person.first_name, person.area.region, person.language) == ("Ada", "CA", "en")


def test_a_number_is_read_as_it_is_written_in_its_country(key) -> None:
    told = {**FORM, "number": "07700 900123", "country": "gb"}
    assert call(key, "consents", told).status_code == 201
    assert Subscriber.objects.with_number("+447700900123").exists()


# --- the wording -------------------------------------------------------------------------------


@pytest.fixture
def newer(notice) -> Notice:
    """A wording that took the place of the other a month ago."""
    return purposes.publish(
        purpose=notice.purpose,
        language="en",
        wording=WORDINGS["current"] + " Thank you.",
        shown_from=AT - timedelta(days=30),
        by="command",
        at=AT,
    )


def _rests_on() -> Notice:
    return Consent.objects.get().notice


def test_the_wording_is_known_by_its_exact_text(key, notice, newer) -> None:
    call(key, "consents", {**FORM, "wording": WORDINGS["current"]})
    assert _rests_on() == notice


def test_the_wording_is_known_by_its_number(key, notice, newer) -> None:
    call(key, "consents", {**FORM, "notice": notice.number})
    assert _rests_on() == notice


def test_without_either_it_is_the_one_shown_then(key, notice, newer) -> None:
    call(key, "consents", FORM)
    assert _rests_on() == newer


def test_an_opt_in_of_before_the_newest_wording_rests_on_the_one_before(key, notice, newer) -> None:
    given = (AT - timedelta(days=40)).isoformat()
    assert call(key, "consents", {**FORM, "given_at": given}).status_code == 201
    assert _rests_on() == notice


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"wording": "I want everything."}, "wording"),
        ({"notice": 7}, "notice"),
        ({"language": "es"}, "language"),
        ({"notice": 1, "wording": "Both."}, "notice"),
        ({"purpose": "nothing"}, "purpose"),
    ],
)
def test_a_wording_that_is_not_on_record_is_refused(key, told, field) -> None:
    answer = call(key, "consents", {**FORM, **told})
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["fields"]] == [field]
    assert not Consent.objects.exists()


def test_a_wording_of_a_poster_is_no_wording_of_a_form(key, notice) -> None:
    text = WORDINGS["current"] + " Text SALE."
    purposes.publish(
        purpose=notice.purpose, language="en", wording=text, channel=Notice.Channel.KEYWORD,
        shown_from=notice.shown_from, by="command", at=AT,
    )  # fmt: skip
    assert call(key, "consents", {**FORM, "wording": text}).status_code == 422


def test_a_wording_that_is_no_evidence_is_refused(key, notice) -> None:
    text = "Send me offers."
    purposes.publish(
        purpose=notice.purpose, language="en", wording=text,
        shown_from=notice.shown_from, by="command", at=AT,
    )  # fmt: skip
    answer = call(key, "consents", {**FORM, "wording": text})
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "wording"
    assert not Consent.objects.exists()


# --- when it was given -------------------------------------------------------------------------


def test_the_time_of_the_opt_in_is_kept_to_the_second(key) -> None:
    call(key, "consents", {**FORM, "given_at": "2026-11-20T09:30:05+02:00"})
    assert Consent.objects.get().given_at == datetime(2026, 11, 20, 7, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "given_at",
    [
        "2026-11-24T18:00:01Z",  # a second ahead
        "2024-12-31T00:00:00Z",  # before the wording was shown
        "1999-12-31T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-20T09:30:05",
        "2026-11-20",
        "yesterday",
        "",
        "1763600000",
        1763600000,
    ],
)
def test_a_time_that_cannot_be_is_refused(key, given_at) -> None:
    told = {**FORM, "given_at": given_at, "notice": 1}
    answer = call(key, "consents", told)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["fields"]] == ["given_at"]


# --- who is on record already ------------------------------------------------------------------


def test_whoever_is_subscribed_stays_so(key, person) -> None:
    person(ADA)
    answer = call(key, "consents", FORM)
    assert _told(answer) == (200, {"status": "subscribed already", "confirmation": None})
    assert Consent.objects.count() == 1


def test_whoever_has_not_confirmed_yet_is_still_awaited(key, person) -> None:
    person(ADA, confirmed=False, given_at=AT - timedelta(days=2))
    answer = call(key, "consents", FORM)
    assert _told(answer) == (200, {"status": "subscribed already", "confirmation": "awaited"})


def test_a_refusal_stands_whatever_another_system_tells(key, withdraw, permitted) -> None:
    withdraw(ADA)
    answer = call(key, "consents", FORM)
    assert answer.status_code == 409
    assert answer.json() == {
        "status": "suppressed",
        "confirmation": None,
        "error": "This number refused messages; only the person can take that back.",
        "fields": [],
    }
    assert not Consent.objects.exists()


def test_an_opt_in_of_before_the_withdrawal_opens_nothing(key, withdraw, restore) -> None:
    withdraw(ADA)
    restore(ADA)
    answer = call(key, "consents", {**FORM, "given_at": "2026-11-20T00:00:00Z"})
    assert (answer.status_code, answer.json()["status"]) == (409, "withdrawn since")
    assert not Consent.objects.exists()


# --- what is missing, and how often ------------------------------------------------------------


@pytest.mark.parametrize("fact", ["ip_address", "user_agent"])
def test_evidence_that_is_missing_is_named(key, fact) -> None:
    told = {name: value for name, value in FORM.items() if name != fact}
    answer = call(key, "consents", told)
    assert answer.status_code == 422
    assert answer.json()["fields"] == [{"field": fact, "error": "It is missing."}]
    assert not Consent.objects.exists()


def test_a_number_may_opt_in_five_times_a_day(key) -> None:
    answers = [call(key, "consents", FORM).status_code for _time in range(6)]
    assert answers == [201, 200, 200, 200, 200, 429]


def test_the_limit_of_a_number_says_when_and_holds_for_no_other(key, clock) -> None:
    answers = [call(key, "consents", FORM) for _time in range(6)]
    assert answers[-1].headers["Retry-After"] == str(6 * 3600)  # it is six in the evening
    other = {**FORM, "number": "+1 212 555 0124"}
    assert call(key, "consents", other).status_code == 201
    clock.at = AT + timedelta(hours=6)
    assert call(key, "consents", FORM).status_code == 200


def test_a_call_that_was_refused_counts_for_nothing(key) -> None:
    for _time in range(6):
        assert call(key, "consents", {**FORM, "ip_address": None}).status_code == 422
    assert call(key, "consents", FORM).status_code == 201


def test_the_limit_of_a_number_is_one_for_all_systems(key) -> None:
    index = blind_index.of(ADA)
    for _time in range(5):
        assert limits.allows("api number", index, most=5, per=limits.DAY, at=AT)
    assert call(a_key(name="till"), "consents", FORM).status_code == 429
