"""The key ring: the newest key encrypts, the named key decrypts, and nothing shows a secret."""

import subprocess
import sys
import uuid

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from config.encryption import keys, ring
from config.encryption.keys import KeyFault
from config.encryption.ring import CannotDecrypt, Token
from tests.services import ROOT

PLACE = f"people.name:{uuid.UUID(int=1)}"
SECRET = "nobody reads this"


def _key() -> str:
    return Fernet.generate_key().decode()


@given(text=st.text(min_size=1, max_size=300), place=st.text(max_size=100))
def test_what_is_encrypted_for_a_place_decrypts_there(text: str, place: str) -> None:
    assert ring.decrypt(ring.encrypt(text, place=place), place=place) == text


@given(here=st.text(max_size=40), there=st.text(max_size=40))
def test_what_is_encrypted_for_a_place_decrypts_nowhere_else(here: str, there: str) -> None:
    token = ring.encrypt(SECRET, place=here)
    if here == there:
        assert ring.decrypt(token, place=there) == SECRET
        return
    with pytest.raises(CannotDecrypt, match="another row or column"):
        ring.decrypt(token, place=there)


def test_the_same_text_never_has_the_same_token() -> None:
    assert ring.encrypt(SECRET, place=PLACE) != ring.encrypt(SECRET, place=PLACE)


def test_the_first_key_encrypts_and_every_key_decrypts(settings) -> None:
    tokens, settings.ENCRYPTION_KEYS = [], []
    for _time in range(3):
        settings.ENCRYPTION_KEYS = [_key(), *settings.ENCRYPTION_KEYS]
        tokens.append(ring.encrypt(SECRET, place=PLACE))
    assert [token.key_id for token in reversed(tokens)] == [
        ring.key_id(key) for key in settings.ENCRYPTION_KEYS
    ]
    assert [ring.decrypt(token, place=PLACE) for token in tokens] == [SECRET] * 3


def test_the_third_key_costs_one_decryption_like_the_first(settings, monkeypatch) -> None:
    oldest, middle, newest = _key(), _key(), _key()
    settings.ENCRYPTION_KEYS = [oldest]
    token = ring.encrypt(SECRET, place=PLACE)
    settings.ENCRYPTION_KEYS = [newest, middle, oldest]
    calls, decrypt = [], Fernet.decrypt
    monkeypatch.setattr(Fernet, "decrypt", lambda *a, **k: calls.append(1) or decrypt(*a, **k))
    assert ring.decrypt(token, place=PLACE) == SECRET
    assert len(calls) == 1


def test_a_token_of_a_removed_key_is_refused(settings) -> None:
    token = ring.encrypt(SECRET, place=PLACE)
    settings.ENCRYPTION_KEYS = [_key()]
    with pytest.raises(CannotDecrypt, match="no token of a key in ENCRYPTION_KEYS"):
        ring.decrypt(token, place=PLACE)


def test_a_token_that_names_another_key_of_the_ring_is_refused(settings) -> None:
    settings.ENCRYPTION_KEYS = [_key(), _key()]
    token = ring.encrypt(SECRET, place=PLACE)
    liar = Token(ring.key_id(settings.ENCRYPTION_KEYS[1]) + token.text[ring.ID_LENGTH :])
    with pytest.raises(CannotDecrypt, match="damaged"):
        ring.decrypt(liar, place=PLACE)


@pytest.mark.parametrize("text", ["", SECRET, "12125550123", ".gAAAA", "x" * 200])
def test_what_is_no_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(CannotDecrypt) as refusal:
        ring.decrypt(Token(text), place=PLACE)
    assert PLACE in str(refusal.value)
    assert not text or text not in str(refusal.value)


def test_a_token_whose_separator_was_changed_is_refused() -> None:
    token = ring.encrypt(SECRET, place=PLACE)
    with pytest.raises(CannotDecrypt):
        ring.decrypt(Token(token.text.replace(".", "-", 1)), place=PLACE)


def test_a_token_shows_nothing_when_it_is_printed() -> None:
    token = ring.encrypt(SECRET, place=PLACE)
    printed = f"{token} {token!r} {token!s} {[token]} {{'token': {token}}}"
    assert set(printed) <= set("• []{}':token")


def test_a_token_cannot_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        ring.encrypt(SECRET, place=PLACE).text = "other"  # type: ignore[misc]


def test_rotating_keeps_the_text_and_takes_the_newest_key(settings) -> None:
    token = ring.encrypt(SECRET, place=PLACE)
    settings.ENCRYPTION_KEYS = [_key(), *settings.ENCRYPTION_KEYS]
    renewed = ring.rotate(token, place=PLACE)
    assert renewed.key_id == ring.newest() != token.key_id
    assert ring.decrypt(renewed, place=PLACE) == SECRET


def test_the_name_of_a_key_is_no_part_of_it() -> None:
    key = _key()
    assert len(ring.key_id(key)) == ring.ID_LENGTH
    assert ring.key_id(key) not in key
    assert ring.key_id(key) != ring.key_id(_key())


# --- keys as they come from the environment ----------------------------------------------------

GOOD = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def test_a_key_is_thirty_two_bytes_in_url_safe_base64() -> None:
    assert keys.key_bytes(GOOD) == bytes(range(32))


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("", "holds 0 bytes"),
        ("AAECAwQFBgcICQoLDA0ODw==", "holds 16 bytes"),
        ("A", "not URL-safe base64"),
        ("schlüssel", "holds 6 bytes"),
        (GOOD[:-1], "not URL-safe base64"),
    ],
)
def test_a_wrong_key_is_explained_and_not_shown(key: str, fault: str) -> None:
    for check in (keys.check_encryption_key, keys.check_seed):
        with pytest.raises(KeyFault, match=fault) as refusal:
            check(key)
        assert len(key) < 2 or key not in str(refusal.value)


def test_the_index_key_must_be_a_key_of_its_own() -> None:
    keys.check_index_key(GOOD, apart_from=[_key(), _key()])
    with pytest.raises(KeyFault, match="also an encryption key"):
        keys.check_index_key(GOOD, apart_from=[_key(), GOOD])


def test_the_maker_of_keys_prints_new_ones_that_pass() -> None:
    command = [sys.executable, "-m", "config.encryption.keys"]
    printed = [
        subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=True).stdout
        for _time in range(2)
    ]
    first, second = (dict(line.split("=", 1) for line in text.splitlines()) for text in printed)
    assert set(first) == {"SECRET_KEY", "ENCRYPTION_KEYS", "BLIND_INDEX_KEY", "CHECKPOINT_SEED"}
    assert not set(first.values()) & set(second.values())
    keys.check_encryption_key(first["ENCRYPTION_KEYS"])
    keys.check_index_key(first["BLIND_INDEX_KEY"], apart_from=[first["ENCRYPTION_KEYS"]])
    keys.check_seed(first["CHECKPOINT_SEED"])
    assert len(first["SECRET_KEY"]) >= 50
