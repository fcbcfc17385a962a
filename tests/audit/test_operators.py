"""Operators are engaged with roles and a strong password, and every step of it is told."""

import getpass
import io
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from audit import operators as staff
from audit import roles, trail
from audit.models import Authenticator, Entry, Operator
from tests.conftest import PASSWORD, Clock, enrolled

pytestmark = pytest.mark.django_db

Hold = Callable[..., Operator]
WEAK = {
    "short": ("fourteen chars", "at least 15 characters"),
    "empty": ("", "at least 15 characters"),
    "common": ("1234567890987654321", "too common"),
    "like the name": ("grace-hopper-1906", "too similar to the username"),
}
weak_passwords = pytest.mark.parametrize(("password", "words"), WEAK.values(), ids=WEAK)


def engage(at: datetime, **changes: Any) -> Operator:
    usual = {"username": "grace-hopper-1906", "password": PASSWORD, "roles": [roles.AUDITOR]}
    return staff.engage(**{**usual, "by": "command", **changes}, at=at)


def last_told() -> tuple[str, str, str, dict[str, Any]]:
    entry = Entry.objects.latest("id")
    return entry.verb, entry.subject, entry.actor, entry.facts


# --- engaging


def test_an_operator_is_engaged_with_roles_and_without_a_second_factor(at: datetime) -> None:
    operator = engage(at, roles=[roles.AUDITOR, roles.PRIVACY_OFFICER])
    assert operator.roles == "Auditor, Privacy officer"
    assert (operator.joined_at, operator.is_active, operator.is_superuser) == (at, True, False)
    assert operator.check_password(PASSWORD)
    assert not Authenticator.objects.exists()


def test_engaging_is_told_without_a_name(at: datetime, operators: Hold) -> None:
    boss = operators(roles.ADMINISTRATOR)
    operator = engage(at, by=boss)
    assert last_told() == (
        "operator.engaged",
        f"operator:{operator.pk}",
        f"operator:{boss.pk}",
        {"roles": ["Auditor"]},
    )
    assert "grace" not in trail.canonical(trail.content_of(Entry.objects.latest("id"))).decode()


def test_an_unknown_role_engages_nobody(at: datetime) -> None:
    with pytest.raises(staff.UnknownRole, match="^Owner: the roles are Subscriber manager, "):
        engage(at, roles=[roles.AUDITOR, "Owner"])
    assert not Operator.objects.exists()
    assert not Entry.objects.exists()


@weak_passwords
def test_a_weak_password_engages_nobody(password: str, words: str, at: datetime) -> None:
    with pytest.raises(ValidationError, match=words):
        engage(at, password=password)
    assert not Operator.objects.exists()
    assert not Entry.objects.exists()


@pytest.mark.parametrize("name", ["", "two words", "名前", "x" * 61, "<b>"])
def test_a_name_that_cannot_be_typed_is_refused(name: str, at: datetime) -> None:
    with pytest.raises(ValidationError):
        engage(at, username=name)


def test_a_name_that_is_taken_is_refused(at: datetime) -> None:
    engage(at)
    with pytest.raises(ValidationError, match="already exists"):
        engage(at)
    assert (Operator.objects.count(), Entry.objects.count()) == (1, 1)


def test_an_actor_that_the_trail_refuses_engages_nobody(at: datetime) -> None:
    with pytest.raises(trail.NotRecorded):
        engage(at, by="somebody")
    assert not Operator.objects.exists()


# --- revising


def test_roles_are_replaced_not_added(at: datetime) -> None:
    operator = engage(at)
    staff.revise(
        operator=operator, roles=[roles.CAMPAIGN_AUTHOR], may_sign_in=True, by="command", at=at
    )
    assert operator.roles == "Campaign author"
    assert last_told()[3] == {"roles": ["Campaign author"], "may_sign_in": True}


def test_switching_an_operator_off_is_told(at: datetime) -> None:
    operator = engage(at)
    staff.revise(operator=operator, roles=[], may_sign_in=False, by="command", at=at)
    operator = Operator.objects.get(pk=operator.pk)
    assert (operator.is_active, operator.is_staff, operator.roles) == (False, False, "")
    facts = {"roles": [], "may_sign_in": False}
    assert last_told() == ("operator.revised", f"operator:{operator.pk}", "command", facts)


def test_an_unknown_role_revises_nothing(at: datetime) -> None:
    operator = engage(at)
    with pytest.raises(staff.UnknownRole):
        staff.revise(operator=operator, roles=["Owner"], may_sign_in=False, by="command", at=at)
    operator = Operator.objects.get(pk=operator.pk)
    assert (operator.is_active, operator.roles) == (True, "Auditor")
    assert Entry.objects.count() == 1


