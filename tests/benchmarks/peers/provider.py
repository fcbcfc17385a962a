"""The provider's own SDK, one client a process, with a connection for every call at once."""

import os
from functools import cache
from typing import Any

from django.conf import settings
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client


class ToStub(TwilioHttpClient):
    """Sends to the stub what is meant for the provider."""

    def request(self, method: str, url: str, **options: Any) -> Any:  # type: ignore[override]
        return super().request(
            method, url.replace("https://api.twilio.com", settings.PROVIDER), **options
        )


@cache
def client() -> Client:
    transport = ToStub(timeout=10)
    pool = HTTPAdapter(pool_maxsize=settings.CALLS_AT_ONCE)
    transport.session.mount("https://", pool)
    transport.session.trust_env = False  # the environment would be searched for proxies each time
    transport.session.verify = os.environ["REQUESTS_CA_BUNDLE"]
    return Client(settings.ACCOUNT, settings.TOKEN, http_client=transport)
