"""Who may do what: the table of roles, and that nothing beside it gives anyone a right."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from audit import roles
from audit.models import Operator
from audit.roles import (
    ADMINISTRATOR,
    AUDITOR,
    CAMPAIGN_APPROVER,
    CAMPAIGN_AUTHOR,
    PRIVACY_OFFICER,
    ROLES,
    SUBSCRIBER_MANAGER,
    RoleBackend,
)

pytestmark = pytest.mark.django_db

OURS = ("audit", "consent", "campaigns")
Hold = Callable[..., Operator]

# Written out by hand, so that a slip in the table of roles is a slip in two places.
MAY = {
    "audit.add_operator": {ADMINISTRATOR},
    "audit.change_operator": {ADMINISTRATOR},
    "audit.reset_operator": {ADMINISTRATOR},
    "audit.verify_trail": {AUDITOR},
    "audit.view_entry": {AUDITOR, PRIVACY_OFFICER},
    "campaigns.add_campaign": {CAMPAIGN_AUTHOR},
    "campaigns.add_ownrule": {ADMINISTRATOR},
    "campaigns.add_sender": {ADMINISTRATOR},
    "campaigns.add_stop": {ADMINISTRATOR, PRIVACY_OFFICER, CAMPAIGN_APPROVER},
    "campaigns.approve_campaign": {CAMPAIGN_APPROVER},
    "campaigns.change_campaign": {CAMPAIGN_AUTHOR},
    "campaigns.check_campaign": {CAMPAIGN_AUTHOR},
    "campaigns.end_ownrule": {ADMINISTRATOR},
    "campaigns.halt_campaign": {CAMPAIGN_APPROVER},
    "campaigns.judge_message": {CAMPAIGN_APPROVER},
    "campaigns.judge_reply": {SUBSCRIBER_MANAGER, PRIVACY_OFFICER},
    "campaigns.launch_campaign": {CAMPAIGN_APPROVER},
    "campaigns.lift_stop": {ADMINISTRATOR, PRIVACY_OFFICER},
    "campaigns.override_campaign": {PRIVACY_OFFICER},
    "campaigns.pack_dispute": {PRIVACY_OFFICER, AUDITOR},
    "campaigns.verify_sender": {ADMINISTRATOR},
    "consent.add_consent": {SUBSCRIBER_MANAGER},
    "consent.add_integration": {ADMINISTRATOR},
    "consent.add_listimport": {SUBSCRIBER_MANAGER},
    "consent.add_notice": {PRIVACY_OFFICER},
    "consent.add_purpose": {PRIVACY_OFFICER},
    "consent.add_stopscope": {PRIVACY_OFFICER},
    "consent.erase_subscriber": {PRIVACY_OFFICER},
    "consent.give_label": {SUBSCRIBER_MANAGER},
    "consent.open_scan": {SUBSCRIBER_MANAGER, PRIVACY_OFFICER, AUDITOR},
    "consent.revoke_integration": {ADMINISTRATOR},
    "consent.take_listimport": {SUBSCRIBER_MANAGER},
    "consent.view_subscriber": {SUBSCRIBER_MANAGER, PRIVACY_OFFICER, AUDITOR},
    "consent.withdraw_subscriber": {SUBSCRIBER_MANAGER, PRIVACY_OFFICER},
}
SEES = {
    SUBSCRIBER_MANAGER: "subscriber suppression purpose notice listimport reply optoutrequest "
    "stopscope label",
    CAMPAIGN_AUTHOR: "campaign message sender ownrule purpose notice",
    CAMPAIGN_APPROVER: "campaign message sender ownrule purpose notice",
    PRIVACY_OFFICER: "subscriber suppression purpose notice listimport reply optoutrequest "
    "stopscope entry checkpoint campaign message sender ownrule",
    AUDITOR: "subscriber suppression purpose notice listimport reply optoutrequest stopscope "
    "campaign message sender ownrule receipt entry checkpoint operator integration",
    ADMINISTRATOR: "operator sender ownrule purpose notice integration",
}
# What the auditor may do besides looking changes nothing and stands in the trail.
EXAMINES = {"audit.verify_trail", "campaigns.pack_dispute", "consent.open_scan"}
every_role = pytest.mark.parametrize("role", ROLES)


def every_permission() -> Iterator[str]:
    for permission in Permission.objects.select_related("content_type").order_by("pk"):
        yield f"{permission.content_type.app_label}.{permission.codename}"


def pages() -> Iterator[Path]:
    """The sources of the back office's pages: `admin.py`, or a package of that name."""
    for app in OURS:
        for path in (settings.BASE_DIR / app).rglob("*.py"):
            if path.name == "admin.py" or path.parent.name == "admin":
                yield path


