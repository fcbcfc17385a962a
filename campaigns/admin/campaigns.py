"""The pages of campaigns, with the buttons that take them from draft to end."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from campaigns import dispatch
from campaigns.dispatch import StepRefused
from campaigns.models import Campaign, Message
from campaigns.text import measure
from consent.models import Consent

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


LAST_YEAR = 2199


class CampaignForm(forms.ModelForm):
    class Meta:
        model = Campaign
        fields = ["name", "purpose", "sender", "text", "starts_at", "deadline"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        starts_at, deadline = cleaned.get("starts_at"), cleaned.get("deadline")
        if starts_at and deadline and deadline <= starts_at:
            self.add_error("deadline", _("The deadline must be after the start."))
        if deadline and deadline.year > LAST_YEAR:
            self.add_error("deadline", _("The deadline lies too far ahead."))
        return cleaned


@admin.register(Campaign)
class CampaignAdmin(ReadOnly):
    form = CampaignForm
    list_display = ["name", "purpose", "status", "starts_at", "author", "sent"]
    list_filter = ["status", "purpose"]
    ordering = ["-id"]
    change_form_template = "admin/campaigns/campaign/change_form.html"
    shown = ["status", "written_by", "approved_by", "billed_as"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_campaign")

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        editable = obj is None or obj.status in Campaign.EDITABLE
        return editable and request.user.has_perm("campaigns.change_campaign")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*CampaignForm.Meta.fields, *(self.shown if obj else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.shown if obj else []

    @admin.display(description=_("written by"))
    def written_by(self, campaign: Campaign) -> str:
        """As text: not everyone who sees a campaign may see the page of an operator."""
        return str(campaign.author)

    @admin.display(description=_("approved by"))
    def approved_by(self, campaign: Campaign) -> str:
        approval = campaign.standing_approval
        return str(approval.by) if approval else "–"

    @admin.display(description=_("billed as, before names are filled in"))
    def billed_as(self, campaign: Campaign) -> str:
        size = measure(campaign.text)
        segments = ngettext("%d segment", "%d segments", size.segments) % size.segments
        return f"{segments} ({size.encoding}, {size.units} units)"

    def get_queryset(self, request: HttpRequest) -> Any:
        handed_over = Q(messages__status__in=Message.MAY_HAVE_ARRIVED)
        campaigns = super().get_queryset(request).select_related("purpose", "author")
        return campaigns.annotate(
            enrolled=Count("messages"), handed_over=Count("messages", filter=handed_over)
        )

    @admin.display(description=_("handed over"))
    def sent(self, campaign: Any) -> str:
        return f"{campaign.handed_over} / {campaign.enrolled}" if campaign.enrolled else "–"

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        if change:
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            dispatch.edit(campaign=obj, by=by, at=at, **changes)
        else:
            obj.pk = dispatch.draft(**form.cleaned_data, by=by, at=at).pk

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act)
        return [
            path("<int:pk>/act/<slug:name>/", act, name="campaigns_campaign_act"),
            *super().get_urls(),
        ]

    def act(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """One press of a button: the verb decides, the page tells."""
        campaign, act = self.get_object(request, str(pk)), ACTS.get(name)
        if campaign is None or act is None or not request.user.has_perm(act.permission):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        backoffice.attempt(
            self,
            request,
            lambda: act.verb(campaign=campaign, by=backoffice.acting(request), at=clock.now()),
            done=act.done,
            refusals=StepRefused,
        )
        return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        campaign = self.get_object(request, object_id)
        context = extra_context or {}
        if campaign is not None:
            context = {**context, **_facts(campaign), "acts": _open_acts(request, campaign)}
        return super().change_view(request, object_id, form_url, context)


def _open_acts(request: HttpRequest, campaign: Campaign) -> list[tuple[str, Any]]:
    return [(name, act.label) for name, act in ACTS.items() if act.is_open_to(request, campaign)]


def _facts(campaign: Campaign) -> dict[str, Any]:
    """Counts by status and by reason; before the launch, how many may be messaged now."""
    named = dict(Message.Status.choices)
    counts = [(named[status], count) for status, count in campaign.counts().items()]
    reasons = campaign.messages.exclude(reason="").values_list("reason").annotate(count=Count("pk"))
    allowed = Consent.objects.permitting(clock.now()).filter(purpose=campaign.purpose)
    return {
        "counts": counts,
        "total": sum(count for _name, count in counts),
        "reasons": reasons.order_by("-count"),
        "audience": None if campaign.launched_at else allowed.count(),
    }
