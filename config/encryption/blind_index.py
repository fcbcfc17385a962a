"""The blind index: finds a phone number without keeping it.

HMAC-SHA-256 at full length under a key of its own. A bare hash would be a look-up away (there are
about 10^10 numbers); EDPB Guidelines 01/2025 ask for a keyed function with the key kept apart.
"""

import hmac
from functools import lru_cache

from django.conf import settings

from config.encryption.keys import key_bytes

LENGTH = 64  # hexadecimal digits


def of(e164: str) -> str:
    """The index of an E.164 number, as 64 hexadecimal digits."""
    return hmac.digest(_key(settings.BLIND_INDEX_KEY), b"number:" + e164.encode(), "sha256").hex()


@lru_cache(maxsize=2)
def _key(written: str) -> bytes:
    return key_bytes(written)
