"""The pages of opt-outs that were told to staff, with what is overdue."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from audit.models import Operator
from consent import numbers, opt_outs
from consent.admin.people import NeverShownAgain
from consent.models import OptOutRequest, StopScope
from consent.numbers import NumberRefused


class NumberField(forms.Form):
    """A telephone number as somebody told it; never shown again by the page that answers."""

    country = forms.CharField(max_length=2, initial="US", label=_("Country of a number without +"))
    number = forms.CharField(
        max_length=100, required=False, label=_("Number"), widget=NeverShownAgain
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.parsed = None
        if cleaned.get("number"):
            try:
                country = cleaned.get("country", "US").upper()
                self.parsed = numbers.parse(cleaned["number"], country=country)
            except NumberRefused as refusal:
                self.add_error("number", str(refusal))
        return cleaned


class OptOutForm(NumberField, forms.ModelForm):
    """An opt-out as it reached a clerk."""

    note = forms.CharField(
        max_length=500,
        label=_("What the person said"),
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    class Meta:
        model = OptOutRequest
        fields = ["channel", "received_at", "purpose"]
        help_texts = {"purpose": _("Leave it empty to stop everything.")}

    field_order = ["channel", "received_at", "country", "number", "purpose", "note"]

    def clean_received_at(self) -> datetime:
        received_at: datetime = self.cleaned_data["received_at"]
        if received_at > clock.now():
            raise forms.ValidationError(_("It cannot have been received in the future."))
        return received_at


class ScopeForm(forms.ModelForm):
    """From when on a STOP is answered how."""

    class Meta:
        model = StopScope
        fields = ["scope", "effective_from"]

    def clean_effective_from(self) -> datetime:
        effective_from: datetime = self.cleaned_data["effective_from"]
        if effective_from < clock.now():
            raise forms.ValidationError(opt_outs.PAST)
        return effective_from


class HonourForm(NumberField):
    """The number that an opt-out turned out to be about."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["number"].required = True


class Standing(SimpleListFilter):
    """Waiting for a number, overdue, or honoured."""

    title = _("where it stands")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("overdue", _("overdue")),
            ("waiting", _("waiting for its number")),
            ("honoured", _("in effect")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[OptOutRequest]:
        if self.value() == "overdue":
            return queryset.overdue(clock.now())  # type: ignore[no-any-return]
        if self.value() == "waiting":
            return queryset.waiting()  # type: ignore[no-any-return]
        if self.value() == "honoured":
            return queryset.exclude(honoured_at=None)  # type: ignore[no-any-return]
        return queryset  # type: ignore[no-any-return]


@admin.register(OptOutRequest)
class OptOutRequestAdmin(ReadOnly):
    form = OptOutForm
    list_display = ["received_at", "channel", "purpose", "due_by", "standing"]
    list_select_related = ["purpose"]
    list_filter = [Standing, "channel"]
    ordering = [F("honoured_at").asc(nulls_first=True), "due_by"]
    change_form_template = "admin/consent/optoutrequest/change_form.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.withdraw_subscriber")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["channel", "received_at", "country", "number", "purpose", "note"]
        told = ["channel", "received_at", "purpose", "note", "recorded_by", "recorded_at"]
        return [*told, "due_by", "standing"]

    @admin.display(description=_("where it stands"))
    def standing(self, request: OptOutRequest) -> str:
        if request.honoured_at is None:
            late = request.due_by < clock.now()
            return str(_("OVERDUE: no number yet") if late else _("waits for its number"))
        return str(_("in effect, but late") if request.was_late else _("in effect"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        told = form.cleaned_data
        kept = opt_outs.record(
            channel=OptOutRequest.Channel(told["channel"]),
            received_at=told["received_at"],
            note=told["note"],
            number=form.parsed,
            purpose=told["purpose"],
            by=backoffice.acting(request),
            at=clock.now(),
        )
        obj.pk = kept.pk
        if form.parsed is None:
            said = _("No number was given, so nothing is stopped yet. Find it out before %s.")
            self.message_user(request, said % f"{kept.due_by:%d %B %Y}", messages.WARNING)

    def get_urls(self) -> list[URLPattern]:
        honour = self.admin_site.admin_view(self.honour)
        name = "consent_optoutrequest_honour"
        return [path("<uuid:pk>/honour/", honour, name=name), *super().get_urls()]

    def honour(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Ask for the number that was missing, and put the opt-out into effect."""
        told: OptOutRequest | None = self.get_object(request, str(pk))
        if told is None or not request.user.has_perm("consent.withdraw_subscriber"):
            raise PermissionDenied
        form = HonourForm(request.POST or None)
        if form.is_valid() and form.parsed:
            number, by, at = form.parsed, backoffice.acting(request), clock.now()
            backoffice.attempt(
                self,
                request,
                lambda: opt_outs.honour(request=told, number=number, by=by, at=at),
                done=str(_("The opt-out is in effect, from now on.")),
                refusals=opt_outs.AlreadyHonoured,
            )
            return HttpResponseRedirect(reverse("admin:consent_optoutrequest_change", args=[pk]))
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "original": told}
        context = {**frame, "form": form, "title": _("Put the opt-out into effect")}
        return TemplateResponse(request, "admin/consent/optoutrequest/honour.html", context)


@admin.register(StopScope)
class StopScopeAdmin(ReadOnly):
    """From which day on a STOP is answered with a question; it stops everything in any case."""

    form = ScopeForm
    list_display = ["effective_from", "scope", "set_at"]
    fields = ["scope", "effective_from"]
    ordering = ["-effective_from"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_stopscope")

    def save_model(self, request: HttpRequest, obj: StopScope, form: Any, change: bool) -> None:
        told = form.cleaned_data
        by: Operator = backoffice.acting(request)
        obj.pk = opt_outs.set_scope(
            scope=StopScope.Scope(told["scope"]),
            effective_from=told["effective_from"],
            by=by,
            at=clock.now(),
        ).pk
