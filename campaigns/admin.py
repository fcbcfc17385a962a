"""The pages of campaigns, messages, replies and senders."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from audit.proofs import NotAsSealed
from campaigns import conversation, dispatch, dispute, erasure, senders, timeline
from campaigns.dispatch import StepRefused
from campaigns.models import Attempt, Campaign, Message, Receipt, Reply, Sender
from campaigns.text import measure
from campaigns.timeline import Event
from config.encryption.ring import CannotDecrypt
from consent.admin.people import SubscriberAdmin
from consent.models import Consent, Subscriber

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


class AttemptInline(admin.TabularInline):
    model = Attempt
    fields = ["number", "at", "outcome", "provider_id", "code", "decision"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(ReadOnly):
    list_display = ["id", "campaign", "subscriber", "status", "reason", "due_at", "fenced_at"]
    list_filter = ["status", "campaign"]
    ordering = ["-id"]
    list_select_related = ["campaign", "subscriber"]
    fields = [
        "campaign",
        "subscriber",
        "consent",
        "status",
        "reason",
        "rules_at_launch",
        "due_at",
        "not_after",
        "tries",
        "fenced_at",
        "settled_at",
    ]
    inlines = [AttemptInline]

    @admin.display(description=_("what the quiet hours said at launch"))
    def rules_at_launch(self, message: Message) -> str:
        if message.opening is None:
            return "–"
        decision = message.opening.decision
        said = " ".join(decision["reasons"]) or _("Open everywhere the person may be.")
        return f"{said} ({', '.join(decision['rules'])}; {', '.join(decision['zones'])})"


class JudgeForm(forms.Form):
    """An operator's word on a reply that may have been a STOP."""

    verdict = forms.ChoiceField(
        choices=[
            ("keep", _("It was a STOP: the refusal stands.")),
            ("undo", _("It was none: give back what it took.")),
        ],
        widget=forms.RadioSelect,
        label=_("What did the person mean?"),
    )
    note = forms.CharField(max_length=500, label=_("Why"), widget=forms.Textarea(attrs={"rows": 3}))


