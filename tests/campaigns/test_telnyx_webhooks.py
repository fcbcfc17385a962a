"""Only what Telnyx signed, and just now, is read; of anything else not a word is kept."""

import base64
import json
import time
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from campaigns import calling, delivery, receipts
from campaigns.gateways import telnyx
from campaigns.gateways.outcome import MaybeSent
from campaigns.models import Message, Receipt, Reply, Sender, Tally
from tests.campaigns.conftest import fenced
from tests.conftest import AT

ATTEMPT = uuid.UUID(int=5)
RECEIPT, INBOUND = f"/webhooks/telnyx/receipt?attempt={ATTEMPT.hex}", "/webhooks/telnyx/inbound"
MESSAGE = "40385f64-5717-4562-b3fc-2c963f66afa6"

pytestmark = pytest.mark.django_db


def event(kind, payload):
    return {"data": {"record_type": "event", "event_type": kind, "id": "1", "payload": payload}}


def receipt(status="delivered", *, kind="message.finalized", **more):
    to = [{"phone_number": "+12125550123", "status": status}]
    return event(kind, {"id": MESSAGE, "direction": "outbound", "to": to, "errors": [], **more})


def written(text="STOP", **more):
    payload = {
        "id": MESSAGE,
        "direction": "inbound",
        "from": {"phone_number": "+12125550123"},
        "to": [{"phone_number": "+12125550100"}],
        "text": text,
    }
    return event("message.received", {**payload, **more})


CALLS = [(RECEIPT, receipt()), (INBOUND, written())]


@pytest.fixture
def key(settings):
    """A key whose public part we hold."""
    private = Ed25519PrivateKey.generate()
    settings.TELNYX_PUBLIC_KEY = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return private


@pytest.fixture
def call(client, clock, key):
    """Posts an event as Telnyx does; what is given instead of the right thing replaces it."""

    def post(path, content, *, at=None, signed_by=None, **headers):
        body = json.dumps(content).encode()
        told_at = str(int(time.time() if at is None else at))
        signature = (signed_by or key).sign(told_at.encode() + b"|" + body)
        right = {
            "Telnyx-Timestamp": told_at,
            "Telnyx-Signature-Ed25519": base64.b64encode(signature).decode(),
        }
        claimed = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**right, **claimed}.items() if value is not None}
        return client.post(path, body, content_type="application/json", headers=sent)

    return post


# --- taken in ----------------------------------------------------------------------------------


def test_a_receipt_that_telnyx_signed_is_kept_and_says_who_told_it(call):
    answer = call(RECEIPT, receipt("delivery_failed", errors=[{"code": "40002"}]))
    assert (answer.status_code, answer.content) == (204, b"")
    kept = Receipt.objects.get()
    assert (kept.attempt, kept.provider_id, kept.gateway) == (ATTEMPT, MESSAGE, "telnyx")
    assert (kept.status, kept.code, kept.received_at) == ("delivery_failed", "40002", AT)


@pytest.mark.parametrize("body", ["STOP", "¿Dónde está? 👍 1+1=2 & 50%", "a\r\nb", 'a"b\\'])
def test_a_text_that_telnyx_signed_is_read(sender, call, body):
    answer = call(INBOUND, written(body))
    assert (answer.status_code, answer.content) == (200, b"")
    reply = Reply.objects.get()
    assert (reply.text, reply.received_at, reply.sender) == (body, AT, sender)


def test_a_stop_takes_effect(sender, call):
    call(INBOUND, written("STOP"))
    assert Reply.objects.get().intent == "stop"


@pytest.mark.parametrize("text", [None, ""])
def test_a_picture_without_words_is_a_text_that_asks_for_nothing(sender, call, text):
    assert call(INBOUND, written(text)).status_code == 200
    assert Reply.objects.get().intent == "none"


def test_a_text_to_a_sender_that_is_not_registered_is_kept_all_the_same(call):
    assert call(INBOUND, written()).status_code == 200
    assert Reply.objects.get().sender is None


def test_the_same_call_twice_is_harmless(sender, call):
    for _time in range(2):
        assert call(INBOUND, written()).status_code == 200
        assert call(RECEIPT, receipt()).status_code == 204
    assert (Reply.objects.count(), Receipt.objects.count()) == (1, 1)


def test_the_same_event_signed_anew_is_one(sender, call):
    for at in (time.time() - 100, time.time()):
        assert call(RECEIPT, receipt(), at=at).status_code == 204
        assert call(INBOUND, written(), at=at).status_code == 200
    assert (Reply.objects.count(), Receipt.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("path", "content"),
    [(RECEIPT, written()), (INBOUND, receipt()), (RECEIPT, {}), (INBOUND, {"data": []})],
)
def test_an_event_of_another_kind_is_acknowledged_and_not_kept(call, path, content):
    assert call(path, content).status_code in (200, 204)
    assert not Reply.objects.exists()
    assert not Receipt.objects.exists()


# --- refused before anything is read -----------------------------------------------------------


@pytest.fixture
def refused(django_assert_num_queries, call):
    """The call is refused without so much as a look at the database."""

    def assert_refused(path, content, **more):
        with django_assert_num_queries(0):
            answer = call(path, content, **more)
        assert answer.status_code == 403
        assert MESSAGE.encode() not in answer.content

    return assert_refused


@pytest.mark.parametrize(("path", "content"), CALLS)
@pytest.mark.parametrize("header", ["Telnyx_Timestamp", "Telnyx_Signature_Ed25519"])
@pytest.mark.parametrize("value", [None, "", "x", "²", "-1", "é", "=" * 9999, "9" * 9999, "1e9"])
def test_a_forged_or_a_missing_header_is_refused(refused, path, content, header, value):
    refused(path, content, **{header: value})


