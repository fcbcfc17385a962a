"""The pages of subscribers, their consents and refusals."""

from datetime import date, datetime, time
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock, trail
from audit.backoffice import ReadOnly
from consent import numbers, opt_outs, signup
from consent.admin.labels import WithLabels
from consent.admission import Fate, Outcome
from consent.evidence import EvidenceMissing
from consent.models import Consent, Notice, OptOutRequest, Scan, Subscriber, Suppression


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

    channel = forms.ChoiceField(choices=OptOutRequest.Channel.choices, label=_("How it came"))
    received_at = forms.DateTimeField(
        label=_("When it was received"), help_text=_("The law counts from here: ten business days.")
    )
    note = forms.CharField(
        max_length=500,
        label=_("What the person said"),
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def clean_received_at(self) -> datetime:
        received_at: datetime = self.cleaned_data["received_at"]
        if received_at > clock.now():
            raise forms.ValidationError(_("It cannot have been received in the future."))
        return received_at


class PaperForm(forms.Form):
    """A signed form as a clerk types it in, with its scan."""

    notice = forms.ModelChoiceField(
        queryset=Notice.objects.filter(channel=Notice.Channel.PAPER).select_related("purpose"),
        label=_("Wording on the form"),
        help_text=_("The wordings of paper forms that are on record, by purpose and language."),
    )
    given_on = forms.DateField(
        label=_("Date on the form"), widget=forms.DateInput(attrs={"type": "date"})
    )
    country = forms.CharField(max_length=2, initial="US", label=_("Country of a number without +"))
    number = forms.CharField(max_length=100, label=_("Number"), widget=NeverShownAgain)
    first_name = forms.CharField(
        max_length=60, required=False, label=_("First name"), widget=NeverShownAgain
    )
    state = forms.CharField(max_length=3, required=False, label=_("State of the address"))
    place = forms.CharField(
        max_length=120, label=_("Where the form was signed"), help_text=_("Such as: store 12.")
    )
    scan = forms.FileField(
        label=_("Scan of the form"), help_text=_("PDF, PNG or JPEG, at most 5 MB.")
    )

    def clean_place(self) -> str:
        place: str = self.cleaned_data["place"]
        if trail.looks_personal(place):
            raise forms.ValidationError(_("Name a place, not a person or a number."))
        return place

    def clean_scan(self) -> bytes:
        scan = self.cleaned_data["scan"]
        if scan.size > signup.MOST_SCAN:
            raise forms.ValidationError(signup.TOO_LARGE)
        content: bytes = scan.read()
        return content

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        try:
            country = cleaned.get("country", "US").upper()
            self.parsed = numbers.parse(cleaned.get("number", ""), country=country)
        except numbers.NumberRefused as refusal:
            self.add_error("number", str(refusal))
        return cleaned


class ConsentInline(admin.TabularInline):
    model = Consent
    extra = 0
    can_delete = False
    readonly_fields = ("scanned",)
    shown = ("purpose", "notice", "method", "source", "given_at", "confirmed_at", "withdrawn_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        may_open = request.user.has_perm("consent.open_scan")
        return [*self.shown, "scanned"] if may_open else self.shown

    def get_queryset(self, request: HttpRequest) -> Any:
        """With what the rows show; the picture itself stays where it is."""
        shown = super().get_queryset(request)
        return shown.select_related("purpose", "notice__purpose", "scan", "subscriber").defer(
            "scan__content"
        )

    @admin.display(description=_("signed form"))
    def scanned(self, consent: Consent) -> str:
        if not hasattr(consent, "scan") or not consent.subscriber.number:
            return "–"
        address = reverse("admin:consent_subscriber_scan", args=[consent.scan.pk])
        return format_html('<a href="{}">{}</a>', address, _("open the scan"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Subscriber)
class SubscriberAdmin(WithLabels):
    list_display = ["pseudonym", "masked_number", "country", "states", "language", "standing"]
    list_filter = ["area__country", "language", "labels"]
    fields = [
        *("pseudonym", "masked_number", "country", "states", "zones", "language", "labelled"),
        "standing",
    ]
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

    @admin.display(description=_("labels"))
    def labelled(self, person: Subscriber) -> str:
        return ", ".join(label.name for label in person.labels.order_by("name")) or "–"

    @admin.display(description=_("number"))
    def masked_number(self, person: Subscriber) -> str:
        return person.masked_number

    def get_urls(self) -> list[URLPattern]:
        find = self.admin_site.admin_view(self.find)
        opt_out = self.admin_site.admin_view(self.opt_out)
        paper = self.admin_site.admin_view(self.paper)
        scan = self.admin_site.admin_view(self.scan)
        return [
            path("find/", find, name="consent_subscriber_find"),
            path("paper/", paper, name="consent_subscriber_paper"),
            path("scan/<uuid:pk>/", scan, name="consent_subscriber_scan"),
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

    def paper(self, request: HttpRequest) -> HttpResponse:
        """Type in a signed form; what is wrong is said beside its field, and nothing is kept."""
        if not request.user.has_perm("consent.add_consent"):
            raise PermissionDenied
        form = PaperForm(request.POST or None, request.FILES or None)
        if form.is_valid():
            outcome = self._sign_up(request, form)
            if outcome:
                kept = outcome.fate in (Fate.ACCEPTED, Fate.MERGED)
                told = outcome.reason or _("The opt-in is on record, and its confirmation is due.")
                self.message_user(request, told, messages.SUCCESS if kept else messages.WARNING)
                return HttpResponseRedirect(reverse("admin:consent_subscriber_paper"))
        return self._page(request, "paper.html", form=form, title=_("Type in a signed form"))

    def _sign_up(self, request: HttpRequest, form: PaperForm) -> Outcome | None:
        told, at = form.cleaned_data, clock.now()
        try:
            return signup.sign_up_on_paper(
                scan=told["scan"],
                number=form.parsed,
                notice=told["notice"],
                source=told["place"],
                given_at=_signed_at(told["given_on"], shown_from=told["notice"].shown_from, at=at),
                region=told["state"].upper(),
                first_name=told["first_name"],
                by=backoffice.acting(request),
                at=at,
            )
        except ValidationError as refusal:
            for name, said in refusal.message_dict.items():
                form.add_error("given_on" if name == "given_at" else name, said)
        except (signup.NoticeLacks, EvidenceMissing) as refusal:
            form.add_error("notice", str(refusal))
        return None

    def scan(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """The picture of a signed form, as a download; that it was opened stands in the trail."""
        if not request.user.has_perm("consent.open_scan"):
            raise PermissionDenied
        scan = get_object_or_404(Scan.objects.select_related("consent"), pk=pk)
        if not scan.content:
            raise Http404  # erased with its person
        subject = f"subscriber:{scan.consent.subscriber_id}" if scan.consent else f"scan:{scan.pk}"
        backoffice.tell(request, "scan.opened", subject, scan=scan.fingerprint)
        answer = HttpResponse(scan.content.encode("latin-1"), content_type=scan.kind)
        ending = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}[scan.kind]
        answer["Content-Disposition"] = f'attachment; filename="form-{scan.pk}.{ending}"'
        answer["Cache-Control"] = "no-store"
        return answer

    def opt_out(self, request: HttpRequest, pk: Any) -> HttpResponse:
        person = self.get_object(request, str(pk))
        if person is None or not request.user.has_perm("consent.withdraw_subscriber"):
            raise PermissionDenied
        if not person.number:
            raise Http404  # erased: there is nobody left to stop
        form = OptOutForm(request.POST or None, initial={"received_at": clock.now()})
        if form.is_valid():
            opt_outs.record(
                channel=OptOutRequest.Channel(form.cleaned_data["channel"]),
                received_at=form.cleaned_data["received_at"],
                note=form.cleaned_data["note"],
                number=numbers.parse(person.number),
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


def _signed_at(day: date, *, shown_from: datetime, at: datetime) -> datetime:
    """An instant of that day: a form tells no hour, but the wording on it was shown by then."""
    signed_at = datetime.combine(day, time(12), tzinfo=timezone.get_current_timezone())
    if timezone.localdate(shown_from) == day:
        signed_at = max(signed_at, shown_from)
    return min(signed_at, at) if timezone.localdate(at) == day else signed_at


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
