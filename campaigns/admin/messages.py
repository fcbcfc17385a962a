"""The pages of messages and of what the provider told of them."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from campaigns import decisions, delivery
from campaigns.models import Attempt, Message, Receipt


class AttemptInline(admin.TabularInline):
    model = Attempt
    fields = ["number", "at", "outcome", "provider_id", "code", "allowed_by"]
    readonly_fields = ["allowed_by"]
    extra = 0
    can_delete = False

    @admin.display(description=_("what allowed it"))
    def allowed_by(self, attempt: Attempt) -> str:
        return " ".join(decisions.at_the_fence(attempt.found))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class JudgeForm(forms.Form):
    """An operator's word on what became of a message."""

    arrived = forms.ChoiceField(
        choices=[("yes", _("It was sent.")), ("no", _("It was not sent."))],
        widget=forms.RadioSelect,
        label=_("What became of it?"),
    )
    note = forms.CharField(
        max_length=500, label=_("How you know"), widget=forms.Textarea(attrs={"rows": 3})
    )


@admin.register(Message)
class MessageAdmin(ReadOnly):
    change_form_template = "admin/campaigns/message/change_form.html"
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
        "stopped_by",
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
        return decisions.at_launch(message.opening.decision)

    @admin.display(description=_("what stopped it"))
    def stopped_by(self, message: Message) -> str:
        return " ".join(decisions.at_the_fence(message.stopped)) if message.stopped else "–"

    def get_urls(self) -> list[URLPattern]:
        judge = self.admin_site.admin_view(self.judge)
        return [path("<int:pk>/judge/", judge, name="campaigns_message_judge"), *super().get_urls()]

    def judge(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say what became of a message that nobody can tell of; it is never sent again."""
        message: Message | None = self.get_object(request, str(pk))
        if message is None or not request.user.has_perm("campaigns.judge_message"):
            raise PermissionDenied
        form = JudgeForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            arrived, note = form.cleaned_data["arrived"] == "yes", form.cleaned_data["note"]
            by, at = backoffice.acting(request), clock.now()
            backoffice.attempt(
                self,
                request,
                lambda: delivery.judge(message=message, arrived=arrived, note=note, by=by, at=at),
                done=str(_("Your word is on record.")),
                refusals=delivery.NotUnknown,
            )
            unknown = reverse("admin:campaigns_message_changelist")
            return HttpResponseRedirect(f"{unknown}?status__exact=unknown")
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "original": message}
        context = {**frame, "form": form, "title": _("What became of it?")}
        return TemplateResponse(request, "admin/campaigns/message/judge.html", context)


@admin.register(Receipt)
class ReceiptAdmin(ReadOnly):
    list_display = ["received_at", "status", "code", "read_at"]
    list_filter = ["status"]
    ordering = ["-id"]
