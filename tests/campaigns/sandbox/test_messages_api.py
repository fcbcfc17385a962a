"""Creating, fetching and listing messages over the wire."""

from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from tests.campaigns.sandbox.conftest import ACCOUNT, MESSAGES, PHONE, SENDER, TOKEN


def test_an_accepted_message_is_answered_with_its_resource(sandbox):
    answer = sandbox.send(Body="Hello", ValidityPeriod="600")
    resource = answer.json
    assert answer.status == 201
    assert resource["sid"].startswith("SM")
    assert len(resource["sid"]) == 34
    assert resource["status"] == "queued"
    assert (resource["to"], resource["from"], resource["body"]) == (PHONE, SENDER, "Hello")
    assert (resource["num_segments"], resource["error_code"]) == ("1", None)
    assert resource["uri"] == f"{MESSAGES}/{resource['sid']}.json"
    assert parsedate_to_datetime(resource["date_created"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    ("account", "token", "path"),
    [
        (ACCOUNT, "wrong", ACCOUNT),
        ("AC" + "0" * 32, TOKEN, ACCOUNT),
        (ACCOUNT, TOKEN, "AC" + "0" * 32),
    ],
)
def test_a_wrong_login_is_turned_away(sandbox, account, token, path):
    headers = {"Authorization": aiohttp.encode_basic_auth(account, token)}
    form = {"To": PHONE, "From": SENDER, "Body": "Hello"}
    answer = sandbox.post(f"/2010-04-01/Accounts/{path}/Messages.json", data=form, headers=headers)
    assert (answer.status, answer.json["code"]) == (401, 20003)
    assert sandbox.truth()["accepted"] == 0


def test_looking_up_needs_the_login_too(sandbox):
    for path in (f"{MESSAGES}.json", f"{MESSAGES}/SM1.json"):
        assert sandbox.get(path, headers={"Authorization": ""}).status == 401


def test_a_message_can_be_looked_up_by_its_sid(sandbox):
    sid = sandbox.send().json["sid"]
    sandbox.wait(lambda: sandbox.log.read_text().count("receipt") == 2)
    found = sandbox.get(f"{MESSAGES}/{sid}.json")
    assert (found.status, found.json["sid"], found.json["status"]) == (200, sid, "delivered")


def test_an_unknown_sid_is_not_found(sandbox):
    answer = sandbox.get(f"{MESSAGES}/SM{'0' * 32}.json")
    assert (answer.status, answer.json["code"]) == (404, 20404)


def test_the_list_is_newest_first_and_paged(sandbox):
    for number in range(5):
        sandbox.send(Body=str(number))
    first = sandbox.get(f"{MESSAGES}.json?PageSize=3").json
    second = sandbox.get(first["next_page_uri"]).json
    assert [message["body"] for message in first["messages"]] == ["4", "3", "2"]
    assert [message["body"] for message in second["messages"]] == ["1", "0"]
    assert (first["previous_page_uri"], second["next_page_uri"]) == (None, None)


def test_a_full_last_page_has_no_next(sandbox):
    sandbox.send()
    assert sandbox.get(f"{MESSAGES}.json?PageSize=1").json["next_page_uri"] is None


def test_the_list_is_filtered_by_recipient_and_sender(sandbox):
    other = "+12025550177"
    for to, sender in ((PHONE, SENDER), (PHONE, other), ("+12025550188", SENDER)):
        sandbox.send(to, From=sender)
    query = {"To": PHONE, "From": SENDER}
    [found] = sandbox.get(f"{MESSAGES}.json", params=query).json["messages"]
    assert (found["to"], found["from"]) == (PHONE, SENDER)


@pytest.mark.parametrize("query", ["PageSize=0", "PageSize=x", "Page=-1", "DateSent=2026-01-01"])
def test_a_list_query_it_cannot_honour_is_refused(sandbox, query):
    answer = sandbox.get(f"{MESSAGES}.json?{query}")
    assert (answer.status, answer.json["code"]) == (400, 20001)