@pytest.mark.parametrize(("path", "content"), CALLS)
def test_a_signature_with_another_key_is_refused(refused, path, content):
    refused(path, content, signed_by=Ed25519PrivateKey.generate())


@pytest.mark.parametrize("seconds", [-301.5, 302, -86400, 86400, 10**9])
@pytest.mark.parametrize(("path", "content"), CALLS)
def test_a_call_of_another_time_is_refused(refused, path, content, seconds):
    refused(path, content, at=time.time() + seconds)


@pytest.mark.parametrize("seconds", [-290, 290])
def test_a_clock_that_is_a_little_off_is_forgiven(call, seconds):
    assert call(RECEIPT, receipt(), at=time.time() + seconds).status_code == 204


def test_another_time_than_was_signed_is_refused(refused):
    refused(RECEIPT, receipt(), Telnyx_Timestamp=str(int(time.time()) - 1))


def test_another_body_than_was_signed_is_refused(call, client, key):
    told_at = str(int(time.time()))
    body = json.dumps(receipt()).encode()
    signature = base64.b64encode(key.sign(told_at.encode() + b"|" + body)).decode()
    claimed = {"Telnyx-Timestamp": told_at, "Telnyx-Signature-Ed25519": signature}
    for changed in (body + b" ", body.replace(b"delivered", b"delivereD"), b""):
        answer = client.post(RECEIPT, changed, content_type="application/json", headers=claimed)
        assert answer.status_code == 403


@pytest.mark.parametrize("held", ["", "none", "AAAA", "é", base64.b64encode(bytes(31)).decode()])
@pytest.mark.parametrize(("path", "content"), CALLS)
def test_without_a_whole_key_nothing_is_signed(refused, settings, path, content, held):
    settings.TELNYX_PUBLIC_KEY = held
    refused(path, content)


def test_the_business_clock_is_not_asked_how_old_a_call_is(call, settings):
    """The demo's clock runs hours ahead; Telnyx's does not."""
    assert abs(AT.timestamp() - time.time()) > telnyx.TOLERANCE
    assert call(RECEIPT, receipt()).status_code == 204


# --- refused for what it is --------------------------------------------------------------------


@pytest.mark.parametrize("path", [RECEIPT, INBOUND])
@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options"])
def test_only_a_post_is_taken(client, path, method):
    assert getattr(client, method)(path).status_code == 405


@pytest.mark.parametrize("query", ["", "?attempt=", "?attempt=5", "?attempt=%00", "?other=1"])
def test_a_receipt_of_no_attempt_is_refused(call, query):
    assert call(f"/webhooks/telnyx/receipt{query}", receipt()).status_code == 400
    assert not Receipt.objects.exists()


def test_a_receipt_cannot_be_turned_to_another_attempt(call, settings):
    """The signature does not cover the address, but the body repeats the one that we gave."""
    ours = receipt(webhook_url=settings.PUBLIC_URL + RECEIPT)
    assert call(RECEIPT.replace("5", "6"), ours).status_code == 400
    assert not Receipt.objects.exists()
    assert call(RECEIPT, ours).status_code == 204


@pytest.mark.parametrize("lacking", ["id", "to"])
def test_a_receipt_that_lacks_something_is_refused_in_words(call, lacking):
    answer = call(RECEIPT, receipt(**{lacking: None}))
    assert answer.status_code == 400
    assert lacking in answer.content.decode()


@pytest.mark.parametrize("lacking", ["id", "from", "to"])
@pytest.mark.parametrize("instead", [None, 5, [], {}])
def test_a_text_that_lacks_something_is_refused_in_words(call, lacking, instead):
    answer = call(INBOUND, written(**{lacking: instead}))
    assert answer.status_code == 400
    assert lacking in answer.content.decode()
    assert not Reply.objects.exists()


# --- what becomes of a receipt -----------------------------------------------------------------


@pytest.fixture
def attempt(person, launched):
    """One that nobody knows the outcome of, handed over to Telnyx."""
    person()
    campaign = launched()
    Sender.objects.filter(pk=campaign.sender_id).update(gateway=Sender.Gateway.TELNYX)
    [attempt] = fenced()
    delivery.settle(called=[calling.read(attempt, MaybeSent("HTTP 500"))], at=AT)
    return attempt


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("sent", Message.Status.ACCEPTED),
        ("delivered", Message.Status.DELIVERED),
        ("delivery_unconfirmed", Message.Status.ACCEPTED),
        ("sending_failed", Message.Status.UNDELIVERED),
        ("delivery_failed", Message.Status.UNDELIVERED),
        ("failed", Message.Status.UNKNOWN),  # a word of another gateway
        ("of a kind we do not know", Message.Status.UNKNOWN),
    ],
)
def test_a_receipt_is_read_by_the_table_of_who_told_it(call, attempt, status, standing):
    path = f"/webhooks/telnyx/receipt?attempt={attempt.pk.hex}"
    assert call(path, receipt(status)).status_code == 204
    receipts.reconcile(at=AT)
    assert Message.objects.get(pk=attempt.message_id).status == standing


@pytest.mark.parametrize(("code", "counted"), [("40002", 1), ("30007", 0)])
def test_what_a_carrier_filtered_is_counted_by_the_codes_of_who_told_it(
    call, attempt, code, counted
):
    before = sum(Tally.objects.values_list("refused", flat=True))
    path = f"/webhooks/telnyx/receipt?attempt={attempt.pk.hex}"
    call(path, receipt("delivery_failed", errors=[{"code": code}]))
    receipts.reconcile(at=AT)
    assert sum(Tally.objects.values_list("refused", flat=True)) - before == counted