def asked_for() -> set[str]:
    """Every permission that the pages of our apps ask for by name."""
    text = r'"((?:audit|consent|campaigns)\.[a-z]+_[a-z]+)"'
    read = (path.read_text(encoding="utf-8") for path in pages())
    return {name for source in read for name in re.findall(rf"has_perm\(\s*{text}", source)}


def declared_by_actions(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "permissions":
            yield from ast.literal_eval(node.value)


# --- the table


@every_role
def test_a_role_gives_what_stands_in_the_table_and_nothing_else(role: str, operators: Hold) -> None:
    operator = operators(role)
    given = {name for name in every_permission() if operator.has_perm(name)}
    assert given == ROLES[role] == operator.get_all_permissions()


@every_role
def test_every_permission_in_the_table_exists(role: str) -> None:
    assert ROLES[role] <= set(every_permission())


@pytest.mark.parametrize("permission", MAY)
def test_a_permission_that_changes_things_is_held_by_these_roles(permission: str) -> None:
    assert {role for role in ROLES if permission in ROLES[role]} == MAY[permission]


def test_every_permission_that_changes_things_is_listed_here() -> None:
    given = set().union(*ROLES.values())
    assert {name for name in given if ".view_" not in name} <= set(MAY)


def test_every_permission_that_a_page_asks_for_is_given_to_someone() -> None:
    assert {"audit.verify_trail", "consent.withdraw_subscriber"} <= asked_for()
    assert asked_for() <= set().union(*ROLES.values())


def test_every_permission_that_an_action_declares_is_asked_for_by_its_page() -> None:
    declared = {(page, name) for page in pages() for name in declared_by_actions(page)}
    assert {"reset", "verify"} <= {name for _page, name in declared}
    for page, name in declared:
        assert f"has_{name}_permission" in page.read_text(encoding="utf-8")


def test_nobody_who_writes_campaigns_may_approve_them_by_the_same_role() -> None:
    for given in ROLES.values():
        assert not {"campaigns.change_campaign", "campaigns.approve_campaign"} <= given


def test_the_administrator_sees_no_person_and_no_message() -> None:
    for word in ("subscriber", "consent.view_consent", "suppression", "message", "reply", "row"):
        assert not [name for name in ROLES[ADMINISTRATOR] if word in name]


def test_the_auditor_changes_nothing() -> None:
    changing = {name for name in ROLES[AUDITOR] if ".view_" not in name}
    assert changing == EXAMINES


def test_roles_add_up(operators: Hold) -> None:
    operator = operators(CAMPAIGN_AUTHOR)
    operator.groups.add(Group.objects.get(name=AUDITOR))
    operator = Operator.objects.get(pk=operator.pk)
    assert operator.get_all_permissions() == ROLES[CAMPAIGN_AUTHOR] | ROLES[AUDITOR]


def test_every_role_has_its_group() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)


# --- what gives nothing


def test_a_permission_of_ones_own_gives_nothing(operators: Hold) -> None:
    operator = operators(CAMPAIGN_AUTHOR)
    operator.user_permissions.set(Permission.objects.all())
    operator = Operator.objects.get(pk=operator.pk)
    assert operator.get_all_permissions() == ROLES[CAMPAIGN_AUTHOR]
    assert not operator.get_user_permissions()


