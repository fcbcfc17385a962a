"""A key is told once, kept as a hash, and opens nothing once it is revoked."""

import hashlib
import re

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from audit.models import Entry
from consent import integrations
from consent.models import Integration
from tests.conftest import AT
from tests.consent.calls import a_key

SCOPES = ["status:read", "consents:write"]
pytestmark = pytest.mark.django_db


def _issue(name: str = "shop", scopes=SCOPES):
    return integrations.issue(name=name, scopes=scopes, by="command", at=AT)


def test_a_key_has_a_prefix_and_43_signs_and_is_another_one_each_time() -> None:
    keys = {a_key(name=name) for name in ("shop", "till", "site")}
    assert len(keys) == 3
    assert all(re.fullmatch(r"vk_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_only_the_hash_of_a_key_is_kept() -> None:
    made, key = _issue()
    assert made.key_hash == hashlib.sha256(key.encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM consent_integration")
        assert key[3:] not in str(cursor.fetchall())


def test_scopes_are_kept_in_one_order() -> None:
    made, _key = _issue()
    assert made.scopes == "consents:write status:read"


def test_an_integration_is_found_by_its_key() -> None:
    made, key = _issue()
    assert integrations.by_key(key) == made


@pytest.mark.parametrize(
    "guess", ["", "vk_", "vk_" + "a" * 43, "vk_" + "a" * 44, "vk_\0" + "a" * 42, "vk_" + "é" * 43]
)
def test_a_guess_finds_nothing(guess) -> None:
    _issue()
    assert integrations.by_key(guess) is None


def test_what_cannot_be_a_key_is_not_looked_for(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert integrations.by_key("vk_short") is None


def test_the_hash_of_a_key_is_no_key() -> None:
    made, _key = _issue()
    assert integrations.by_key(made.key_hash) is None


def test_a_revoked_key_finds_nothing_and_revokes_once() -> None:
    made, key = _issue()
    assert integrations.revoke(integration=made, by="command", at=AT)
    assert not integrations.revoke(integration=made, by="command", at=AT)
    assert integrations.by_key(key) is None
    assert Entry.objects.filter(verb="integration.revoked").count() == 1


def test_a_revoked_integration_may_do_nothing() -> None:
    made, _key = _issue()
    assert made.may("status:read")
    integrations.revoke(integration=made, by="command", at=AT)
    made.refresh_from_db()
    assert not made.may("status:read")


def test_revoking_one_key_leaves_the_others() -> None:
    made, _key = _issue()
    other = a_key(name="till")
    integrations.revoke(integration=made, by="command", at=AT)
    assert integrations.by_key(other)


def test_the_trail_tells_who_may_what_and_holds_neither_key_nor_hash() -> None:
    made, key = _issue()
    integrations.revoke(integration=made, by="command", at=AT)
    issued, revoked = Entry.objects.order_by("id")
    assert (issued.verb, revoked.verb) == ("integration.issued", "integration.revoked")
    assert {issued.subject, revoked.subject} == {f"integration:{made.pk}"}
    assert issued.facts == {"scopes": ["consents:write", "status:read"]}
    told = str([(entry.facts, entry.subject, entry.commitment) for entry in (issued, revoked)])
    assert key not in told
    assert made.key_hash not in told


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("", SCOPES),
        ("x" * 61, SCOPES),
        ("till +1 212 555 0123", SCOPES),
        ("ada@shop.example", SCOPES),
        ("shop", []),
        ("shop", ["everything"]),
        ("taken", SCOPES),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(name, scopes) -> None:
    _issue("taken")
    with pytest.raises(ValidationError):
        _issue(name, scopes)
    assert (Integration.objects.count(), Entry.objects.count()) == (1, 1)
