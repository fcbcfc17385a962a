"""The pages of subscribers, their consents and refusals, of purposes, notices and lists."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock, trail
from audit.backoffice import ReadOnly
from consent import ledger, lists, numbers, purposes, rows
from consent.models import (
    Consent,
    ImportRow,
    ListImport,
    Method,
    Notice,
    Purpose,
    Subscriber,
    Suppression,
)
from consent.wording import fingerprint

ROWS_SHOWN = 50


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


@admin.register(Purpose)
class PurposeAdmin(ReadOnly):
    list_display = ["name", "promise", "frequency", "period", "double_opt_in"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_purpose")

    def save_model(self, request: HttpRequest, obj: Purpose, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        obj.pk = purposes.define(**form.cleaned_data, by=by, at=at).pk


class NoticeForm(forms.ModelForm):
    """A wording as it is shown, to be fixed for good."""

    class Meta:
        model = Notice
        fields = ["purpose", "language", "wording", "shown_from"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        known = Notice.objects.filter(
            purpose=cleaned.get("purpose"), fingerprint=fingerprint(cleaned.get("wording", ""))
        )
        if known.exists():
            self.add_error("wording", _("This wording is on record already for this purpose."))
        return cleaned


@admin.register(Notice)
class NoticeAdmin(ReadOnly):
    form = NoticeForm
    list_display = ["purpose", "language", "number", "shown_from", "lacks"]
    fields = ["purpose", "language", "number", "wording", "fingerprint", "shown_from", "lacks"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_notice")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ["purpose", "language", "wording", "shown_from"]

    def save_model(self, request: HttpRequest, obj: Notice, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        published = purposes.publish(**form.cleaned_data, by=by, at=at)
        obj.pk = published.pk
        if published.missing:
            lacking = ", ".join(published.missing)
            said = _("This wording does not state: %s. Opt-ins that rest on it may be refused.")
            self.message_user(request, said % lacking, messages.WARNING)

    @admin.display(description=_("does not state"))
    def lacks(self, notice: Notice) -> str:
        return ", ".join(notice.missing) or "–"


class ListForm(forms.ModelForm):
    """A list as a clerk brings it."""

    file = forms.FileField(label=_("File (CSV)"))

    class Meta:
        model = ListImport
        fields = ["kind", "purpose", "label", "method", "country"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "method" in self.fields:
            known = [choice for choice in Method.choices if choice[0] != Method.RESTORED]
            self.fields["method"].choices = known  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if trail.looks_personal(cleaned.get("label", "")):
            self.add_error("label", _("A label names a list, not a person or a number."))
        if "file" in cleaned:
            self._read(cleaned["file"])
        return cleaned

    def _read(self, file: Any) -> None:
        if file.size > lists.LARGEST:
            self.add_error(
                "file", _("The file is larger than 10 MB. Split it and bring its parts.")
            )
            return
        self.raw = file.read()
        try:
            rows.read(rows.text_of(self.raw))
        except rows.NotAList as fault:
            self.add_error("file", str(fault))


@admin.register(ListImport)
class ListImportAdmin(ReadOnly):
    form = ListForm
    list_display = ["created_at", "label", "kind", "purpose", "progress"]
    list_select_related = ["purpose"]
    ordering = ["-created_at"]
    change_form_template = "admin/consent/listimport/change_form.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_listimport")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["kind", "purpose", "label", "method", "country", "file"]
        return ["label", "kind", "purpose", "created_at", "progress", "fates", "left_out"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj) if obj else []

    @admin.display(description=_("progress"))
    def progress(self, brought: ListImport) -> str:
        return str(_("finished")) if brought.finished_at else f"{brought.taken} / {brought.lines}"

    @admin.display(description=_("rows"))
    def fates(self, brought: ListImport) -> str:
        named = dict(ImportRow.Fate.choices)
        return (
            ", ".join(f"{count} {named[fate]}" for fate, count in brought.counts().items()) or "–"
        )

    @admin.display(description=_("columns left out"))
    def left_out(self, brought: ListImport) -> str:
        return ", ".join(brought.columns_left_out) or "–"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        brought = lists.bring(
            raw=form.raw,
            kind=ListImport.Kind(obj.kind),
            purpose=obj.purpose,
            label=obj.label,
            method=Method(obj.method),
            country=obj.country.upper(),
            by=backoffice.acting(request),
            at=clock.now(),
        )
        obj.pk = brought.pk

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        known = self.get_object(request, object_id)
        reported = ImportRow.objects.filter(list_import=known)
        reasons = (
            reported.values("fate", "reason").annotate(count=Count("pk")).order_by("fate", "-count")
        )
        shown = reported.exclude(reason="").order_by("line")
        context = {"reasons": reasons, "rows": shown[:ROWS_SHOWN], **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)


@admin.register(ImportRow)
class ImportRowAdmin(ReadOnly):
    list_display = ["line", "shown_as", "fate", "reason"]
    list_filter = ["fate", "list_import"]
    ordering = ["list_import", "line"]
    fields = ["list_import", "line", "shown_as", "fate", "reason"]

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Reached from a list's report; on the index the rows of all lists would say nothing."""
        return {}
