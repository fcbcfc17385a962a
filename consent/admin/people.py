"""The pages of subscribers, their consents and refusals."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from consent import ledger, numbers
from consent.models import Consent, Subscriber, Suppression


class NeverShownAgain(forms.TextInput):
    """Keeps what was typed out of the page that answers."""

    def format_value(self, value: Any) -> None:
        return None


class FindForm(forms.Form):
    """Finds a person by number or pseudonym; posted, so that no number stands in an address."""

    country = forms.CharField(max_length=2, initial="US", label=_("Country of a number without +"))
    sought = forms.CharField(max_length=100, label=_("Number or pseudonym"), widget=NeverShownAgain)


class OptOutForm(forms.Form):
    """An opt-out that reached staff by another way than a reply."""

    note = forms.CharField(
        max_length=500,
        label=_("How and when the person said so"),
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class ConsentInline(admin.TabularInline):
    model = Consent
    fields = ["purpose", "notice", "method", "source", "given_at", "confirmed_at", "withdrawn_at"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Subscriber)
class SubscriberAdmin(ReadOnly):
    list_display = ["pseudonym", "masked_number", "country", "states", "language", "standing"]
    list_filter = ["area__country", "language"]
    fields = ["pseudonym", "masked_number", "country", "states", "zones", "language", "standing"]
    inlines = [ConsentInline]
    ordering = ["pseudonym"]
    list_select_related = ["area"]
    change_list_template = "admin/consent/subscriber/change_list.html"
    change_form_template = "admin/consent/subscriber/change_form.html"

    @admin.display(description=_("country"), ordering="area__country")
    def country(self, person: Subscriber) -> str:
        return person.area.country

    @admin.display(description=_("states"))
    def states(self, person: Subscriber) -> str:
        return person.area.states

    @admin.display(description=_("possible time zones"))
    def zones(self, person: Subscriber) -> str:
        return person.area.zones.replace(" ", ", ")

    def get_queryset(self, request: HttpRequest) -> Any:
        allowed = Consent.objects.permitting(clock.now()).select_related("purpose")
        permitting = Prefetch("consents", allowed.order_by("purpose__name"), to_attr="permitting")
        return super().get_queryset(request).select_related("area").prefetch_related(permitting)

    @admin.display(description=_("may be messaged for"))
    def standing(self, person: Any) -> str:
        return ", ".join(consent.purpose.name for consent in person.permitting) or "–"

    @admin.display(description=_("number"))
    def masked_number(self, person: Subscriber) -> str:
        return person.masked_number

    def get_urls(self) -> list[URLPattern]:
        find = self.admin_site.admin_view(self.find)
        opt_out = self.admin_site.admin_view(self.opt_out)
        return [
            path("find/", find, name="consent_subscriber_find"),
            path("<uuid:pk>/opt-out/", opt_out, name="consent_subscriber_opt_out"),
            *super().get_urls(),
        ]

    def find(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = FindForm(request.POST or None)
        if form.is_valid():
            found = _sought(**form.cleaned_data)
            if found:
                return HttpResponseRedirect(
                    reverse("admin:consent_subscriber_change", args=[found.pk])
                )
            form.add_error("sought", _("Nobody on record has this number or pseudonym."))
        return self._page(request, "find.html", form=form, title=_("Find a person"))

    def opt_out(self, request: HttpRequest, pk: Any) -> HttpResponse:
        person = self.get_object(request, str(pk))
        if person is None or not request.user.has_perm("consent.withdraw_subscriber"):
            raise PermissionDenied
        form = OptOutForm(request.POST or None)
        if form.is_valid():
            ledger.withdraw(
                number_index=person.number_index,
                channel=Suppression.Channel.STAFF,
                reason="told to staff",
                note=form.cleaned_data["note"],
                by=backoffice.acting(request),
                at=clock.now(),
            )
            self.message_user(request, _("This person gets no more messages, from now on."))
            return HttpResponseRedirect(reverse("admin:consent_subscriber_change", args=[pk]))
        return self._page(
            request, "opt_out.html", form=form, person=person, title=_("Record an opt-out")
        )

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        frame = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/consent/subscriber/{template}", frame)


def _sought(*, country: str, sought: str) -> Subscriber | None:
    if sought.strip().upper().startswith("P-"):
        return Subscriber.objects.filter(pseudonym=sought.strip().upper()).first()
    try:
        number = numbers.parse(sought, country=country.upper())
    except numbers.NumberRefused:
        return None
    return Subscriber.objects.with_number(number.e164).first()


@admin.register(Suppression)
class SuppressionAdmin(ReadOnly):
    list_display = ["at", "channel", "reason", "purpose", "lifted_at"]
    list_select_related = ["purpose"]  # nullable, so Django would not join it by itself
    list_filter = ["channel"]
    fields = ["at", "channel", "reason", "purpose", "lifted_at"]
    ordering = ["-at"]
