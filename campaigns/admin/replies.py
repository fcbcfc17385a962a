"""The pages of replies, with the queue of those that may have been a STOP."""

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
from campaigns import conversation
from campaigns.models import Reply


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
