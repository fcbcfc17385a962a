"""The account of what was accepted: complete before the answer, and the same after a restart."""

import json
import stat

import pytest

from campaigns.sandbox.truth import LogError, Message, Receipt, Reply, Truth
from tests.campaigns.sandbox.conftest import PHONE, SENDER


def test_the_log_holds_a_message_when_its_answer_arrives(sandbox):
    sid = sandbox.send().json["sid"]
    first = json.loads(sandbox.log.read_text().splitlines()[0])
    assert (first["event"], first["sid"], first["to"]) == ("accepted", sid, PHONE)


def test_the_truth_counts_what_was_accepted(sandbox):
    for to, body in ((PHONE, "a"), (PHONE, "a"), (PHONE, "a"), (PHONE, "b"), (SENDER, "a")):
        sandbox.send(to, Body=body)
    assert sandbox.truth() == {
        "accepted": 5,
        "numbers": 2,
        "sent_twice": 1,
        "faults": {},
        "receipts_sent": 0,
        "replies_sent": 0,
    }


def test_a_restart_forgets_nothing(sandbox):
    sandbox.send_with_receipts()
    sandbox.send("+15005550023")
    sandbox.post("/sandbox/replies", json={"from": PHONE, "to": SENDER, "body": "STOP"})
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    before = sandbox.truth(), sandbox.get("/sandbox/messages").json
    sandbox.restart()
    assert (sandbox.truth(), sandbox.get("/sandbox/messages").json) == before
    assert before[0]["receipts_sent"] == 2
    assert before[0]["replies_sent"] == 1


def test_attempts_are_known_again_after_a_restart(tmp_path):
    truth = Truth(tmp_path / "log")
    truth.accept(_message("SM1"))
    truth.turn_away(to=PHONE, fault="error")
    truth.close()
    again = Truth(tmp_path / "log")
    assert again.attempts(PHONE) == 2
    again.close()


@pytest.mark.parametrize(("status", "left"), [("sent", 1), ("delivered", 0), ("failed", 0)])
def test_a_message_is_unfinished_until_its_last_status(tmp_path, status, left):
    truth = Truth(tmp_path / "log")
    truth.accept(_message("SM1"))
    truth.progress(Receipt(sid="SM1", status=status, error_code=None, at="", acknowledged=0))
    assert len(truth.unfinished()) == left
    truth.close()


def test_the_messages_come_in_the_order_accepted_from_a_position_on(sandbox):
    for body in "abc":
        sandbox.send(Body=body, ValidityPeriod="60", StatusCallback=sandbox.webhooks.url)
    listed = sandbox.get("/sandbox/messages?after=1").json
    assert [message["body"] for message in listed] == ["b", "c"]
    assert listed[0]["validity_period"] == 60
    assert listed[0]["status_callback"] == sandbox.webhooks.url
    assert set(listed[0]) == {
        *("sid", "to", "from", "body", "accepted_at"),
        *("status_callback", "validity_period", "status", "api"),
    }


def test_a_page_of_messages_is_bounded(sandbox):
    sandbox.stop()
    truth = Truth(sandbox.log)
    for number in range(1001):
        truth.accept(_message(f"SM{number}"))
    truth.close()
    sandbox.start()
    assert len(sandbox.get("/sandbox/messages").json) == 1000
    assert len(sandbox.get("/sandbox/messages?after=1000").json) == 1


@pytest.mark.parametrize("after", ["-1", "x", "9" * 30])
def test_a_position_that_is_no_count_is_refused(sandbox, after):
    assert sandbox.get(f"/sandbox/messages?after={after}").status == 400


def test_a_line_torn_by_a_crash_was_not_accepted(tmp_path):
    log = tmp_path / "log"
    truth = Truth(log)
    truth.accept(_message("SM1"))
    truth.close()
    whole = log.read_bytes()
    log.write_bytes(whole + whole[:40])
    again = Truth(log)
    again.accept(_message("SM2"))
    again.close()
    assert log.read_bytes() == whole + whole.replace(b"SM1", b"SM2")


@pytest.mark.parametrize("line", ["nonsense\n", '{"event": "other"}\n', '{"sid": "SM1"}\n'])
def test_a_log_that_is_not_ours_is_refused(tmp_path, line):
    log = tmp_path / "log"
    log.write_text(line)
    with pytest.raises(LogError, match="not a log"):
        Truth(log)
    assert log.read_text() == line


def test_two_providers_cannot_write_one_log(tmp_path):
    truth = Truth(tmp_path / "log")
    with pytest.raises(LogError, match="another provider"):
        Truth(tmp_path / "log")
    truth.close()


def test_the_log_is_for_its_user_alone(tmp_path):
    Truth(tmp_path / "below" / "log").close()
    assert stat.S_IMODE((tmp_path / "below" / "log").stat().st_mode) == 0o600


def test_a_reply_the_customer_did_not_take_is_not_counted(tmp_path):
    truth = Truth(tmp_path / "log")
    for answered in (200, 403, None):
        truth.answer(_reply(answered))
    assert truth.totals()["replies_sent"] == 1
    truth.close()


def _message(sid):
    return Message(
        sid=sid,
        to=PHONE,
        sender=SENDER,
        body="Hello",
        accepted_at="2026-01-01T00:00:00+00:00",
        status_callback="",
        validity_period=None,
        fault=None,
    )


def _reply(answered):
    return Reply(
        sid="SM2",
        phone=PHONE,
        to=SENDER,
        body="STOP",
        sent_at="2026-01-01T00:00:00+00:00",
        answered=answered,
    )