class Unjudged(admin.SimpleListFilter):
    """The review queue: what may have been a STOP and waits for a word."""

    title = _("review")
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("may have been a STOP: to be judged"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.unjudged() if self.value() == "waiting" else queryset


@admin.register(Reply)
class ReplyAdmin(ReadOnly):
    list_display = ["received_at", "masked_number", "intent", "verdict", "sender"]
    list_select_related = ["sender"]  # nullable, so Django would not join it by itself
    list_filter = [Unjudged, "intent"]
    fields = [
        *("received_at", "masked_number", "text", "language", "intent", "reason", "sender"),
        *("verdict", "judged_by", "judged_at"),
    ]
    ordering = ["-received_at"]
    change_form_template = "admin/campaigns/reply/change_form.html"

    @admin.display(description=_("number"))
    def masked_number(self, reply: Reply) -> str:
        return reply.masked_number

    def get_urls(self) -> list[URLPattern]:
        judge = self.admin_site.admin_view(self.judge)
        return [path("<uuid:pk>/judge/", judge, name="campaigns_reply_judge"), *super().get_urls()]

    def judge(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Keep or undo what a reply took that may have been a STOP, with a reason."""
        reply: Reply | None = self.get_object(request, str(pk))
        if reply is None or not request.user.has_perm("campaigns.judge_reply"):
            raise PermissionDenied
        form = JudgeForm(request.POST or None)
        if form.is_valid():
            verb = {"keep": conversation.keep, "undo": conversation.undo}
            judge, by = verb[form.cleaned_data["verdict"]], backoffice.acting(request)
            note, at = form.cleaned_data["note"], clock.now()
            backoffice.attempt(
                self,
                request,
                lambda: judge(reply=reply, note=note, by=by, at=at),
                done=str(_("Your word is on record.")),
                refusals=conversation.ReviewRefused,
            )
            waiting = reverse("admin:campaigns_reply_changelist")
            return HttpResponseRedirect(f"{waiting}?review=waiting")
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "reply": reply}
        context = {**frame, "form": form, "title": _("Was this a STOP?")}
        return TemplateResponse(request, "admin/campaigns/reply/judge.html", context)


@admin.register(Sender)
class SenderAdmin(ReadOnly):
    list_display = ["address", "gateway", "countries", "used_for", "verified_at"]
    fields = ["address", "gateway", "countries", "purposes"]
    actions = ["verify", "retire"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_sender")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("purposes")

    @admin.display(description=_("used for"))
    def used_for(self, sender: Sender) -> str:
        return ", ".join(purpose.name for purpose in sender.purposes.all()) or "–"

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The verb has written what the sender is used for."""

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.verify_sender")

    def save_model(self, request: HttpRequest, obj: Sender, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        obj.pk = senders.register(**form.cleaned_data, by=by, at=at).pk

    @admin.action(permissions=["verify"], description=_("The provider has it registered for us"))
    def verify(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        for sender in queryset:
            senders.verify(sender=sender, by=backoffice.acting(request), at=clock.now())

    @admin.action(permissions=["verify"], description=_("Use it no more"))
    def retire(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        for sender in queryset:
            senders.retire(sender=sender, by=backoffice.acting(request), at=clock.now())


@admin.register(Receipt)
class ReceiptAdmin(ReadOnly):
    list_display = ["received_at", "status", "code", "read_at"]
    list_filter = ["status"]
    ordering = ["-id"]


LATEST = 200  # events of a person that are shown before all are asked for


admin.site.unregister(Subscriber)


@admin.register(Subscriber)
class PersonAdmin(SubscriberAdmin):
    """A person's page, with everything that happened and the dispute pack."""

    def get_urls(self) -> list[URLPattern]:
        pack = self.admin_site.admin_view(self.pack)
        erase = self.admin_site.admin_view(self.erase)
        return [
            path("<uuid:pk>/dispute-pack/", pack, name="consent_subscriber_pack"),
            path("<uuid:pk>/erase/", erase, name="consent_subscriber_erase"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        person, context = self.get_object(request, object_id), extra_context or {}
        if person is not None and self.has_view_permission(request, person):
            context = {**context, **_what_happened(request, person)}
        return super().change_view(request, object_id, form_url, context)

    def pack(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Make the dispute pack, and answer it as a download that no cache keeps."""
        person: Subscriber | None = self.get_object(request, str(pk))
        if person is None or not request.user.has_perm("campaigns.pack_dispute"):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        made: list[bytes] = []
        by, at = backoffice.acting(request), clock.now()
        if not backoffice.attempt(
            self,
            request,
            lambda: made.append(dispute.pack(person, by=by, at=at)),
            done=str(_("The dispute pack is made; that it was stands in the trail.")),
            refusals=(NotAsSealed, CannotDecrypt),
        ):
            return HttpResponseRedirect(reverse("admin:consent_subscriber_change", args=[pk]))
        answer = HttpResponse(made[0], content_type="application/zip")
        answer["Content-Disposition"] = f'attachment; filename="{dispute.file_name(person)}"'
        answer["Cache-Control"] = "no-store"
        return answer

    def erase(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Ask once more, then forget who this person is."""
        person: Subscriber | None = self.get_object(request, str(pk))
        if person is None or not request.user.has_perm("consent.erase_subscriber"):
            raise PermissionDenied
        if request.method == "POST":
            erasure.erase(person=person, by=backoffice.acting(request), at=clock.now())
            self.message_user(request, _("This person is erased. Nobody can write to them again."))
            return HttpResponseRedirect(reverse("admin:consent_subscriber_change", args=[pk]))
        return self._page(request, "erase.html", person=person, title=_("Erase this person"))


def _what_happened(request: HttpRequest, person: Subscriber) -> dict[str, Any]:
    """The newest events of a person, or all; what they wrote only for those who may read it."""
    events = timeline.of(person, with_texts=request.user.has_perm("campaigns.view_reply"))[::-1]
    shown = events if "all" in request.GET else events[:LATEST]
    return {
        "events": [(event, _address(request, event)) for event in shown],
        "count_of_events": len(events),
    }


def _address(request: HttpRequest, event: Event) -> str:
    """Where more stands about an event, for those who may see that page."""
    if event.target is None:
        return ""
    name, arguments = event.target
    app, model, _change = name.removeprefix("admin:").split("_")
    return reverse(name, args=arguments) if request.user.has_perm(f"{app}.view_{model}") else ""
