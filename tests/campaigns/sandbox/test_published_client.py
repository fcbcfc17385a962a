"""The provider's own published client can talk to the sandbox as to the real thing."""

import asyncio
from datetime import UTC

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.campaigns.sandbox.conftest import ACCOUNT, PHONE, SENDER, TOKEN


class ToSandbox(TwilioHttpClient):
    """Sends to the sandbox what is meant for the provider."""

    def __init__(self, url):
        super().__init__()
        self.url = url
        self.session.trust_env = False

    def request(self, method, url, **options):
        return super().request(method, url.replace("https://api.twilio.com", self.url), **options)


@pytest.fixture
def client(sandbox):
    transport = ToSandbox(sandbox.url)
    yield Client(ACCOUNT, TOKEN, http_client=transport)
    transport.session.close()


def test_it_creates_fetches_and_lists_messages(sandbox, client):
    def journey():
        made = [_create(client, to=PHONE) for _ in range(3)]
        fetched = client.messages(made[0].sid).fetch()
        return made, fetched, client.messages.list(to=PHONE, page_size=2)

    made, fetched, listed = sandbox.run(asyncio.to_thread(journey))
    assert made[0].status == "queued"
    assert made[0].date_created.tzinfo == UTC
    assert fetched.sid == made[0].sid
    assert [message.sid for message in listed] == [message.sid for message in reversed(made)]


def test_it_understands_a_refusal(sandbox, client):
    with pytest.raises(TwilioRestException) as refused:
        sandbox.run(asyncio.to_thread(_create, client, to="+15005550004"))
    assert (refused.value.status, refused.value.code) == (400, 21610)


def _create(client, *, to):
    return client.messages.create(to=to, from_=SENDER, body="Hello", validity_period=600)
