"""Only what the provider signed is read; of anything else not a word is kept."""

import uuid
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import Client
from twilio.request_validator import RequestValidator

from campaigns.gateways import twilio
from campaigns.models import Receipt, Reply
from tests.conftest import AT

RECEIPT = f"/webhooks/twilio/receipt?attempt={uuid.UUID(int=5).hex}"
INBOUND = "/webhooks/twilio/inbound"
TOLD = {"MessageSid": "SM1", "MessageStatus": "delivered", "ErrorCode": ""}
WRITTEN = {"MessageSid": "SM1", "From": "+12125550123", "To": "+12125550100", "Body": "STOP"}
CALLS = [(RECEIPT, TOLD), (INBOUND, WRITTEN)]
FORM = "application/x-www-form-urlencoded"

pytestmark = pytest.mark.django_db


@pytest.fixture
def sign(settings):
    """Twilio's own signature of a call to our public address."""

    def signature(path, fields, *, token=None):
        validator = RequestValidator(settings.TWILIO_AUTH_TOKEN if token is None else token)
        posted = QueryDict(urlencode(fields, doseq=True))
        return validator.compute_signature(settings.PUBLIC_URL + path, posted)

    return signature


@pytest.fixture
def call(clock):
    """Posts fields as the provider does, with whatever signature is claimed."""
    client = Client(enforce_csrf_checks=True)

    def post(path, fields, signature=None):
        claimed = {} if signature is None else {"X-Twilio-Signature": signature}
        body = urlencode(fields, doseq=True)
        return client.post(path, body, content_type=FORM, headers=claimed)

    return post


# --- the signature -----------------------------------------------------------------------------


def test_our_signature_is_the_one_that_twilio_publishes(settings):
    """The example of "Validating requests are coming from Twilio"; nobody is called by it."""
    settings.TWILIO_AUTH_TOKEN = "12345"
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    signed = twilio.signature("https://mycompany.com/myapp.php?foo=1&bar=2", list(fields.items()))
    assert signed == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_receipt_that_twilio_signed_is_kept(db, call, sign):
    answer = call(RECEIPT, TOLD, sign(RECEIPT, TOLD))
    assert (answer.status_code, answer.content) == (204, b"")
    kept = Receipt.objects.get()
    assert (kept.attempt, kept.provider_id) == (uuid.UUID(int=5), "SM1")
    assert (kept.status, kept.code, kept.received_at) == ("delivered", "", AT)


@pytest.mark.parametrize("body", ["STOP", "", "¿Dónde está? 👍 1+1=2 & 50%", "a\r\nb"])
def test_a_text_that_twilio_signed_is_read(sender, call, sign, body):
    fields = {**WRITTEN, "Body": body}
    answer = call(INBOUND, fields, sign(INBOUND, fields))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/xml"
    assert answer.content == twilio_silence()
    reply = Reply.objects.get()
    assert (reply.text, reply.received_at) == (body, AT)


def twilio_silence():
    """An empty answer, so that Twilio itself writes nothing to the person."""
    return b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


def test_the_same_call_twice_is_harmless(sender, call, sign):
    for _time in range(2):
        assert call(INBOUND, WRITTEN, sign(INBOUND, WRITTEN)).status_code == 200
        assert call(RECEIPT, TOLD, sign(RECEIPT, TOLD)).status_code == 204
    assert (Reply.objects.count(), Receipt.objects.count()) == (1, 1)


def test_a_receipt_takes_one_statement_and_nothing_that_is_for_browsers(
    django_assert_num_queries, call, sign
):
    with django_assert_num_queries(1):
        answer = call(RECEIPT, TOLD, sign(RECEIPT, TOLD))
    assert not answer.cookies
    assert "Content-Security-Policy" not in answer.headers


def test_a_call_that_did_not_come_by_tls_is_not_read_where_tls_is_wanted(call, sign, settings):
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["testserver"]
    assert call(RECEIPT, TOLD, sign(RECEIPT, TOLD)).status_code == 301
    assert not Receipt.objects.exists()


@pytest.mark.parametrize("path", ["/webhooks/", "/webhooks/nobody/receipt", "/webhooks/twilio/"])
def test_an_address_that_we_do_not_have_is_not_found(call, path):
    assert call(path, TOLD, "x").status_code == 404


# --- refused before anything is read -----------------------------------------------------------


@pytest.fixture
def refused(django_assert_num_queries, call):
    """The call is refused without so much as a look at the database."""

    def assert_refused(path, fields, signature=None):
        with django_assert_num_queries(0):
            answer = call(path, fields, signature)
        assert answer.status_code == 403
        assert b"SM1" not in answer.content

    return assert_refused


@pytest.mark.parametrize(("path", "fields"), CALLS)
def test_a_call_without_a_signature_is_refused(refused, path, fields):
    refused(path, fields)
    refused(path, fields, "")


