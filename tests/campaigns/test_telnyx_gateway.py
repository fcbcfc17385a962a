"""What Telnyx's answers mean, and what it is asked."""

import json
import re

import pytest

from campaigns.gateways import telnyx
from campaigns.gateways.outcome import MaybeSent, NotSent
from campaigns.gateways.told import Delivery
from campaigns.sandbox.refusals import MAGIC_RECIPIENTS, MAGIC_SENDERS
from tests.campaigns.counterparts import ATTEMPT, BODY, NUMBER, outgoing, sent, server

REFUSED = {code: phone for phone, code in MAGIC_RECIPIENTS.items()}
REFUSED_FROM = {code: phone for phone, code in MAGIC_SENDERS.items()}
# Written a second time: what each documented error means for us.
OPTED_OUT = {"40300"}
PERMANENT = {
    *("10002", "10004", "10015", "10016", "40301", "40302", "40305", "40306"),
    *("40309", "40310", "40316", "40319", "40322"),
}
TEMPORARY = {
    *("10009", "10010", "10011", "20002", "20012", "20013", "20100"),
    *("40312", "40314", "40315", "40318", "40320", "40329"),
}
AFTER_IT_WAS_TAKEN = [f"400{number:02}" for number in range(1, 19)]


def send(message):
    return sent(telnyx, message)


# --- what is asked -----------------------------------------------------------------------------


@pytest.fixture
def request_of(settings):
    """The one request that sending a message makes: its path and headers."""

    def made(message):
        seen = []

        def answer(handler):
            seen.append((handler.path, dict(handler.headers.items())))
            handler.send_response(500)
            handler.end_headers()

        with server(answer) as (settings.TELNYX_BASE_URL, _asked):
            assert isinstance(send(message), MaybeSent)
        [request] = seen
        return request

    return made


def test_it_is_asked_with_the_key_and_the_attempt(request_of, settings):
    path, headers = request_of(outgoing())
    told = {name.lower(): value for name, value in headers.items()}
    assert path == "/v2/messages"
    assert told["authorization"] == f"Bearer {settings.TELNYX_API_KEY}"
    assert told["content-type"] == "application/json"
    assert told["idempotency-key"] == ATTEMPT


def test_the_key_against_copies_is_one_that_telnyx_takes():
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", ATTEMPT)


def test_receipts_go_where_the_message_says_and_nowhere_else(settings):
    asked = telnyx.content(outgoing())
    assert asked == {
        "to": NUMBER,
        "from": "+12125550100",
        "text": BODY,
        "type": "SMS",
        "webhook_url": f"{settings.PUBLIC_URL}/webhooks/telnyx/receipt?attempt={ATTEMPT}",
        "use_profile_webhooks": False,
    }


@pytest.mark.parametrize("body", ["¿Dónde está? 👍", 'quotes " and \\', "a\r\nb"])
def test_what_the_provider_accepts_has_its_id_and_its_text(provider, body):
    message_id = send(outgoing(body=body))
    [accepted] = provider.accepted()
    assert accepted["sid"] == message_id
    assert (accepted["to"], accepted["from"], accepted["body"]) == (NUMBER, "+12125550100", body)


# --- what answers mean -------------------------------------------------------------------------


def _read(status, content):
    return telnyx.read_answer(status, json.dumps(content).encode(), {})


def _error(*codes):
    detail = f"Messages cannot be sent from '+12125550100' to '{NUMBER}'"
    return {"errors": [{"code": code, "title": "Refused", "detail": detail} for code in codes]}


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
@pytest.mark.parametrize("code", sorted(OPTED_OUT | PERMANENT | TEMPORARY))
def test_every_documented_error_means_that_nothing_was_sent(status, code):
    """The status of one error differs between Telnyx's own pages; the code does not."""
    with pytest.raises(NotSent) as refusal:
        _read(status, _error(code))
    assert refusal.value.code == code
    assert refusal.value.permanent == (code not in TEMPORARY)
    assert refusal.value.opted_out == (code in OPTED_OUT)


def test_every_error_of_the_table_is_tried_above():
    assert set(telnyx.ERRORS) == OPTED_OUT | PERMANENT | TEMPORARY


@pytest.mark.parametrize("code", AFTER_IT_WAS_TAKEN)
def test_an_error_of_the_way_to_the_person_leaves_it_unknown(code):
    with pytest.raises(MaybeSent):
        _read(400, _error(code))


def test_a_key_that_was_used_for_another_message_leaves_it_unknown():
    with pytest.raises(MaybeSent):
        _read(422, _error("10012"))


def test_the_first_error_is_the_one_that_counts():
    with pytest.raises(MaybeSent):
        _read(422, _error("99999", "40310"))


@pytest.mark.parametrize(
    ("code", "told"),
    [(21211, "40310"), (21408, "40309"), (21610, "40300"), (21612, "40319"), (21614, "40301")],
)
def test_a_recipient_that_the_provider_refuses_was_not_messaged(provider, code, told):
    assert send(outgoing(REFUSED[code])).code == told


@pytest.mark.parametrize(("code", "told"), [(21606, "40305"), (21611, "40318"), (21212, "40305")])
def test_a_sender_that_the_provider_refuses_sent_nothing(provider, code, told):
    assert send(outgoing(sender=REFUSED_FROM[code])).code == told


def test_a_wrong_key_is_for_an_operator_to_mend_and_loses_no_message(provider, settings):
    settings.TELNYX_API_KEY = "another"
    refusal = send(outgoing())
    assert (type(refusal), refusal.code, refusal.permanent) == (NotSent, "10009", False)


# --- what receipts mean ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("queued", Delivery.ON_ITS_WAY),
        ("sending", Delivery.ON_ITS_WAY),
        ("sent", Delivery.ON_ITS_WAY),
        ("delivery_unconfirmed", Delivery.ON_ITS_WAY),
        ("delivered", Delivery.DELIVERED),
        ("sending_failed", Delivery.UNDELIVERED),
        ("delivery_failed", Delivery.UNDELIVERED),
        ("expired", Delivery.UNDELIVERED),
    ],
)
def test_a_receipt_means_no_more_than_it_says(status, meaning):
    assert telnyx.RECEIPTS[status] == meaning


def test_what_is_filtered_was_taken_before():
    assert set(AFTER_IT_WAS_TAKEN) >= telnyx.FILTERED
    assert not telnyx.FILTERED & set(telnyx.ERRORS)
