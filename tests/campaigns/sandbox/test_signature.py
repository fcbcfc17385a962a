"""Our signature is the one the provider's published validator expects."""

from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from campaigns.sandbox.callbacks import signature

URL = "https://example.org/webhooks/twilio/inbound?a=b"
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(WORDS, st.dictionaries(WORDS, WORDS, max_size=6))
def test_the_signature_agrees_with_the_published_validator(token, fields):
    ours = signature(auth_token=token, url=URL, fields=fields)
    assert RequestValidator(token).validate(URL, fields, ours)


def test_a_changed_field_breaks_the_signature():
    ours = signature(auth_token="token", url=URL, fields={"Body": "STOP"})
    assert not RequestValidator("token").validate(URL, {"Body": "START"}, ours)
