"""What Twilio's answers mean, and what it is asked."""

import json
from datetime import timedelta

import pytest

from campaigns.gateways import twilio
from campaigns.gateways.outcome import MaybeSent, NotSent
from campaigns.sandbox.refusals import MAGIC_RECIPIENTS, MAGIC_SENDERS
from tests.campaigns.counterparts import BODY, NUMBER, outgoing, sent

REFUSED = {code: phone for phone, code in MAGIC_RECIPIENTS.items()}
REFUSED_FROM = {code: phone for phone, code in MAGIC_SENDERS.items()}
# Written a second time: what each documented error means for us.
OPTED_OUT = {21610}
PERMANENT = {21211, 21212, 21408, 21602, 21606, 21612, 21614, 21617, 21635}
TEMPORARY = {14107, 20003, 20429, 21611}


def send(message):
    return sent(twilio, message)


# --- what the provider does --------------------------------------------------------------------


def test_what_the_provider_accepts_has_its_id(provider):
    sid = send(outgoing())
    [accepted] = provider.accepted()
    assert accepted["sid"] == sid
    assert (accepted["to"], accepted["from"]) == (NUMBER, "+12125550100")
    assert (accepted["body"], accepted["validity_period"]) == (BODY, 3600)


def test_a_receipt_will_find_its_attempt(provider, settings):
    send(outgoing())
    [accepted] = provider.accepted()
    where = f"{settings.PUBLIC_URL}/webhooks/twilio/receipt?attempt={'ab' * 16}"
    assert accepted["status_callback"] == where


@pytest.mark.parametrize("code", [21211, 21408, 21610, 21612, 21614])
def test_a_recipient_that_the_provider_refuses_was_not_messaged(provider, code):
    refusal = send(outgoing(REFUSED[code]))
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent) == (str(code), True)
    assert refusal.opted_out == (code == 21610)
    assert provider.requests() == 0


@pytest.mark.parametrize(("code", "permanent"), [(21606, True), (21611, False), (21212, True)])
def test_a_sender_that_the_provider_refuses_sent_nothing(provider, code, permanent):
    refusal = send(outgoing(sender=REFUSED_FROM[code]))
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent, refusal.opted_out) == (str(code), permanent, False)


@pytest.mark.parametrize(("body", "code"), [("", "21602"), ("x" * 1601, "21617")])
def test_a_body_that_the_provider_refuses_was_not_sent(provider, body, code):
    refusal = send(outgoing(body=body))
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent) == (code, True)


def test_wrong_credentials_are_for_an_operator_to_mend_and_lose_no_message(provider, settings):
    settings.TWILIO_AUTH_TOKEN = "another token"
    refusal = send(outgoing())
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent) == ("20003", False)


# --- what answers mean -------------------------------------------------------------------------


def _read(status, content, headers=()):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return twilio.read_answer(status, body, dict(headers))


@pytest.mark.parametrize("code", sorted(OPTED_OUT | PERMANENT | TEMPORARY))
def test_every_documented_error_means_that_nothing_was_sent(code):
    with pytest.raises(NotSent) as refusal:
        _read(400, {"code": code, "message": f"to {NUMBER}"})
    assert refusal.value.code == str(code)
    assert refusal.value.permanent == (code not in TEMPORARY)
    assert refusal.value.opted_out == (code in OPTED_OUT)


def test_every_error_of_the_table_is_tried_above():
    assert {int(code) for code in twilio.ERRORS} == OPTED_OUT | PERMANENT | TEMPORARY


@pytest.mark.parametrize("status", [200, 201])
def test_an_answer_with_an_id_means_accepted(status):
    assert _read(status, {"sid": "SM1", "status": "queued"}) == "SM1"


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (201, b""),
        (201, b"{"),
        (201, b"\xff\xfe"),
        (201, []),
        (201, {}),
        (201, {"sid": None}),
        (201, {"sid": 5}),
        (200, b"<html>proxy</html>"),
        (202, {"sid": "SM1"}),
        (204, b""),
        (301, {"code": 21610}),
        (400, b""),
        (400, {"code": 99999}),
        (400, {"code": None}),
        (400, {"code": [21610]}),
        (400, {"code": {}}),
        (403, b"<html>proxy</html>"),
        (500, {"code": 21610}),
        (503, {"code": 20429}),
        (599, b""),
    ],
)
def test_any_other_answer_leaves_it_unknown(status, content):
    with pytest.raises(MaybeSent) as outcome:
        _read(status, content)
    assert outcome.value.code == f"HTTP {status}"


# --- validity --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valid_for", "seconds"),
    [
        (timedelta(hours=-1), "1"),
        (timedelta(0), "1"),
        (timedelta(milliseconds=500), "1"),
        (timedelta(seconds=90, milliseconds=900), "90"),
        (timedelta(hours=10), "36000"),
        (timedelta(days=3), "36000"),
    ],
)
def test_a_message_is_valid_as_long_as_twilio_allows_and_never_longer_than_asked(
    valid_for, seconds
):
    assert twilio.form(outgoing(valid_for=valid_for))["ValidityPeriod"] == seconds
