"""The Ed25519 key with which the provider signs what it tells by the Telnyx API.

Scheme: https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks.
"""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def _private_key(secret: str) -> Ed25519PrivateKey:
    """Return the key that belongs to `secret`, the same one each time."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())


def public_key(secret: str) -> str:
    """Return what a customer must hold to believe the calls, as the portal shows it."""
    return base64.b64encode(_private_key(secret).public_key().public_bytes_raw()).decode()


def signature(*, secret: str, timestamp: str, body: bytes) -> str:
    """Return the telnyx-signature-ed25519 of a body sent at `timestamp`, in Unix seconds."""
    signed = _private_key(secret).sign(timestamp.encode() + b"|" + body)
    return base64.b64encode(signed).decode()
