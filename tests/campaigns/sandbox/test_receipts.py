"""The receipts a customer gets for its messages."""

import asyncio

import pytest
from twilio.request_validator import RequestValidator

from campaigns.sandbox.receipts import CONCURRENT
from tests.campaigns.sandbox.conftest import ACCOUNT, MESSAGES, PHONE, SENDER, TOKEN


def test_a_message_is_reported_sent_and_then_delivered(sandbox):
    sid = sandbox.send_with_receipts().json["sid"]
    sandbox.wait(lambda: len(sandbox.webhooks.requests) == 2)
    first, second = (request.form for request in sandbox.webhooks.requests)
    assert first == {
        "MessageSid": sid,
        "SmsSid": sid,
        "MessageStatus": "sent",
        "SmsStatus": "sent",
        "To": PHONE,
        "From": SENDER,
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
    }
    assert second == first | {"MessageStatus": "delivered", "SmsStatus": "delivered"}


def test_a_receipt_is_signed_for_the_address_as_it_was_given(sandbox):
    sandbox.send_with_receipts()
    sandbox.wait(lambda: len(sandbox.webhooks.requests) == 2)
    for request in sandbox.webhooks.requests:
        signature = request.headers["X-Twilio-Signature"]
        url = f"{sandbox.webhooks.url}/receipts?a=%7E&b=1"
        assert RequestValidator(TOKEN).validate(url, request.form, signature)
        assert request.target == "/receipts?a=%7E&b=1"


def test_no_callback_address_no_receipt(sandbox):
    sid = sandbox.send().json["sid"]
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    assert sandbox.webhooks.requests == []
    assert sandbox.get(f"{MESSAGES}/{sid}.json").json["status"] == "delivered"


def test_an_unacknowledged_receipt_is_tried_once_more_with_its_token(sandbox):
    sandbox.webhooks.statuses = [500]
    sandbox.send_with_receipts()
    sandbox.wait(lambda: len(sandbox.webhooks.requests) == 3)
    tokens = [r.headers["I-Twilio-Idempotency-Token"] for r in sandbox.webhooks.requests]
    assert sandbox.webhooks.told == ["sent", "sent", "delivered"]
    assert tokens[0] == tokens[1] != tokens[2]


def test_a_receipt_is_given_up_after_two_attempts(sandbox):
    sandbox.webhooks.statuses = [500, 307]
    sandbox.send_with_receipts()
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    assert sandbox.webhooks.told == ["sent", "sent", "delivered"]
    assert sandbox.truth()["receipts_sent"] == 1


def test_a_customer_that_cannot_be_reached_stops_nothing(sandbox):
    sandbox.send(StatusCallback="http://127.0.0.1:1/receipts")
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    assert sandbox.truth()["receipts_sent"] == 0


def test_a_customer_that_does_not_answer_in_time_is_asked_once_more(sandbox):
    async def late(request, take=sandbox.webhooks.take):
        answer = await take(request)
        await asyncio.sleep(5 if len(sandbox.webhooks.requests) == 1 else 0)
        return answer

    sandbox.webhooks.take = late
    sandbox.webhook_timeout = 0.2
    sandbox.restart()
    sandbox.send_with_receipts()
    sandbox.wait(lambda: sandbox.webhooks.told == ["sent", "sent", "delivered"])


@pytest.mark.parametrize(
    ("recipient", "told", "code"),
    [
        ("+15005550030", ["sent", "undelivered"], "30005"),
        ("+15005550031", ["failed"], "30007"),
    ],
)
def test_a_message_that_does_not_arrive_says_why(sandbox, recipient, told, code):
    sid = sandbox.send_with_receipts(recipient).json["sid"]
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == len(told))
    assert sandbox.webhooks.told == told
    assert sandbox.webhooks.requests[-1].form["ErrorCode"] == code
    assert sandbox.get(f"{MESSAGES}/{sid}.json").json["error_code"] == int(code)


def test_a_duplicate_receipt_comes_twice(sandbox):
    sandbox.send_with_receipts("+15005550028")
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    assert sandbox.webhooks.told == ["sent", "sent", "delivered", "delivered"]
    assert sandbox.truth()["receipts_sent"] == 4


def test_an_early_receipt_comes_before_the_answer(sandbox):
    answer = sandbox.send_with_receipts("+15005550029")
    assert sandbox.webhooks.told == ["sent", "delivered"]
    assert answer.json["status"] == "queued"


def test_receipts_wait_for_the_delay(sandbox):
    sandbox.receipt_delay = 60
    sandbox.restart()
    sandbox.send_with_receipts()
    sandbox.run(asyncio.sleep(0.1))
    assert sandbox.webhooks.requests == []


def test_receipts_still_owed_are_sent_after_a_restart(sandbox):
    sandbox.receipt_delay = 60
    sandbox.restart()
    sandbox.send(StatusCallback="http://127.0.0.1:1/receipts")
    sandbox.receipt_delay = 0
    sandbox.restart()
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    sandbox.restart()
    assert sandbox.log.read_text().count('"receipt"') == 2


def test_a_step_already_taken_is_not_taken_again_after_a_restart(sandbox):
    sandbox.send_with_receipts()
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    sandbox.stop()
    lines = sandbox.log.read_text().splitlines(keepends=True)
    sandbox.log.write_text("".join(lines[:2]))
    sandbox.start()
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    assert '"delivered"' in sandbox.log.read_text().splitlines()[2]


def test_the_pool_of_receipts_is_bounded(sandbox):
    open_now, most = 0, 0

    async def slowly(request, take=sandbox.webhooks.take):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.02)
        open_now -= 1
        return await take(request)

    sandbox.webhooks.take = slowly
    sandbox.restart()
    for _ in range(3 * CONCURRENT):
        sandbox.send_with_receipts()
    sandbox.wait(lambda: len(sandbox.webhooks.requests) == 6 * CONCURRENT)
    assert 1 < most <= CONCURRENT
