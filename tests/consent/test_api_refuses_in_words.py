"""Whatever is wrong with a call is told in JSON and words, and never with what the call said."""

import logging

import pytest
from django.test import Client

from audit.models import Detail, Entry
from config import logs
from consent import api, integrations, limits
from consent.models import ApiCall, Consent, Integration
from tests.conftest import AT
from tests.consent.calls import FORM, a_key, call, told_once
from tests.consent.conftest import ADA

pytestmark = pytest.mark.usefixtures("clock")
OPERATIONS = ["consents", "withdrawals", "status"]


@pytest.fixture
def key(notice) -> str:
    return a_key()


def _refusal(answer, status: int) -> dict:
    """What a refusal says, which has the one form that all have."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert set(told) == {"error", "fields"}
    assert told["error"].endswith((".", "fields."))
    assert all(set(fault) == {"field", "error"} for fault in told["fields"])
    return told


def _fields(answer, status: int = 422) -> dict[str, str]:
    return {fault["field"]: fault["error"] for fault in _refusal(answer, status)["fields"]}


# --- who calls ---------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer vk_" + "a" * 43, "Bearer \x00", "Basic {key}", "{key}"],
)
def test_without_a_valid_key_nothing_is_said_but_that(key, operation, authorization) -> None:
    told = {} if authorization is None else {"Authorization": authorization.format(key=key)}
    client = Client(headers=told)
    answer = client.post(f"/api/v1/{operation}", FORM, content_type="application/json")
    assert "Bearer vk_" in _refusal(answer, 401)["error"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not Consent.objects.exists()


def test_a_missing_an_unknown_and_a_revoked_key_are_answered_alike(key) -> None:
    integrations.revoke(integration=Integration.objects.get(), by="command", at=AT)
    keys = [key, "vk_" + "a" * 43, ""]
    assert len({call(one, "status", FORM).content for one in keys}) == 1
    assert call(key, "status", FORM).status_code == 401


def test_a_session_of_the_back_office_opens_nothing(key, signed_in) -> None:
    browser = signed_in("Administrator")
    answer = browser.post("/api/v1/status", FORM, content_type="application/json")
    _refusal(answer, 401)


@pytest.mark.parametrize(
    ("operation", "needed", "other"),
    [
        ("consents", "consents:write", ["withdrawals:write", "status:read"]),
        ("withdrawals", "withdrawals:write", ["consents:write", "status:read"]),
        ("status", "status:read", ["consents:write", "withdrawals:write"]),
    ],
)
def test_a_key_without_the_scope_is_refused_by_its_name(notice, operation, needed, other) -> None:
    answer = call(a_key(*other), operation, FORM)
    assert needed in _refusal(answer, 403)["error"]
    assert not Consent.objects.exists()


# --- how it is called --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "consent", "consents/", "consents/1", "docs", "a/b?c=d"])
def test_an_address_that_means_nothing_is_told_in_json(key, path) -> None:
    answer = call(key, path, FORM)
    _refusal(answer, 400 if "?" in path else 404)


@pytest.mark.parametrize(
    ("operation", "method", "allowed"),
    [
        ("consents", "GET", {"POST"}),
        ("withdrawals", "PUT", {"POST"}),
        ("status", "DELETE", {"GET", "POST"}),
        ("openapi.json", "POST", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_told_which_are_right(key, operation, method, allowed) -> None:
    answer = call(key, operation, FORM, method=method)
    _refusal(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"number=%2B12125550123",
        b'{"number": "\xff"}',
        '{"number": "+12125550123"}'.encode("utf-16"),
        b'{"number": NaN}',
        b'{"number": -Infinity}',
        b'{"number": ' + b"1" * 5000 + b"}",
        b"[" * 30000,
        rb'{"number": "\ud800"}',
        rb'{"\udfff": 1}',
        b'["+12125550123"]',
        b'"+12125550123"',
        b"null",
        b"7",
    ],
)
def test_what_is_no_json_object_is_refused(key, body) -> None:
    for operation in OPERATIONS:
        assert "JSON" in _refusal(call(key, operation, body), 400)["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_without_a_body_is_told_to_send_one(key, method) -> None:
    told = _refusal(call(key, "status", b"", method=method), 422)
    assert told == {"error": "A body is wanted: one JSON object.", "fields": []}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "x"],
)
def test_another_kind_of_body_is_refused(key, content_type) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    answer = Client(headers=headers).generic("POST", "/api/v1/status", b"{}", content_type)
    assert "application/json" in _refusal(answer, 415)["error"]


@pytest.mark.parametrize("size", [api.MOST_BYTES + 1, 2 * 1024 * 1024])
def test_a_body_that_is_too_large_is_refused(key, size) -> None:
    answer = call(key, "consents", b" " * size)
    assert "64 KiB" in _refusal(answer, 413)["error"]


def test_a_key_may_make_600_calls_a_minute(key, clock) -> None:
    integration = Integration.objects.get()
    for _call in range(api.PER_MINUTE - 1):
        limits.allows("api", str(integration.pk), most=600, per=api.MINUTE, at=AT)
    assert call(key, "status", FORM | {}).status_code == 422  # the last that is read
    answer = call(key, "status", FORM)
    assert "600 calls a minute" in _refusal(answer, 429)["error"]
    assert answer.headers["Retry-After"] == "60"
    assert call(a_key(name="till"), "withdrawals", {"number": ADA}).status_code == 200
    clock.at = AT + api.MINUTE
    assert call(key, "withdrawals", {"number": ADA}).status_code == 200


# --- what it says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"number": None}, "number"),
        ({"number": 12125550123}, "number"),
        ({"number": 10**400}, "number"),
        ({"number": 1e300}, "number"),
        ({"number": True}, "number"),
        ({"number": ["+12125550123"]}, "number"),
        ({"number": {"e164": "+12125550123"}}, "number"),
        ({"number": "1" * 101}, "number"),
        ({"number": "+1 212\x00555 0123"}, "number"),
        ({"number": "+1 800 555 0123"}, "number"),
        ({"number": "nobody"}, "number"),
        ({"number": ""}, "number"),
        ({"country": "USA"}, "country"),
        ({"country": ""}, "country"),
        ({"country": "U\x00"}, "country"),
        ({"purpose": "of\x00fers"}, "purpose"),
        ({"purpose": "x" * 51}, "purpose"),
        ({"purpose": None}, "purpose"),
        ({"language": "EN"}, "language"),
        ({"language": "eng"}, "language"),
        ({"language": "e\x00"}, "language"),
        ({"wording": "x" * 5001}, "wording"),
        ({"wording": "\x00"}, "wording"),
        ({"notice": 0}, "notice"),
        ({"notice": 10**400}, "notice"),
        ({"notice": "1"}, "notice"),
        ({"notice": 1.5}, "notice"),
        ({"ip_address": "localhost"}, "ip_address"),
        ({"ip_address": "192.0.2.777"}, "ip_address"),
        ({"user_agent": "a\x00b"}, "user_agent"),
        ({"user_agent": "x" * 1001}, "user_agent"),
        ({"page": "http://shop.example/"}, "page"),
        ({"page": "javascript:alert(1)"}, "page"),
        ({"page": "https:///join"}, "page"),
        ({"page": "https://[::1"}, "page"),
        ({"page": "https://shop.example/\x00"}, "page"),
        ({"first_name": "x" * 81}, "first_name"),
        ({"first_name": "\x00"}, "first_name"),
        ({"state": "California"}, "state"),
        ({"phone": "+12125550123"}, "phone"),
        ({"+12125550123": 1}, "?"),
        ({"": 1}, "?"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(key, told, field) -> None:
    answer = call(key, "consents", {**FORM, **told})
    assert list(_fields(answer)) == [field]
    [sentence] = _fields(answer).values()
    assert sentence.endswith(".")
    for value in map(str, told.values()):
        assert len(value) < 3 or value not in answer.content.decode()
    assert "2125550123" not in answer.content.decode()
    assert not Consent.objects.exists()


def test_everything_that_is_missing_is_named_at_once(key) -> None:
    missing = "It is missing."
    assert _fields(call(key, "consents", {})) == {"number": missing, "purpose": missing}


def test_a_sentence_says_what_is_wanted(key) -> None:
    fields = _fields(call(key, "consents", {**FORM, "country": "USA", "surprise": 1}))
    assert fields == {
        "country": "It must be the ISO code of the country in which the number was written.",
        "surprise": "There is no such field.",
    }


# --- a number leaves no trace in clear ---------------------------------------------------------

CANARY = "+12125550199"
WAYS = [CANARY, "2125550199", "(212) 555-0199", "212 555 0199", "212-555-0199", "%2B12125550199"]


def _every_call(key: str) -> list:
    told = {**FORM, "number": CANARY, "first_name": "Canary"}
    asked = {"number": CANARY}
    weak = a_key("status:read", name="weak")
    raw = f'{{"number": "{CANARY}"'.encode()
    return [
        told_once(key, "consents", told, as_="1"),
        told_once(key, "consents", told, as_="1"),
        told_once(key, "consents", asked, as_="1"),
        told_once(key, "consents", told, as_=f"of {CANARY}"),
        call(key, "consents", told),
        call(key, "consents", {**told, "page": f"https://shop.example/{CANARY}"}),
        call(key, "consents", {**told, "ip_address": CANARY}),
        call(key, "consents", {**told, "given_at": CANARY}),
        call(key, "consents", {**told, "purpose": CANARY}),
        call(key, "consents", {**told, "wording": CANARY}),
        call(key, "consents", {**told, CANARY: CANARY}),
        call(key, "consents", {**told, "number": [CANARY]}),
        call(key, "consents", {**told, "number": f"{CANARY} ext. 5"}),
        call(key, "consents", {**told, "user_agent": ""}),
        told_once(key, "withdrawals", asked, as_="2"),
        told_once(key, "withdrawals", asked, as_="2"),
        call(key, "withdrawals", {**asked, "purpose": "offers"}),
        call(key, "withdrawals", {**asked, "purpose": CANARY}),
        call(key, "consents", told),
        call(key, "status", asked),
        call(key, "status", asked, method="GET"),
        call(key, "status", {**asked, "country": CANARY}),
        call(key, f"status?number={CANARY}", asked),
        call(key, f"of/{CANARY}", asked),
        call(weak, "consents", told),
        call(CANARY, "consents", told),
        call(key, "consents", raw),
        call(key, "consents", f'["{CANARY}"]'.encode()),
        call(key, "consents", raw + b'"}' + b" " * api.MOST_BYTES),
        call(key, "consents", told, method="PUT"),
        *[call(key, "consents", told) for _time in range(5)],
    ]


def test_a_number_driven_through_every_call_is_found_nowhere_in_clear(key, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(logs.formatter())
    answers = _every_call(key)
    met = {answer.status_code for answer in answers}
    assert met == {200, 201, 400, 401, 403, 404, 405, 409, 413, 422, 429}
    kept = [
        *(repr((row.key, row.fingerprint, row.answer)) for row in ApiCall.objects.all()),
        *(repr((row.subject, row.verb, row.facts)) for row in Entry.objects.all()),
        *(detail.text for detail in Detail.objects.all()),
        *(answer.content.decode() for answer in answers),
        *(str(answer.headers) for answer in answers),
        *Consent.objects.values_list("source", flat=True),
        caplog.text,
    ]
    assert len(caplog.records) > 10
    assert ApiCall.objects.count() == 2
    assert [(way, text) for text in kept for way in WAYS if way in text] == []


def test_before_any_mask_a_log_line_holds_nothing_but_the_address(key, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    _every_call(key)
    lines = [record.getMessage() for record in caplog.records if record.name[:6] == "django"]
    telling = [*WAYS, "Canary", "192.0.2.7", key]
    assert {line for line in lines if any(said in line for said in telling)} == {
        f"Not Found: /api/v1/of/{CANARY}"  # which the formatter masks
    }
