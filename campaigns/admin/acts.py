"""The buttons that take a campaign from draft to end: who may press them, and what they do."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from campaigns import dispatch
from campaigns.models import Campaign

Status = Campaign.Status


class Button:
    """A button on a campaign's page: a permission, a verb, and when it makes sense."""

    def __init__(
        self, label: Any, permission: str, verb: Callable[..., Any], done: Any, *when: str
    ) -> None:
        self.label = label
        self.permission = f"campaigns.{permission}_campaign"
        self.verb = verb
        self.done = done
        self.when = when

    def is_open_to(self, request: HttpRequest, campaign: Campaign) -> bool:
        return campaign.status in self.when and request.user.has_perm(self.permission)


def release(*, campaign: Campaign, by: Any, at: Any) -> None:
    """Launch now, or schedule a campaign whose start has not come."""
    if at < campaign.starts_at:
        dispatch.schedule(campaign=campaign, by=by, at=at)
    else:
        dispatch.launch(campaign=campaign, by=by, at=at)


ACTS = {
    "check": Button(
        _("Have it checked"), "check", dispatch.check, _("Nothing stands against it."), Status.DRAFT
    ),
    "approve": Button(
        _("Approve"), "approve", dispatch.approve, _("Approved as it stands now."), Status.CHECKED
    ),
    "launch": Button(
        _("Launch"), "launch", release, _("Launched, or scheduled for its start."), Status.APPROVED
    ),
    "pause": Button(
        _("Pause"), "halt", dispatch.pause, _("Paused. Nothing more leaves."), Status.SENDING
    ),
    "resume": Button(_("Resume"), "launch", dispatch.resume, _("Being sent again."), Status.PAUSED),
    "cancel": Button(
        _("Cancel"),
        "halt",
        dispatch.cancel,
        _("Cancelled for good."),
        Status.DRAFT,
        Status.CHECKED,
        Status.APPROVED,
        Status.SCHEDULED,
        Status.SENDING,
        Status.PAUSED,
    ),
}
STEPPED_UP = frozenset({"launch", "pause", "resume", "cancel"})  # these act at once