# --- passwords


def test_a_replaced_password_counts_from_then_on_and_is_told(at: datetime) -> None:
    operator = engage(at)
    staff.replace_password(operator=operator, password="another long sentence", by=operator, at=at)
    operator = Operator.objects.get(pk=operator.pk)
    assert operator.check_password("another long sentence")
    assert not operator.check_password(PASSWORD)
    verb, _subject, actor, facts = last_told()
    assert (verb, actor, facts) == ("operator.password_replaced", f"operator:{operator.pk}", {})


@weak_passwords
def test_a_weak_password_replaces_none(password: str, words: str, at: datetime) -> None:
    operator = engage(at)
    with pytest.raises(ValidationError, match=words):
        staff.replace_password(operator=operator, password=password, by="command", at=at)
    assert Operator.objects.get(pk=operator.pk).check_password(PASSWORD)
    assert Entry.objects.count() == 1


# --- second factors


def test_a_new_draft_replaces_the_one_that_somebody_may_have_seen(at: datetime) -> None:
    operator = engage(at)
    seen = staff.draft_authenticator(operator)
    draft = staff.draft_authenticator(operator)
    assert Authenticator.objects.get() == draft
    assert draft.secret != seen.secret
    assert not draft.confirmed
    assert len(bytes.fromhex(draft.secret)) == 20  # 160 bits: RFC 4226, section 4
    staff.confirm_authenticator(authenticator=draft, by=operator, at=at)
    assert Authenticator.objects.get().confirmed
    assert last_told()[:2] == ("operator.enrolled", f"operator:{operator.pk}")


def test_two_operators_never_share_a_secret(at: datetime) -> None:
    drafts = [staff.draft_authenticator(engage(at, username=name)) for name in ("ada", "grace")]
    assert len({draft.secret for draft in drafts}) == 2


def test_a_second_confirmed_authenticator_is_refused(operators: Hold) -> None:
    device = enrolled(operators(roles.AUDITOR))
    with pytest.raises(IntegrityError), transaction.atomic():
        Authenticator.objects.create(user=device.user, name="app", secret="00" * 20)


def test_a_reset_forgets_every_authenticator_of_one_operator_only(
    at: datetime, operators: Hold
) -> None:
    ada, grace = (operators(roles.AUDITOR, name=name) for name in ("ada", "grace"))
    enrolled(ada)
    kept = enrolled(grace)
    Authenticator.objects.create(user=ada, name="app", confirmed=False, secret="00" * 20)
    staff.reset_authenticator(operator=ada, by=grace, at=at)
    assert list(Authenticator.objects.all()) == [kept]
    assert last_told() == ("operator.reset", f"operator:{ada.pk}", f"operator:{grace.pk}", {})


def test_a_key_of_an_operator_says_nothing_of_their_authenticator(operators: Hold) -> None:
    device = enrolled(operators(roles.AUDITOR, name="ada"))
    assert device.secret not in f"{device!r} {device}"


# --- the command


def create(monkeypatch: pytest.MonkeyPatch, password: str, *options: str) -> str:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    command = ("create_operator", "grace-hopper-1906", "--password-stdin", *options)
    call_command(*command, stdout=out)
    return out.getvalue()


def test_the_command_engages_the_first_administrator(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    said = create(monkeypatch, PASSWORD, "--role", "Administrator", "--role", "Auditor")
    operator = Operator.objects.get()
    assert said == "grace-hopper-1906 may sign in and enrols a second factor then.\n"
    assert (operator.roles, operator.joined_at) == ("Administrator, Auditor", clock.at)
    assert operator.check_password(PASSWORD)
    assert last_told()[2] == "command"


def test_the_command_asks_for_the_password_where_it_is_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda *_prompt: PASSWORD)
    call_command("create_operator", "ada", "--role", "Auditor", stdout=io.StringIO())
    assert Operator.objects.get().check_password(PASSWORD)


@weak_passwords
def test_the_command_says_what_is_weak_about_a_password(
    password: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match=words) as refusal:
        create(monkeypatch, password, "--role", "Auditor")
    assert not password or password not in str(refusal.value)
    assert not Operator.objects.exists()


def test_the_command_refuses_a_name_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    create(monkeypatch, PASSWORD, "--role", "Auditor")
    with pytest.raises(CommandError, match="already exists"):
        create(monkeypatch, PASSWORD, "--role", "Administrator")
    assert Operator.objects.get().roles == "Auditor"


@pytest.mark.parametrize(
    ("options", "words"),
    [((), "required: --role"), (("--role", "Owner"), "invalid choice: 'Owner'")],
)
def test_the_command_wants_a_role_of_the_table(
    options: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match=words):
        create(monkeypatch, PASSWORD, *options)
