"""Signed requests from the provider to its customer's webhooks.

Signature: https://www.twilio.com/docs/usage/security#validating-requests.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import yarl

TIMEOUT = 15.0  # seconds, as the real provider waits


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook answered; no status means it could not be reached or did not answer."""

    status: int | None
    text: str

    @property
    def acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def signature(*, auth_token: str, url: str, fields: Mapping[str, str]) -> str:
    """Return the X-Twilio-Signature of a form posted to `url`."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


class Callbacks:
    """Posts signed calls; follows no redirect, retries nothing of its own accord."""

    def __init__(
        self, session: aiohttp.ClientSession, *, auth_token: str, timeout: float = TIMEOUT
    ) -> None:
        self._session = session
        self._auth_token = auth_token
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def post(self, url: str, fields: Mapping[str, str], *, token: str) -> Answer:
        """Post a form to `url`; `token` is the same for each repetition of one event."""
        headers = {
            "X-Twilio-Signature": signature(auth_token=self._auth_token, url=url, fields=fields),
            "I-Twilio-Idempotency-Token": token,
        }
        return await self.deliver(url, fields, headers)

    async def deliver(
        self, url: str, data: Mapping[str, str] | bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Post what is signed already."""
        try:
            return await self._answer(url, data, headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Answer(None, f"no answer: {type(error).__name__}")

    async def _answer(
        self, url: str, data: Mapping[str, str] | bytes, headers: Mapping[str, str]
    ) -> Answer:
        # encoded=True: the address must leave as it was signed, letter by letter.
        address = yarl.URL(url, encoded=True)
        async with self._session.post(
            address, data=data, headers=headers, timeout=self._timeout, allow_redirects=False
        ) as response:
            return Answer(response.status, await response.text(errors="replace"))
