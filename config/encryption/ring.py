"""The key ring: encrypts under the newest key, decrypts under the key a token names."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

ID_LENGTH = 8
SEPARATOR = "."


class CannotDecrypt(Exception):
    """A stored value that is no token of ours: planted, damaged, misplaced, or its key is gone."""


@dataclass(frozen=True, slots=True)
class Token:
    """What stands in an encrypted column; it shows nothing when printed."""

    text: str

    def __str__(self) -> str:
        return "••••"

    __repr__ = __str__

    @property
    def key_id(self) -> str:
        return self.text[:ID_LENGTH]


@lru_cache(maxsize=16)
def key_id(key: str) -> str:
    """The public name of a key: it says which key a token needs and nothing else."""
    return hashlib.sha256(b"volens key id" + key.encode()).hexdigest()[:ID_LENGTH]


@lru_cache(maxsize=8)
def _ring(keys: tuple[str, ...]) -> dict[str, Fernet]:
    return {key_id(key): Fernet(key) for key in keys}


def ring() -> dict[str, Fernet]:
    """Every key by its id, newest first; read from the settings at each use."""
    return _ring(tuple(settings.ENCRYPTION_KEYS))


def newest() -> str:
    """The id of the key that encrypts."""
    return key_id(settings.ENCRYPTION_KEYS[0])


def binding(place: str) -> bytes:
    """Sixteen bytes that stand for one column of one row; sealed into the token."""
    return hashlib.sha256(place.encode()).digest()[:16]


def encrypt(text: str, *, place: str) -> Token:
    """Encrypt `text` for one place (`table.column:row`); it decrypts nowhere else."""
    name = newest()
    sealed = ring()[name].encrypt(binding(place) + text.encode())
    return Token(name + SEPARATOR + sealed.decode())


def _open(token: Token, *, place: str) -> bytes:
    fernet = ring().get(token.key_id)
    if fernet is None or token.text[ID_LENGTH : ID_LENGTH + 1] != SEPARATOR:
        raise CannotDecrypt(f"{place} holds no token of a key in ENCRYPTION_KEYS")
    try:
        sealed = fernet.decrypt(token.text[ID_LENGTH + 1 :])
    except InvalidToken as error:
        raise CannotDecrypt(f"{place} holds a damaged token") from error
    if sealed[:16] != binding(place):
        raise CannotDecrypt(f"{place} holds a token that belongs to another row or column")
    return sealed[16:]


def decrypt(token: Token, *, place: str) -> str:
    """The text of a token. Raises CannotDecrypt, naming the place and never the content."""
    return _open(token, place=place).decode()


def rotate(token: Token, *, place: str) -> Token:
    """The same text under the newest key. Raises CannotDecrypt."""
    return encrypt(decrypt(token, place=place), place=place)
