"""Links that a person may open without signing in: signed, for one thing, and not for ever."""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner, b62_decode, b62_encode
from django.urls import reverse

# What a link opens, and how long it may be opened. CASL s. 11 wants a way out to work for 60 days
# after a message; each message that has the link has a new one.
CONFIRM, PREFERENCES = "confirm", "preferences"
LIFE = {CONFIRM: timedelta(days=30), PREFERENCES: timedelta(days=90)}


def address(kind: str, key: uuid.UUID) -> str:
    """The whole public address that opens one thing of one person."""
    return settings.PUBLIC_URL + reverse(kind, args=[_signer(kind).sign(b62_encode(key.int))])


def read(kind: str, token: str) -> uuid.UUID | None:
    """Whose link it is; None if it was not signed here, for something else, or too long ago."""
    try:
        return uuid.UUID(int=b62_decode(_signer(kind).unsign(token, max_age=LIFE[kind])))
    except (BadSignature, ValueError):
        return None


def _signer(kind: str) -> Any:
    return TimestampSigner(salt=f"volens.{kind}", sep=".")