def test_permissions_added_to_a_group_give_nothing(operators: Hold) -> None:
    operator = operators(CAMPAIGN_AUTHOR)
    operator.groups.get().permissions.set(Permission.objects.all())
    assert operator.get_group_permissions() == ROLES[CAMPAIGN_AUTHOR]
    assert not operator.has_perm("campaigns.approve_campaign")


def test_a_group_that_is_no_role_gives_nothing(operators: Hold) -> None:
    operator = operators(CAMPAIGN_AUTHOR)
    rogue = Group.objects.create(name="Owner")
    rogue.permissions.set(Permission.objects.all())
    operator.groups.set([rogue])
    assert Operator.objects.get(pk=operator.pk).get_all_permissions() == set()
    assert not operator.has_module_perms("consent")


@every_role
def test_an_inactive_operator_may_do_nothing(role: str, operators: Hold) -> None:
    operator = operators(role)
    Operator.objects.filter(pk=operator.pk).update(is_active=False)
    operator = Operator.objects.get(pk=operator.pk)
    assert not [name for name in every_permission() if operator.has_perm(name)]


def test_nobody_signed_in_may_do_nothing() -> None:
    assert RoleBackend().get_all_permissions(AnonymousUser()) == set()


def test_a_permission_is_for_a_kind_of_thing_and_never_for_one_of_them(operators: Hold) -> None:
    operator = operators(ADMINISTRATOR)
    assert not operator.has_perm("audit.change_operator", operator)


def test_the_table_is_the_only_source_of_permissions() -> None:
    assert settings.AUTHENTICATION_BACKENDS == ["audit.roles.RoleBackend"]


# --- nobody stands above the roles


def test_no_superuser_can_be_made_or_become_one(operators: Hold) -> None:
    for attempt in (
        lambda: Operator.objects.create(username="root", is_superuser=True),
        lambda: Operator.objects.filter(pk=operators(ADMINISTRATOR).pk).update(is_superuser=True),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            attempt()


def test_the_stock_command_makes_no_superuser() -> None:
    with pytest.raises(AttributeError, match="create_superuser"):
        call_command("createsuperuser", interactive=False, username="root")
    assert not Operator.objects.exists()


@pytest.mark.parametrize("page", admin.site._registry.values(), ids=str)
def test_no_page_would_delete_even_for_someone_who_may_do_everything(
    page: admin.ModelAdmin, rf: RequestFactory
) -> None:
    request = rf.get("/")
    request.user = SimpleNamespace(has_perm=lambda *_asked: True)  # type: ignore[assignment]
    assert not page.has_delete_permission(request)
    assert "delete_selected" not in page.get_actions(request)


# --- what each role finds on the first page


@every_role
def test_each_role_sees_exactly_its_entries_of_the_index(
    role: str, signed_in: Callable[..., Client]
) -> None:
    page = signed_in(role).get(reverse("admin:index"))
    seen = [m["model"]._meta.model_name for app in page.context["app_list"] for m in app["models"]]
    assert sorted(seen) == sorted(SEES[role].split())


@every_role
def test_each_role_opens_its_lists_and_is_refused_at_every_other(
    role: str, signed_in: Callable[..., Client]
) -> None:
    browser, opened = signed_in(role), set()
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        answer = browser.get(address)
        assert answer.status_code in (200, 403), address
        if answer.status_code == 200:
            opened.add(model._meta.model_name)
    rows = {"importrow"} if "listimport" in opened else set()  # reached from a list's report
    assert opened == set(SEES[role].split()) | rows


@pytest.mark.parametrize(
    ("table", "role"),
    [
        (roles.SUBSCRIBERS, SUBSCRIBER_MANAGER),
        (roles.CAMPAIGNS, CAMPAIGN_AUTHOR),
        (roles.TRAIL, PRIVACY_OFFICER),
        (roles.STAFF, ADMINISTRATOR),
    ],
)
def test_a_table_of_views_has_a_page_for_each_list_or_stands_within_another(
    table: set[str], role: str
) -> None:
    shown_within = {"consent", "importrow", "approval", "attempt"}
    named = {name.partition(".view_")[2] for name in table}
    assert named - shown_within <= set(SEES[role].split())
    assert {name for name in table if ".view_" not in name} == set()
