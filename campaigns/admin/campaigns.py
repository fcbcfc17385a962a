"""The pages of campaigns: writing one, what is found in it, a dry run, and how it gets on."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import patch_cache_control
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from campaigns import audience, dispatch, emergency, preflight, watch
from campaigns.admin.acts import ACTS, STEPPED_UP
from campaigns.admin.writing import FILTERS, TEXT_IN, AudienceForm, CampaignForm
from campaigns.audience import Audience
from campaigns.dispatch import StepRefused
from campaigns.models import Campaign, Message
from campaigns.text import measure
from consent.models import Purpose

Status = Campaign.Status


LIVE = frozenset({Status.SCHEDULED, Status.SENDING, Status.PAUSED})
WRITTEN = [
    (None, {"fields": ["name", "purpose", "sender", "text"]}),
    (
        _("The text in other languages"),
        {
            "fields": [*TEXT_IN],
            "classes": ["collapse"],
            "description": _("Whoever speaks none of these gets the first text."),
        },
    ),
    (
        _("Only to some of the people"),
        {
            "fields": [*FILTERS, "trial"],
            "classes": ["collapse"],
            "description": _("Without a filter it is for everyone who agreed to the purpose."),
        },
    ),
    (_("When, and up to what cost"), {"fields": ["starts_at", "deadline", "segment_limit"]}),
]
READ = [
    (None, {"fields": ["name", "purpose", "sender", "texts", "for_whom"]}),
    (_("When, and up to what cost"), {"fields": ["starts_at", "deadline", "segment_limit"]}),
]


@admin.register(Campaign)
class CampaignAdmin(ReadOnly):
    form = CampaignForm
    list_display = ["name", "purpose", "status", "starts_at", "author", "sent"]
    list_filter = ["status", "purpose"]
    ordering = ["-id"]
    change_form_template = "admin/campaigns/campaign/change_form.html"
    shown = ["written_by", "approved_by", "counted", "billed_as"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_campaign")

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        editable = obj is None or obj.status in Campaign.EDITABLE
        return editable and request.user.has_perm("campaigns.change_campaign")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not (self.has_change_permission(request, obj) if obj else True):
            return [*READ, (_("Who, and how many"), {"fields": self.shown})]
        stands = [(_("Who, and how many"), {"fields": self.shown})] if obj else []
        return [*WRITTEN, *stands]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.shown if obj else []

    @admin.display(description=_("text"))
    def texts(self, campaign: Campaign) -> str:
        """Every version, the first before its translations."""
        named = [("", campaign.text), *sorted(campaign.translations.items())]
        rows = ((code.upper(), text) for code, text in named)
        return format_html_join("", '<p class="text"><b>{}</b> {}</p>', rows)

    @admin.display(description=_("for whom"))
    def for_whom(self, campaign: Campaign) -> str:
        trial = [_("A trial: only people with the label “guests”.")] if campaign.trial else []
        told = [*trial, *Audience.of(campaign.audience).in_words()]
        return format_html_join("", "<p>{}</p>", ((line,) for line in told or [_("everyone")]))

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
            dispatch.edit(campaign=obj, by=by, at=at, **form.changed())
        else:
            obj.pk = dispatch.draft(**form.told(), by=by, at=at).pk

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("<int:pk>/act/<slug:name>/", own(self.act), name="campaigns_campaign_act"),
            path("<int:pk>/dry-run/", own(self.dry_run), name="campaigns_campaign_dry_run"),
            path("<int:pk>/clone/", own(self.clone), name="campaigns_campaign_clone"),
            path("<int:pk>/override/", own(self.override), name="campaigns_campaign_override"),
            path("<int:pk>/standing/", own(self.standing), name="campaigns_campaign_standing"),
            path("count/", own(self.count), name="campaigns_campaign_count"),
            *super().get_urls(),
        ]

    def act(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """One press of a button: the verb decides, the page tells."""
        campaign, act = self.get_object(request, str(pk)), ACTS.get(name)
        if campaign is None or act is None or not request.user.has_perm(act.permission):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if name in STEPPED_UP and (asked := backoffice.ask_code(self, request, title=act.label)):
            return asked
        backoffice.attempt(
            self,
            request,
            lambda: act.verb(campaign=campaign, by=backoffice.acting(request), at=clock.now()),
            done=act.done,
            refusals=StepRefused,
        )
        return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[pk]))

    def dry_run(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What would become of everyone if the campaign were launched now."""
        campaign = self._seen(request, pk)
        try:
            foreseen = dispatch.dry_run(campaign=campaign, at=clock.now())
        except StepRefused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[pk]))
        segments = max(measure(text).segments for text in campaign.texts)
        frame = {**self.admin_site.each_context(request), "opts": self.opts}
        facts = {"campaign": campaign, "foreseen": foreseen, "segments": segments}
        facts["stops"] = emergency.standing()
        context = {**frame, **facts, "in_all": segments * foreseen.messaged}
        template = "admin/campaigns/campaign/dry_run.html"
        return TemplateResponse(request, template, {**context, "title": _("Dry run")})

    def clone(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A new draft from this campaign, for whoever asks for it to write on."""
        campaign = self._seen(request, pk)
        if not self.has_add_permission(request):
            raise PermissionDenied
        copy = dispatch.clone(campaign=campaign, by=backoffice.acting(request), at=clock.now())
        self.message_user(request, _("This is the copy. Look at its name, its dates and its text."))
        return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[copy.pk]))

    def standing(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of a campaign's page that changes while it is being sent."""
        campaign = self.get_object(request, str(pk))
        if campaign is None or not self.has_view_permission(request, campaign):
            raise PermissionDenied
        template = "admin/campaigns/campaign/standing.html"
        answer = render(request, template, _standing(request, campaign))
        patch_cache_control(answer, no_store=True)
        return answer

    def override(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A privacy officer's word, with a reason, that a finding from a list of words is none."""
        campaign = self._seen(request, pk)
        if not request.user.has_perm("campaigns.override_campaign"):
            raise PermissionDenied
        reason, code = request.POST.get("reason", "").strip()[:500], request.POST.get("code", "")
        by, at = backoffice.acting(request), clock.now()
        if not reason:
            self.message_user(request, _("Say why; it stands in the trail."), messages.ERROR)
        else:
            backoffice.attempt(
                self,
                request,
                lambda: dispatch.override(
                    campaign=campaign, code=code, reason=reason, by=by, at=at
                ),
                done=str(_("Your word is on record; it holds for this text only.")),
                refusals=StepRefused,
            )
        return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[pk]))

    def _seen(self, request: HttpRequest, pk: int) -> Campaign:
        """The campaign of a page that is asked for by POST and open to whoever may see it."""
        campaign: Campaign | None = self.get_object(request, str(pk))
        may_see = campaign is not None and self.has_view_permission(request, campaign)
        if campaign is None or not may_see or request.method != "POST":
            raise PermissionDenied
        return campaign

    def count(self, request: HttpRequest) -> HttpResponse:
        """How many people the filters in the form let pass, while it is being filled in."""
        if request.method != "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        filters, purpose = AudienceForm(request.POST), request.POST.get("purpose", "")
        if not filters.is_valid() or not purpose.isdecimal():
            return JsonResponse({"people": None})
        wanted = Campaign(
            purpose=Purpose.objects.filter(pk=purpose).first(),
            audience=filters.audience().as_json(),
            trial="trial" in request.POST,
        )
        if wanted.purpose_id is None:
            return JsonResponse({"people": None})
        return JsonResponse({"people": audience.permitted(wanted, clock.now()).count()})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        campaign = self.get_object(request, object_id)
        context = extra_context or {}
        if campaign is not None:
            may = {
                "may_clone": self.has_add_permission(request),
                "may_override": request.user.has_perm("campaigns.override_campaign"),
            }
            context = {**context, **may, **_standing(request, campaign)}
            context["remarks"] = (
                preflight.remarks(campaign) if campaign.status in Campaign.EDITABLE else []
            )
            context["all_acts"] = [
                name for name, act in ACTS.items() if request.user.has_perm(act.permission)
            ]
        return super().change_view(request, object_id, form_url, context)


def _standing(request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
    """Where a campaign stands, and what may be done about it."""
    return {
        "campaign": campaign,
        "live": campaign.status in LIVE,
        "pace": watch.pace(campaign, clock.now()),
        "stops": emergency.standing(),
        "acts": _open_acts(request, campaign),
        **_facts(campaign),
    }


def _open_acts(request: HttpRequest, campaign: Campaign) -> list[tuple[str, Any]]:
    return [(name, act.label) for name, act in ACTS.items() if act.is_open_to(request, campaign)]


def _facts(campaign: Campaign) -> dict[str, Any]:
    """Counts by status and by reason; before the launch, how many may be messaged now."""
    named = dict(Message.Status.choices)
    counts = [(named[status], count) for status, count in campaign.counts().items()]
    reasons = campaign.messages.exclude(reason="").values_list("reason").annotate(count=Count("pk"))
    allowed = audience.permitted(campaign, clock.now())
    return {
        "counts": counts,
        "total": sum(count for _name, count in counts),
        "reasons": reasons.order_by("-count"),
        "audience": None if campaign.launched_at else allowed.count(),
    }