@pytest.mark.parametrize(("path", "fields"), CALLS)
@pytest.mark.parametrize("forged", ["x", "é", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "=" * 9999])
def test_a_forged_signature_is_refused(refused, path, fields, forged):
    refused(path, fields, forged)


@pytest.mark.parametrize(("path", "fields"), CALLS)
def test_a_signature_with_another_token_is_refused(refused, sign, path, fields):
    refused(path, fields, sign(path, fields, token="another token"))


@pytest.mark.parametrize(("path", "fields"), CALLS)
def test_a_changed_field_is_refused(refused, sign, path, fields):
    refused(path, {**fields, "MessageSid": "SM2"}, sign(path, fields))
    refused(path, {**fields, "More": "x"}, sign(path, fields))


def test_a_signature_of_another_address_is_refused(refused, sign, settings):
    other = RECEIPT.replace("5", "6")
    refused(RECEIPT, TOLD, sign(other, TOLD))
    refused(RECEIPT + "&more=1", TOLD, sign(RECEIPT, TOLD))
    refused(INBOUND, WRITTEN, sign(RECEIPT, WRITTEN))
    signed_there = sign(INBOUND, WRITTEN)
    settings.PUBLIC_URL = "https://elsewhere.example"
    refused(INBOUND, WRITTEN, signed_there)


@pytest.mark.parametrize("bodies", [["STOP", "STOP"], ["START", "STOP"]])
def test_a_repeated_field_is_refused_though_twilio_would_sign_it(refused, sign, bodies):
    fields = {**WRITTEN, "Body": bodies}
    refused(INBOUND, fields, sign(INBOUND, fields))


@pytest.mark.parametrize(("path", "fields"), CALLS)
def test_without_a_token_nothing_is_signed(refused, sign, settings, path, fields):
    settings.TWILIO_AUTH_TOKEN = ""
    refused(path, fields, sign(path, fields))


def test_a_boundary_moved_between_name_and_value_does_not_turn_a_field_into_another(
    sender, call, sign
):
    """The scheme has no delimiter; what is read must still be a whole message."""
    moved = {name: value for name, value in WRITTEN.items() if name != "Body"} | {"BodyS": "TOP"}
    answer = call(INBOUND, moved, sign(INBOUND, WRITTEN))
    assert answer.status_code in (200, 400, 403)
    assert not Reply.objects.exclude(intent="none").exists()


# --- refused for what it is --------------------------------------------------------------------


@pytest.mark.parametrize("path", [RECEIPT, INBOUND])
@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options"])
def test_only_a_post_is_taken(db, client, path, method):
    assert getattr(client, method)(path).status_code == 405


@pytest.mark.parametrize("path", [RECEIPT, INBOUND])
def test_a_browser_that_follows_a_link_changes_nothing(db, client, path):
    assert client.get(path, WRITTEN).status_code == 405
    assert not Reply.objects.exists()


@pytest.mark.parametrize("missing", ["MessageSid", "MessageStatus"])
def test_a_receipt_that_lacks_a_field_is_refused_in_words(db, call, sign, missing):
    fields = {name: value for name, value in TOLD.items() if name != missing}
    answer = call(RECEIPT, fields, sign(RECEIPT, fields))
    assert answer.status_code == 400
    assert missing in answer.content.decode()
    assert not Receipt.objects.exists()


@pytest.mark.parametrize("query", ["", "?attempt=", "?attempt=5", "?attempt=%00", "?other=1"])
def test_a_receipt_of_no_attempt_is_refused(db, call, sign, query):
    path = f"/webhooks/twilio/receipt{query}"
    assert call(path, TOLD, sign(path, TOLD)).status_code == 400
    assert not Receipt.objects.exists()


@pytest.mark.parametrize("missing", ["MessageSid", "From", "To"])
def test_a_text_that_lacks_a_field_is_refused_in_words(sender, call, sign, missing):
    fields = {name: value for name, value in WRITTEN.items() if name != missing}
    answer = call(INBOUND, fields, sign(INBOUND, fields))
    assert answer.status_code == 400
    assert missing in answer.content.decode()
    assert not Reply.objects.exists()


def test_a_picture_without_words_is_a_text_that_asks_for_nothing(sender, call, sign):
    fields = {name: value for name, value in WRITTEN.items() if name != "Body"}
    assert call(INBOUND, fields, sign(INBOUND, fields)).status_code == 200
    assert Reply.objects.get().intent == "none"


def test_a_text_to_a_sender_that_is_not_registered_is_kept_all_the_same(call, sign):
    answer = call(INBOUND, WRITTEN, sign(INBOUND, WRITTEN))
    assert answer.status_code == 200
    assert Reply.objects.get().sender is None
