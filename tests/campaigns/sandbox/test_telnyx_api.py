"""The same provider by the Telnyx API: what it takes, what it refuses, and what it tells."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from campaigns.sandbox.faults import MAGIC, Fault
from campaigns.sandbox.receipts import BAD_ENDS, USUAL
from campaigns.sandbox.refusals import MAGIC_RECIPIENTS, MEANINGS
from campaigns.sandbox.signing import public_key
from campaigns.sandbox.telnyx import CARRIERS, CODES, EVENTS
from tests.campaigns.sandbox.conftest import PHONE, SENDER, TELNYX_KEY

PHONE_OF = {fault: phone for phone, fault in MAGIC.items()}
NOT_OF_THIS_API = {20001, 20404, 90007}  # lists, other resources and validity periods


def send(sandbox, to=PHONE, *, key=TELNYX_KEY, **more):
    message = {"from": SENDER, "to": to, "text": "Hello", **more}
    login = {"Authorization": f"Bearer {key}"}
    return sandbox.post("/v2/messages", json=message, headers=login)


def told(sandbox, count):
    """The events that came, once there are so many."""
    sandbox.wait(lambda: len(sandbox.webhooks.requests) == count)
    return [json.loads(request.body)["data"] for request in sandbox.webhooks.requests]


def receipts_of(sandbox, to=PHONE):
    return send(sandbox, to, webhook_url=f"{sandbox.webhooks.url}/receipts?a=1")


def test_a_message_is_accepted_under_an_id(sandbox):
    answer = send(sandbox)
    [accepted] = sandbox.get("/sandbox/messages").json
    assert answer.status == 200
    assert answer.json["data"]["id"] == accepted["sid"]
    assert answer.json["data"]["to"][0]["status"] == "queued"
    assert (accepted["to"], accepted["from"], accepted["api"]) == (PHONE, SENDER, "telnyx")


@pytest.mark.parametrize("key", ["", "wrong", TELNYX_KEY[:-1]])
def test_nobody_else_is_let_in(sandbox, key):
    answer = send(sandbox, key=key)
    assert (answer.status, answer.json["errors"][0]["code"]) == (401, "10009")
    assert sandbox.truth()["accepted"] == 0


@pytest.mark.parametrize(("phone", "code"), MAGIC_RECIPIENTS.items())
def test_a_magic_recipient_is_refused_in_the_words_of_this_api(sandbox, phone, code):
    answer = send(sandbox, phone)
    assert (answer.json["errors"][0]["code"], answer.status) == CODES[code]
    assert sandbox.truth()["accepted"] == 0


def test_every_refusal_has_its_words_here():
    assert set(CODES) == set(MEANINGS) - NOT_OF_THIS_API


def test_every_step_has_its_event_here():
    steps = {step for steps in (USUAL, *BAD_ENDS.values()) for step in steps}
    assert set(EVENTS) == {step.status for step in steps}
    assert set(CARRIERS) == {step.error_code for step in steps} - {None}


@pytest.mark.parametrize("content", ["", "[]", "5", "{", "null"])
def test_what_is_no_object_is_refused(sandbox, content):
    login = {"Authorization": f"Bearer {TELNYX_KEY}", "Content-Type": "application/json"}
    assert sandbox.post("/v2/messages", data=content, headers=login).status == 422


def test_a_message_is_reported_sent_and_then_delivered(sandbox):
    message = receipts_of(sandbox).json["data"]
    first, second = told(sandbox, 2)
    assert (first["event_type"], second["event_type"]) == ("message.sent", "message.finalized")
    for event, status in ((first, "sent"), (second, "delivered")):
        payload = event["payload"]
        assert (payload["id"], payload["to"][0]["status"]) == (message["id"], status)
        assert payload["webhook_url"] == f"{sandbox.webhooks.url}/receipts?a=1"
        assert payload["errors"] == []


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.UNDELIVERED, "40012"), (Fault.FILTERED, "40002")]
)
def test_a_bad_end_has_the_code_of_a_carrier(sandbox, fault, code):
    receipts_of(sandbox, PHONE_OF[fault])
    last = told(sandbox, 2 if fault is Fault.UNDELIVERED else 1)[-1]["payload"]
    assert (last["to"][0]["status"], last["errors"][0]["code"]) == ("delivery_failed", code)


def test_whatever_it_tells_is_signed_with_the_time(sandbox):
    receipts_of(sandbox)
    told(sandbox, 2)
    sandbox.post("/sandbox/replies", json={"from": PHONE, "to": SENDER, "body": "STOP"})
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key(TELNYX_KEY)))
    assert len(sandbox.webhooks.requests) == 3
    for request in sandbox.webhooks.requests:
        claimed = base64.b64decode(request.headers["telnyx-signature-ed25519"])
        key.verify(claimed, request.headers["telnyx-timestamp"].encode() + b"|" + request.body)


def test_a_reply_goes_by_the_api_of_the_sender_it_answers(sandbox):
    send(sandbox)
    sandbox.post("/sandbox/replies", json={"from": PHONE, "to": SENDER, "body": "STOP"})
    [event] = told(sandbox, 1)
    assert event["event_type"] == "message.received"
    assert event["payload"]["from"]["phone_number"] == PHONE
    assert event["payload"]["to"][0]["phone_number"] == SENDER
    assert event["payload"]["text"] == "STOP"
    assert sandbox.webhooks.requests[0].url.endswith("/telnyx")


def test_a_reply_goes_by_another_api_if_it_is_named(sandbox):
    reply = {"from": PHONE, "to": SENDER, "body": "STOP"}
    assert sandbox.post("/sandbox/replies", json={**reply, "api": "telnyx"}).status == 200
    assert sandbox.post("/sandbox/replies", json={**reply, "api": "none"}).status == 400
    assert len(sandbox.webhooks.requests) == 1


def test_both_apis_write_into_one_truth(sandbox):
    send(sandbox)
    sandbox.send()
    assert (sandbox.truth()["accepted"], sandbox.truth()["sent_twice"]) == (2, 1)


def test_what_the_log_owes_by_this_api_is_told_after_a_restart(sandbox):
    sandbox.receipt_delay = 60.0
    sandbox.restart()
    receipts_of(sandbox)
    sandbox.receipt_delay = 0.0
    sandbox.restart()
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    [message] = sandbox.get("/sandbox/messages").json
    assert (message["api"], message["status"]) == ("telnyx", "delivered")
