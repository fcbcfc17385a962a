"""The pages of operators: an administrator engages, revises and resets; nobody else does."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit import roles
from audit.models import Authenticator, Entry, Operator
from tests.conftest import PASSWORD, enrolled

pytestmark = pytest.mark.django_db

Browser = Callable[..., Any]  # a client, whose answers have an address and a context
Hold = Callable[..., Operator]
LIST = "admin:audit_operator_changelist"
ADD = "admin:audit_operator_add"
CHANGE = "admin:audit_operator_change"
OTHER_PASSWORD = "another long sentence"
OTHERS = [role for role in roles.ROLES if role not in (roles.ADMINISTRATOR, roles.AUDITOR)]


def form(name: str = "grace", *given: str, **more: str) -> dict[str, Any]:
    return {"username": name, "is_active": "on", "roles": list(given), "password": "", **more}


def errors(page: Any) -> dict[str, list[str]]:
    told: dict[str, list[str]] = page.context["adminform"].form.errors
    return told


def verbs() -> list[str]:
    return list(Entry.objects.order_by("id").values_list("verb", flat=True))


# --- engaging


def test_an_administrator_engages_an_operator_who_then_enrols(signed_in: Browser) -> None:
    sent = form("grace", roles.AUDITOR, roles.PRIVACY_OFFICER, password=PASSWORD)
    answer = signed_in(roles.ADMINISTRATOR).post(reverse(ADD), sent)
    assert answer.url == reverse(LIST)
    grace = Operator.objects.get(username="grace")
    assert grace.roles == "Auditor, Privacy officer"
    client: Any = Client()
    first = client.post(reverse("sign_in"), {"username": "grace", "password": PASSWORD})
    assert first.url == reverse("sign_in_enrol")
    client.get(first.url)
    code = f"{Authenticator.objects.get(user=grace).code().token():06}"
    client.post(first.url, {"code": code})
    assert client.get(reverse("admin:audit_entry_changelist")).status_code == 200


def test_engaging_is_told_once_of_the_administrator(signed_in: Browser) -> None:
    client = signed_in(roles.ADMINISTRATOR)
    client.post(reverse(ADD), form("grace", roles.AUDITOR, password=PASSWORD))
    grace, boss = (Operator.objects.get(username=name) for name in ("grace", "administrator"))
    [told] = Entry.objects.filter(subject=f"operator:{grace.pk}")
    assert (told.verb, told.actor) == ("operator.engaged", f"operator:{boss.pk}")
    assert told.facts == {"roles": ["Auditor"]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "fourteen chars"}, "password"),
        ({"password": ""}, "password"),
        ({"password": "1234567890987654321"}, "password"),
        ({"roles": []}, "roles"),
        ({"roles": ["Owner"]}, "roles"),
        ({"username": "administrator"}, "username"),
        ({"username": "two words"}, "username"),
    ],
)
def test_a_form_that_is_not_right_engages_nobody(
    changes: dict[str, Any], field: str, signed_in: Browser
) -> None:
    sent = {**form("grace", roles.AUDITOR, password=PASSWORD), **changes}
    page = signed_in(roles.ADMINISTRATOR).post(reverse(ADD), sent)
    assert field in errors(page)
    assert Operator.objects.count() == 1


def test_a_password_like_the_name_is_refused(signed_in: Browser) -> None:
    sent = form("grace-hopper-1906", roles.AUDITOR, password="grace-hopper-1906")
    page = signed_in(roles.ADMINISTRATOR).post(reverse(ADD), sent)
    assert page.status_code == 200, "the operator was engaged"
    assert "too similar" in str(errors(page)["password"])
    assert Operator.objects.count() == 1


def test_a_form_cannot_raise_anyone_above_the_roles(signed_in: Browser) -> None:
    more = {"is_superuser": "on", "is_staff": "on", "user_permissions": "1", "groups": "1"}
    sent = form("grace", roles.CAMPAIGN_AUTHOR, password=PASSWORD, **more)
    signed_in(roles.ADMINISTRATOR).post(reverse(ADD), sent)
    grace = Operator.objects.get(username="grace")
    assert (grace.is_superuser, grace.roles) == (False, "Campaign author")
    assert not grace.user_permissions.exists()


# --- revising


def test_an_administrator_gives_other_roles_but_a_name_stands_for_good(
    signed_in: Browser, operators: Hold
) -> None:
    ada, client = operators(roles.AUDITOR, name="ada"), signed_in(roles.ADMINISTRATOR)
    page = client.get(reverse(CHANGE, args=[ada.pk]))
    assert page.context["adminform"].form["roles"].initial == ["Auditor"]
    client.post(reverse(CHANGE, args=[ada.pk]), form("ada-king", roles.CAMPAIGN_AUTHOR))
    ada = Operator.objects.get(pk=ada.pk)
    assert (ada.username, ada.roles) == ("ada", "Campaign author")
    assert ada.check_password(PASSWORD)


def test_nobody_gives_a_role_to_themselves(signed_in: Browser, operators: Hold) -> None:
    client, root = signed_in(roles.ADMINISTRATOR), operators(roles.ADMINISTRATOR)
    sent = form(root.username, roles.ADMINISTRATOR)
    sent["roles"] = [roles.ADMINISTRATOR, roles.SUBSCRIBER_MANAGER]
    answer = client.post(reverse(CHANGE, args=[root.pk]), sent)
    assert b"Another administrator has to give you a role." in answer.content
    assert Operator.objects.get(pk=root.pk).roles == roles.ADMINISTRATOR


def test_a_password_cannot_be_read_by_asking_for_its_beginning(signed_in: Browser) -> None:
    address = reverse("admin:audit_operator_changelist")
    answer = signed_in(roles.AUDITOR).get(address, {"password__startswith": "md5"})
    assert answer.status_code == 400


ODD = ["at__year=9999", "at__year=x", "verb=%00", "e=1", "p=99999", "o=99", "all="]


@pytest.mark.parametrize("asked", ODD)
def test_an_odd_address_never_fails(signed_in: Browser, asked: str) -> None:
    client = signed_in(roles.AUDITOR)
    answer = client.get(f"{reverse('admin:audit_entry_changelist')}?{asked}")
    assert answer.status_code in (200, 302)


def test_a_cookie_that_cannot_be_a_key_is_no_session(client: Client) -> None:
    client.cookies["sessionid"] = "\x00abcdefghij"
    assert client.get(reverse("admin:index")).status_code == 302


def test_switching_an_operator_off_is_told_and_ends_their_session(
    signed_in: Browser, operators: Hold
) -> None:
    ada, theirs = operators(roles.AUDITOR, name="ada"), signed_in(roles.AUDITOR, name="ada")
    sent = form("ada", roles.AUDITOR)
    del sent["is_active"]
    signed_in(roles.ADMINISTRATOR).post(reverse(CHANGE, args=[ada.pk]), sent)
    told = Entry.objects.latest("id")
    assert (told.verb, told.subject) == ("operator.revised", f"operator:{ada.pk}")
    assert told.facts == {"roles": ["Auditor"], "may_sign_in": False}
    assert theirs.get(reverse("admin:index")).status_code == 302


def test_a_forgotten_password_is_replaced_told_and_ends_their_session(
    signed_in: Browser, operators: Hold
) -> None:
    ada, theirs = operators(roles.AUDITOR, name="ada"), signed_in(roles.AUDITOR, name="ada")
    sent = form("ada", roles.AUDITOR, password=OTHER_PASSWORD)
    signed_in(roles.ADMINISTRATOR).post(reverse(CHANGE, args=[ada.pk]), sent)
    assert Operator.objects.get(pk=ada.pk).check_password(OTHER_PASSWORD)
    assert "operator.password_replaced" in verbs()
    assert theirs.get(reverse("admin:index")).status_code == 302


def test_a_reset_sends_an_operator_back_to_enrolling(signed_in: Browser, operators: Hold) -> None:
    ada, client = operators(roles.AUDITOR, name="ada"), signed_in(roles.ADMINISTRATOR)
    enrolled(ada)
    sent = {"action": "reset_authenticator", "_selected_action": [ada.pk]}
    page = client.post(reverse(LIST), sent, follow=True)
    assert b"They enrol a new authenticator at their next sign-in." in page.content
    assert not Authenticator.objects.filter(user=ada).exists()
    assert Entry.objects.latest("id").subject == f"operator:{ada.pk}"
    answer: Any = Client().post(reverse("sign_in"), {"username": "ada", "password": PASSWORD})
    assert answer.url == reverse("sign_in_enrol")


def test_the_list_shows_roles_and_who_has_a_second_factor(
    signed_in: Browser, operators: Hold
) -> None:
    operators(roles.AUDITOR, name="ada")
    page = signed_in(roles.ADMINISTRATOR).get(reverse(LIST))
    shown = {one.username: (one.roles, one.is_enrolled) for one in page.context["cl"].result_list}
    assert shown == {"ada": ("Auditor", False), "administrator": ("Administrator", True)}


def test_no_page_of_an_operator_shows_a_password_or_a_secret(
    signed_in: Browser, operators: Hold
) -> None:
    device = enrolled(operators(roles.AUDITOR, name="ada"))
    client, ada = signed_in(roles.ADMINISTRATOR), Operator.objects.get(username="ada")
    for address in (reverse(LIST), reverse(CHANGE, args=[ada.pk])):
        content = client.get(address).content.decode()
        assert ada.password not in content
        assert device.secret not in content


def test_nobody_deletes_an_operator(signed_in: Browser, operators: Hold) -> None:
    ada, client = operators(roles.AUDITOR, name="ada"), signed_in(roles.ADMINISTRATOR)
    address = reverse("admin:audit_operator_delete", args=[ada.pk])
    assert client.post(address, {"post": "yes"}).status_code == 403
    client.post(reverse(LIST), {"action": "delete_selected", "_selected_action": [ada.pk]})
    assert Operator.objects.filter(pk=ada.pk).exists()


# --- who may


def test_an_auditor_sees_operators_and_changes_none(signed_in: Browser, operators: Hold) -> None:
    ada, client = operators(roles.AUDITOR, name="ada"), signed_in(roles.AUDITOR)
    enrolled(ada)
    assert client.get(reverse(LIST)).status_code == 200
    assert client.get(reverse(CHANGE, args=[ada.pk])).status_code == 200
    sent = form("ada", roles.ADMINISTRATOR, password=OTHER_PASSWORD)
    assert client.post(reverse(CHANGE, args=[ada.pk]), sent).status_code == 403
    assert client.post(reverse(ADD), form("eve", roles.AUDITOR)).status_code == 403
    client.post(reverse(LIST), {"action": "reset_authenticator", "_selected_action": [ada.pk]})
    assert Authenticator.objects.filter(user=ada).exists()
    assert (Operator.objects.get(pk=ada.pk).roles, Operator.objects.count()) == ("Auditor", 2)


@pytest.mark.parametrize("role", OTHERS)
def test_other_roles_are_refused_at_every_page_of_operators(
    role: str, signed_in: Browser, operators: Hold
) -> None:
    ada, client = operators(roles.AUDITOR, name="ada"), signed_in(role)
    for address in (reverse(LIST), reverse(ADD), reverse(CHANGE, args=[ada.pk])):
        assert client.get(address).status_code == 403
        assert client.post(address, form("eve", role)).status_code == 403
    assert Operator.objects.count() == 2


# --- one's own password


@pytest.mark.parametrize("role", roles.ROLES)
def test_everyone_changes_their_own_password_and_it_is_told(role: str, signed_in: Browser) -> None:
    client, other = signed_in(role), signed_in(role)
    new = {"new_password1": OTHER_PASSWORD, "new_password2": OTHER_PASSWORD}
    answer = client.post(reverse("change_password"), {"old_password": PASSWORD, **new})
    assert answer.url == reverse("admin:index")
    operator = Operator.objects.get()
    assert operator.check_password(OTHER_PASSWORD)
    told = Entry.objects.latest("id")
    assert (told.verb, told.actor) == ("operator.password_replaced", f"operator:{operator.pk}")
    assert client.get(reverse("admin:index")).status_code == 200
    assert other.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize(
    ("old", "new"),
    [("not the right sentence", OTHER_PASSWORD), (PASSWORD, "fourteen chars"), (PASSWORD, "")],
)
def test_without_the_old_password_or_with_a_weak_new_one_nothing_changes(
    old: str, new: str, signed_in: Browser
) -> None:
    client = signed_in(roles.AUDITOR)
    sent = {"old_password": old, "new_password1": new, "new_password2": new}
    assert client.post(reverse("change_password"), sent).status_code == 200
    assert Operator.objects.get().check_password(PASSWORD)
    assert "operator.password_replaced" not in verbs()


@pytest.mark.parametrize("page", ["password_change/", "password_change/done/", "jsi18n/../auth/"])
def test_there_is_no_stock_page_of_passwords_that_the_trail_does_not_see(
    page: str, signed_in: Browser
) -> None:
    assert signed_in(roles.ADMINISTRATOR).get(f"/admin/{page}").status_code == 404


# --- cost


def queries_for(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def test_the_list_runs_as_many_queries_for_many_as_for_few(
    signed_in: Browser, operators: Hold
) -> None:
    client = signed_in(roles.ADMINISTRATOR)
    counts = []
    for numbers in (range(3), range(3, 30)):
        for number in numbers:
            operators(roles.AUDITOR, name=f"auditor-{number}")
        counts.append(queries_for(client, reverse(LIST)))
    assert counts[0] == counts[1]
