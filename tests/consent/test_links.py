"""A link is signed for one thing of one kind, and not for ever."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.signing import TimestampSigner, b62_encode
from hypothesis import given
from hypothesis import strategies as st

from consent import links
from tests.conftest import AT

KINDS = [links.CONFIRM, links.PREFERENCES]
KEY = uuid.UUID("12345678-1234-4234-8234-123456789abc")


def token(kind: str, key: uuid.UUID = KEY) -> str:
    return links.address(kind, key).rstrip("/").rpartition("/")[2]


@pytest.mark.parametrize(("kind", "path"), [("confirm", "/yes/"), ("preferences", "/my/")])
def test_an_address_is_whole_and_public(kind: str, path: str, settings: Any) -> None:
    settings.PUBLIC_URL = "https://texts.example"
    assert links.address(kind, KEY).startswith(f"https://texts.example{path}")


@given(st.uuids(), st.sampled_from(KINDS))
def test_a_link_is_of_what_it_was_signed_for(key: uuid.UUID, kind: str) -> None:
    assert links.read(kind, token(kind, key)) == key


@pytest.mark.parametrize("key", [uuid.UUID(int=0), uuid.UUID(int=1), uuid.UUID(int=2**128 - 1)])
def test_the_smallest_and_the_greatest_key_have_links(key: uuid.UUID) -> None:
    assert links.read(links.CONFIRM, token(links.CONFIRM, key)) == key


@given(st.uuids())
def test_no_kind_opens_another(key: uuid.UUID) -> None:
    assert links.read(links.CONFIRM, token(links.PREFERENCES, key)) is None
    assert links.read(links.PREFERENCES, token(links.CONFIRM, key)) is None


@given(st.text())
def test_what_we_did_not_sign_opens_nothing(written: str) -> None:
    for kind in KINDS:
        assert links.read(kind, written) is None


@given(st.data())
def test_a_changed_sign_closes_a_link(data: st.DataObject) -> None:
    written = token(links.CONFIRM)
    place = data.draw(st.integers(0, len(written) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda sign: sign != written[place]))
    assert links.read(links.CONFIRM, written[:place] + other + written[place + 1 :]) is None


def test_another_secret_opens_nothing(settings: Any) -> None:
    written = token(links.CONFIRM)
    settings.SECRET_KEY = "x" * 50
    assert links.read(links.CONFIRM, written) is None


def test_what_we_signed_that_is_no_key_opens_nothing() -> None:
    signer = TimestampSigner(salt="volens.confirm", sep=".")
    for written in ("é", b62_encode(2**128), "-1"):
        assert links.read(links.CONFIRM, signer.sign(written)) is None


@pytest.mark.parametrize(("kind", "days"), [("confirm", 30), ("preferences", 90)])
def test_a_link_lives_so_many_days(kind: str, days: int) -> None:
    with time_machine.travel(AT, tick=False):
        written = token(kind)
    with time_machine.travel(AT + timedelta(days=days), tick=False):
        assert links.read(kind, written) == KEY
    with time_machine.travel(AT + timedelta(days=days, seconds=2), tick=False):
        assert links.read(kind, written) is None


def test_a_way_out_lives_longer_than_the_law_asks() -> None:
    """CASL s. 11: sixty days after the message."""
    assert links.LIFE[links.PREFERENCES] >= timedelta(days=60)


def test_a_link_shows_no_key() -> None:
    written = links.address(links.CONFIRM, KEY)
    assert KEY.hex not in written
    assert str(KEY) not in written
    assert len(written) < 140  # what a text can bear
