"""What the Messages API refuses, and under which code."""

import json

import pytest

from campaigns.sandbox.refusals import MEANINGS, RefusedError, read
from tests.campaigns.sandbox.conftest import PHONE, SENDER

GOOD = {"To": PHONE, "From": SENDER, "Body": "Hello"}
REFUSED = [
    ({"To": ""}, 21604),
    ({"To": "2025550123"}, 21211),
    ({"To": "+0123456789"}, 21211),
    ({"To": PHONE + "\n"}, 21211),
    ({"To": "+15005550001"}, 21211),
    ({"To": "+15005550002"}, 21612),
    ({"To": "+15005550003"}, 21408),
    ({"To": "+15005550004"}, 21610),
    ({"To": "+15005550009"}, 21614),
    ({"From": ""}, 21603),
    ({"From": "NAMES LONGER THAN ELEVEN"}, 21212),
    ({"From": "12"}, 21212),
    ({"From": "+15005550001"}, 21212),
    ({"From": "+15005550007"}, 21606),
    ({"From": "+15005550008"}, 21611),
    ({"Body": ""}, 21602),
    ({"Body": "x" * 1601}, 21617),
    ({"StatusCallback": "/receipts"}, 21609),
    ({"StatusCallback": "ftp://example.org/"}, 21609),
    ({"StatusCallback": "http://[broken"}, 21609),
    ({"ValidityPeriod": "0"}, 90007),
    ({"ValidityPeriod": "36001"}, 90007),
    ({"ValidityPeriod": "1.5"}, 90007),
]


@pytest.mark.parametrize(("change", "code"), REFUSED)
def test_a_bad_field_is_refused_under_its_code(change, code):
    with pytest.raises(RefusedError) as refused:
        read(GOOD | change)
    assert (refused.value.code, refused.value.status) == (code, 400)


@pytest.mark.parametrize(
    "change",
    [
        {"From": "72345"},
        {"From": "Northwind"},
        {"Body": "x" * 1600},
        {"ValidityPeriod": "1"},
        {"ValidityPeriod": "36000"},
        {"StatusCallback": "https://example.org/receipts?a=b"},
    ],
)
def test_the_edge_of_what_is_allowed_is_allowed(change):
    assert read(GOOD | change).to == PHONE


def test_a_field_left_out_is_missing_not_an_error():
    draft = read(GOOD)
    assert (draft.status_callback, draft.validity_period) == ("", None)


@pytest.mark.parametrize("code", MEANINGS)
def test_every_refusal_names_itself_as_the_api_does(code):
    document = json.loads(RefusedError(code).as_json())
    assert document["code"] == code
    assert document["message"] == MEANINGS[code]
    assert document["more_info"].endswith(f"/{code}")
    assert 400 <= document["status"] <= 500


def test_a_refused_message_is_not_accepted(sandbox):
    answer = sandbox.send("nonsense")
    assert (answer.status, answer.json["code"], answer.json["status"]) == (400, 21211, 400)
    assert sandbox.truth()["accepted"] == 0
    assert sandbox.log.read_text() == ""
