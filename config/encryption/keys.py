"""What a key must look like, and a maker of new ones: `python -m config.encryption.keys`."""

import base64
import binascii
import secrets
from collections.abc import Sequence

from cryptography.fernet import Fernet


class KeyFault(ValueError):
    """A key that cannot be used; the text says why and never shows the key."""


def key_bytes(key: str) -> bytes:
    """The 32 bytes of a URL-safe base64 key. Raises KeyFault."""
    try:
        raw = base64.urlsafe_b64decode(key.encode())
    except (binascii.Error, ValueError) as error:
        raise KeyFault("it is not URL-safe base64") from error
    if len(raw) != 32:
        raise KeyFault(f"it holds {len(raw)} bytes where 32 are wanted")
    return raw


def check_encryption_key(key: str) -> None:
    """Raises KeyFault unless `key` is a Fernet key."""
    key_bytes(key)


def check_index_key(key: str, *, apart_from: Sequence[str]) -> None:
    """Raises KeyFault unless `key` is a key of its own: one leak must not open both."""
    if key_bytes(key) in {key_bytes(other) for other in apart_from}:
        raise KeyFault("it is also an encryption key")


def check_seed(seed: str) -> None:
    """Raises KeyFault unless `seed` is the 32-byte seed of an Ed25519 key."""
    key_bytes(seed)


def is_public_key(key: str) -> bool:
    """Whether `key` is the 32 bytes of an Ed25519 public key in base64, as providers show it."""
    try:
        return len(base64.b64decode(key, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def new_environment() -> dict[str, str]:
    """Fresh secrets for one installation, by variable."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "BLIND_INDEX_KEY": Fernet.generate_key().decode(),
        "CHECKPOINT_SEED": Fernet.generate_key().decode(),
    }


if __name__ == "__main__":
    print("\n".join(f"{name}={value}" for name, value in new_environment().items()))
