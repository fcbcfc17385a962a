"""The blind index finds a number without keeping it, and only with its key."""

import hashlib

import pytest
from cryptography.fernet import Fernet
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from config.encryption import blind_index
from consent import numbers
from consent.models import Subscriber, Suppression

NUMBER = "+12125550123"
FICTION = st.builds("+1{}55501{:02}".format, st.sampled_from([212, 310, 415]), st.integers(0, 99))


def test_it_is_the_hmac_that_another_program_computes(settings) -> None:
    """From `openssl dgst -sha256 -mac HMAC` over "number:" and the number."""
    settings.BLIND_INDEX_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert blind_index.of(NUMBER) == (
        "5041e683c768fc0b9dfd2c42e197946cd7eded5c8c3a62f4066ce2a70a449cd8"
    )


def test_another_key_gives_another_index(settings) -> None:
    before = blind_index.of(NUMBER)
    settings.BLIND_INDEX_KEY = Fernet.generate_key().decode()
    assert blind_index.of(NUMBER) != before


def test_it_is_no_bare_hash_that_can_be_looked_up() -> None:
    bare = {hashlib.sha256(text.encode()).hexdigest() for text in (NUMBER, f"number:{NUMBER}")}
    assert blind_index.of(NUMBER) not in bare


@given(number=FICTION)
def test_it_has_full_length_and_shows_no_number(number: str) -> None:
    index = blind_index.of(number)
    assert len(index) == blind_index.LENGTH == 64
    assert set(index) <= set("0123456789abcdef")
    assert number[-7:] not in index


@given(one=FICTION, other=FICTION)
def test_two_numbers_have_two_indexes(one: str, other: str) -> None:
    assert (blind_index.of(one) == blind_index.of(other)) == (one == other)


@pytest.mark.parametrize(
    "typed",
    [
        "+12125550123",
        "+1 212 555 0123",
        "(212) 555-0123",
        "2125550123",
        "1-212-555-0123",
        "+\uff11 212.555.0123",
    ],
)
def test_a_person_is_found_however_the_number_is_typed(person, typed) -> None:
    ada = person(NUMBER)
    found = Subscriber.objects.with_number(numbers.parse(typed, country="US").e164)
    assert found.get() == ada


def test_the_columns_hold_the_whole_index(person) -> None:
    for model in (Subscriber, Suppression):
        assert model._meta.get_field("number_index").max_length == blind_index.LENGTH
    assert person(NUMBER).number_index == blind_index.of(NUMBER)


def test_one_number_is_one_person(person) -> None:
    ada = person(NUMBER)
    twin = Subscriber(number=NUMBER, number_index=blind_index.of(NUMBER), area=ada.area)
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()
    assert Subscriber.objects.count() == 1


def test_an_index_is_never_derived_from_the_encryption_keys(settings) -> None:
    before = blind_index.of(NUMBER)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.SECRET_KEY = "x" * 60
    assert blind_index.of(NUMBER) == before
