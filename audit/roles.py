"""The roles, as one table: who may do what. Nobody may do anything that does not stand here."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.backends import ModelBackend

SUBSCRIBER_MANAGER = "Subscriber manager"
CAMPAIGN_AUTHOR = "Campaign author"
CAMPAIGN_APPROVER = "Campaign approver"
PRIVACY_OFFICER = "Privacy officer"
AUDITOR = "Auditor"
ADMINISTRATOR = "Administrator"


def _view(*models: str) -> set[str]:
    return {f"{app}.view_{model}" for app, model in (name.split(".") for name in models)}


SUBSCRIBERS = _view(
    "consent.subscriber",
    "consent.consent",
    "consent.suppression",
    "consent.purpose",
    "consent.notice",
    "consent.listimport",
    "consent.importrow",
    "consent.optoutrequest",
    "consent.stopscope",
    "campaigns.reply",
)
CAMPAIGNS = _view(
    "campaigns.campaign",
    "campaigns.approval",
    "campaigns.message",
    "campaigns.attempt",
    "campaigns.sender",
    "campaigns.ownrule",
    "consent.purpose",
    "consent.notice",
)
TRAIL = _view("audit.entry", "audit.checkpoint")
STAFF = _view("audit.operator")

ROLES: dict[str, frozenset[str]] = {
    SUBSCRIBER_MANAGER: frozenset(
        SUBSCRIBERS
        | {"consent.add_listimport", "consent.take_listimport", "consent.withdraw_subscriber"}
        | {"consent.add_consent", "consent.open_scan", "campaigns.judge_reply"}
        | {"consent.view_label", "consent.give_label"}
    ),
    CAMPAIGN_AUTHOR: frozenset(
        CAMPAIGNS
        | {"campaigns.add_campaign", "campaigns.change_campaign", "campaigns.check_campaign"}
    ),
    CAMPAIGN_APPROVER: frozenset(
        CAMPAIGNS
        | {f"campaigns.{act}_campaign" for act in ("approve", "launch", "halt")}
        | {"campaigns.judge_message", "campaigns.add_stop"}
    ),
    PRIVACY_OFFICER: frozenset(
        SUBSCRIBERS
        | TRAIL
        | {"consent.withdraw_subscriber", "consent.add_purpose", "consent.add_notice"}
        | {"consent.add_stopscope", "consent.open_scan", "campaigns.judge_reply"}
        | {"consent.erase_subscriber"}
        | {"campaigns.pack_dispute", "campaigns.override_campaign"}
        | {"campaigns.add_stop", "campaigns.lift_stop"}
        | _view("campaigns.campaign", "campaigns.message", "campaigns.attempt")
        | _view("campaigns.sender", "campaigns.ownrule")
    ),
    AUDITOR: frozenset(
        SUBSCRIBERS
        | CAMPAIGNS
        | TRAIL
        | STAFF
        | _view("campaigns.receipt", "consent.integration")
        | {"audit.verify_trail", "consent.open_scan", "campaigns.pack_dispute"}
    ),
    ADMINISTRATOR: frozenset(
        STAFF
        | _view("campaigns.sender", "consent.purpose", "consent.notice")
        | {"audit.add_operator", "audit.change_operator", "audit.reset_operator"}
        | {"campaigns.add_sender", "campaigns.verify_sender"}
        | {"campaigns.view_ownrule", "campaigns.add_ownrule", "campaigns.end_ownrule"}
        | {"campaigns.add_stop", "campaigns.lift_stop"}
        | {f"consent.{act}_integration" for act in ("view", "add", "revoke")}
    ),
}


def permissions_of(roles: Iterable[str]) -> set[str]:
    """Every permission that the named roles give together."""
    return set().union(*(ROLES.get(role, frozenset()) for role in roles))


class RoleBackend(ModelBackend):
    """Permissions come from the table above, never from rows that someone could add."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_role_permissions"):
            names = user_obj.groups.values_list("name", flat=True)
            user_obj._role_permissions = permissions_of(names)
        return set(user_obj._role_permissions)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set()

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return self.get_all_permissions(user_obj, obj)

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return perm in self.get_all_permissions(user_obj, obj)
