"""What a phone writes back reaches the customer as a signed webhook."""

import pytest
from twilio.request_validator import RequestValidator

from tests.campaigns.sandbox.conftest import ACCOUNT, PHONE, SENDER, TOKEN

STOP = {"from": PHONE, "to": SENDER, "body": "STOP"}


def test_a_reply_arrives_signed_with_every_field(sandbox):
    sandbox.post("/sandbox/replies", json=STOP)
    [request] = sandbox.webhooks.requests
    sid = request.form["MessageSid"]
    assert request.form == {
        "MessageSid": sid,
        "SmsSid": sid,
        "AccountSid": ACCOUNT,
        "From": PHONE,
        "To": SENDER,
        "Body": "STOP",
        "NumMedia": "0",
        "NumSegments": "1",
        "ApiVersion": "2010-04-01",
        "FromCountry": "US",
    }
    signature = request.headers["X-Twilio-Signature"]
    assert RequestValidator(TOKEN).validate(request.url, request.form, signature)
    assert request.url.endswith("/inbound")


@pytest.mark.parametrize(
    ("phone", "country"),
    [("+447700900123", "GB"), ("+61491570156", "AU"), ("+33639980012", "FR")],
)
def test_a_reply_says_which_country_it_is_from(sandbox, phone, country):
    sandbox.post("/sandbox/replies", json=STOP | {"from": phone})
    assert sandbox.webhooks.requests[0].form["FromCountry"] == country


def test_the_answer_of_the_webhook_is_shown(sandbox):
    answer = sandbox.post("/sandbox/replies", json=STOP)
    assert (answer.status, answer.json) == (200, {"status": 200, "answer": "<Response/>"})
    assert sandbox.truth()["replies_sent"] == 1


def test_a_refusing_webhook_is_shown_and_not_tried_again(sandbox):
    sandbox.webhooks.statuses = [403]
    assert sandbox.post("/sandbox/replies", json=STOP).json["status"] == 403
    assert len(sandbox.webhooks.requests) == 1
    assert sandbox.truth()["replies_sent"] == 0


@pytest.mark.parametrize(
    "given",
    [{"from": "me", "to": SENDER, "body": "STOP"}, {"from": PHONE, "to": SENDER}, [], "x"],
)
def test_a_reply_that_lacks_something_is_refused(sandbox, given):
    assert sandbox.post("/sandbox/replies", json=given).status == 400
    assert sandbox.webhooks.requests == []


def test_a_form_on_a_foreign_page_cannot_send_replies(sandbox):
    text = '{"from": "+12025550123", "to": "+12025550100", "body": "STOP"}'
    answer = sandbox.post("/sandbox/replies", data=text, headers={"Content-Type": "text/plain"})
    assert answer.status == 400
    assert sandbox.webhooks.requests == []
