"""Administrators give and revoke keys; a key is shown on one page, once, and kept by nothing."""

import logging
import re

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from audit import roles
from audit.models import Entry
from consent import integrations
from consent.models import Integration
from tests.conftest import AT
from tests.consent.calls import a_key

LIST = "admin:consent_integration_changelist"
ADD = "admin:consent_integration_add"
FILLED = {"name": "shop", "scopes": ["consents:write", "status:read"]}
pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def administrator(signed_in):
    return signed_in(roles.ADMINISTRATOR)


def _key_on(page) -> str:
    [key] = re.findall(r"vk_[A-Za-z0-9_-]{43}", page.content.decode())
    return key


def test_an_administrator_gets_a_key_that_works(administrator, operators) -> None:
    page = administrator.post(reverse(ADD), FILLED)
    assert page.status_code == 200
    made = integrations.by_key(_key_on(page))
    assert (made.name, made.scopes, made.created_at) == ("shop", "consents:write status:read", AT)
    entry = Entry.objects.get(verb="integration.issued")
    assert entry.actor == f"operator:{operators(roles.ADMINISTRATOR).pk}"


def test_the_page_with_the_key_is_kept_by_no_cache(administrator) -> None:
    page = administrator.post(reverse(ADD), FILLED)
    assert "no-store" in page.headers["Cache-Control"]


def test_a_key_is_in_no_cookie_session_log_or_other_page(administrator, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    page = administrator.post(reverse(ADD), FILLED)
    key, made = _key_on(page), Integration.objects.get()
    assert page.content.decode().count(key[3:]) == 1
    assert key not in str(page.cookies) + str(page.headers) + caplog.text
    assert key not in str([session.get_decoded() for session in Session.objects.all()])
    detail = reverse("admin:consent_integration_change", args=[made.pk])
    for address in (reverse(LIST), detail, reverse(ADD), reverse("admin:index")):
        shown = administrator.get(address)
        assert shown.status_code == 200
        assert not {key, made.key_hash} & set(re.findall(r"[\w-]{40,}", shown.content.decode()))


def test_the_list_says_what_each_may_and_since_when(administrator) -> None:
    a_key("withdrawals:write", name="till")
    shown = administrator.get(reverse(LIST)).content.decode()
    assert "till" in shown
    assert "tell of opt-outs" in shown
    assert "Nov. 24, 2026" in shown
    assert "tell of opt-ins" not in shown


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"name": ""}, "name"),
        ({"name": "taken"}, "name"),
        ({"name": "till +1 212 555 0123"}, "name"),
    ],
)
def test_a_form_that_is_wrong_is_shown_again(administrator, told, field) -> None:
    a_key(name="taken")
    page = administrator.post(reverse(ADD), {**FILLED, **told})
    assert page.status_code == 200
    assert list(page.context["adminform"].form.errors) == [field]
    assert Integration.objects.count() == 1


def test_a_page_that_is_sent_again_makes_no_second_key(administrator) -> None:
    administrator.post(reverse(ADD), FILLED)
    again = administrator.post(reverse(ADD), FILLED)
    assert "vk_" not in again.content.decode()
    assert Integration.objects.count() == 1


def _revoke(browser, *integrations_: Integration):
    chosen = [integration.pk for integration in integrations_]
    told = {"action": "revoke_key", "_selected_action": chosen}
    return browser.post(reverse(LIST), told)


def test_a_key_that_is_revoked_opens_nothing(administrator) -> None:
    key, other = a_key(), a_key(name="till")
    assert _revoke(administrator, Integration.objects.get(name="shop")).status_code == 302
    assert integrations.by_key(key) is None
    assert integrations.by_key(other)
    assert Entry.objects.filter(verb="integration.revoked").count() == 1


def test_an_auditor_sees_and_changes_nothing(signed_in, db) -> None:
    key, auditor = a_key(), signed_in(roles.AUDITOR)
    shown = auditor.get(reverse(LIST))
    assert shown.status_code == 200
    assert "revoke_key" not in shown.content.decode()
    assert auditor.post(reverse(ADD), FILLED).status_code == 403
    _revoke(auditor, Integration.objects.get())
    assert integrations.by_key(key)


@pytest.mark.parametrize("role", sorted({*roles.ROLES} - {roles.ADMINISTRATOR, roles.AUDITOR}))
def test_nobody_else_sees_them(signed_in, role) -> None:
    key, browser = a_key(), signed_in(role)
    assert browser.get(reverse(LIST)).status_code == 403
    assert browser.get(reverse(ADD)).status_code == 403
    _revoke(browser, Integration.objects.get())
    assert integrations.by_key(key)
